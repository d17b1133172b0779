// Package vm drives the filter of package plugin from proxy-wasm callbacks. The
// same code runs in guests and, for tests, natively.
package vm

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"time"

	"kest.example/kest/internal/hostcall"
	"kest.example/kest/plugin"
	"kest.example/kest/plugin/proxywasm"
)

// Options choose what kind of filter runs.
type Options struct {
	Cedar      func(policies map[string]string) (plugin.LocalEngine, error)
	Rego       func(foreign plugin.ForeignFunc) (plugin.RegoEngine, error)
	VerifyOnly bool
	Now        func() time.Time // nil is time.Now
}

// VM is one virtual machine: its filters and their requests. A host runs
// plugins of the same code and vm_id in one VM, each with a root context and a
// configuration of its own. VM implements proxywasm.VM and is called from one
// goroutine at a time.
type VM struct {
	proxywasm.BaseVM
	host     proxywasm.Host
	options  Options
	filters  map[uint32]*plugin.Filter // by root context
	requests map[uint32]*request
	calls    map[uint32]*request // by call id
	tasks    map[uint32]task     // by call id

	peerOf  func() (id string, ok bool)                 // peer, made once
	claimOf func(path ...string) (text string, ok bool) // claim
}

// task is a call that a filter makes for itself.
type task struct {
	root uint32
	task *plugin.Task
}

// request is one stream context.
type request struct {
	id       uint32
	root     uint32
	headers  []plugin.Header
	exchange *plugin.Exchange
	passed   bool // it may go on to the upstream
	call     uint32
	calling  bool // call is, or was, under way
}

// maxCallBody bounds the answer to a callout, 1 MiB.
const maxCallBody = 1 << 20

// New makes a VM that has no filters until they are configured.
func New(host proxywasm.Host, options Options) *VM {
	if options.Now == nil {
		options.Now = time.Now
	}
	v := &VM{
		host: host, options: options,
		filters: make(map[uint32]*plugin.Filter), requests: make(map[uint32]*request), calls: make(map[uint32]*request),
		tasks: make(map[uint32]task),
	}
	v.peerOf, v.claimOf = v.peer, v.claim
	return v
}

// Configure implements proxywasm.VM. A configuration that is wrong is logged
// and refused; the proxy then answers 503.
func (v *VM) Configure(root uint32, size int) bool {
	delete(v.filters, root)
	configuration, status := v.host.Buffer(proxywasm.PluginConfiguration, 0, size)
	if status != proxywasm.OK {
		v.host.Log(proxywasm.LogCritical, "kest: the configuration can't be read: "+status.String())
		return false
	}
	filter, err := plugin.New(configuration, plugin.Environment{
		Now: v.options.Now, Random: v.random(), Log: v.log, Foreign: v.foreign, SharedGet: v.sharedGet, SharedSet: v.sharedSet,
		Cedar: v.options.Cedar, Rego: v.options.Rego, VerifyOnly: v.options.VerifyOnly,
	})
	if err != nil {
		v.host.Log(proxywasm.LogCritical, "kest: "+err.Error())
		return false
	}
	if period := filter.TickPeriod(); period > 0 {
		if status := v.host.SetTickPeriod(period); status != proxywasm.OK {
			v.host.Log(proxywasm.LogCritical, "kest: the host has no ticks, which an agent needs: "+status.String())
			return false
		}
	}
	v.filters[root] = filter
	return true
}

func (v *VM) sharedGet(key string) ([]byte, uint32, bool) {
	value, cas, status := v.host.SharedData(key)
	return value, cas, status == proxywasm.OK
}

func (v *VM) sharedSet(key string, value []byte, cas uint32) bool {
	return v.host.SetSharedData(key, value, cas) == proxywasm.OK
}

// ContextCreate implements proxywasm.VM: a request belongs to its root's filter.
func (v *VM) ContextCreate(id, parent uint32) {
	if parent != 0 {
		v.requests[id] = &request{id: id, root: parent}
	}
}

func (v *VM) log(level plugin.Level, message string) {
	to := proxywasm.LogInfo
	switch level {
	case plugin.LevelWarn:
		to = proxywasm.LogWarn
	case plugin.LevelError:
		to = proxywasm.LogError
	}
	v.host.Log(to, message)
}

func (v *VM) foreign(name string, argument []byte) ([]byte, bool) {
	result, status := v.host.CallForeign(name, argument)
	return result, status == proxywasm.OK
}

// random is the host's fixed source where a test gives one, else WASI's.
func (v *VM) random() io.Reader {
	if _, fixed := v.foreign(hostcall.Random, make([]byte, 4)); fixed {
		return hostRandom{v}
	}
	return &ahead{source: rand.Reader}
}

// ahead asks its source for 512 bytes at a time: a request wants 34, in two
// reads, and going to the host costs more than the bytes. What it has given it
// forgets.
type ahead struct {
	source io.Reader
	bytes  [512]byte
	left   int // at the end of bytes
}

func (a *ahead) Read(p []byte) (int, error) {
	if a.left == 0 {
		if _, err := io.ReadFull(a.source, a.bytes[:]); err != nil {
			return 0, err
		}
		a.left = len(a.bytes)
	}
	rest := a.bytes[len(a.bytes)-a.left:]
	n := copy(p, rest)
	clear(rest[:n])
	a.left -= n
	return n, nil
}

type hostRandom struct{ v *VM }

func (r hostRandom) Read(p []byte) (int, error) {
	b, ok := r.v.foreign(hostcall.Random, binary.LittleEndian.AppendUint32(nil, uint32(len(p)))) //nolint:gosec // a few bytes
	if !ok || len(b) != len(p) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, b), nil
}

// RequestHeaders implements proxywasm.VM.
func (v *VM) RequestHeaders(id uint32, _ int, _ bool) proxywasm.Action {
	r := v.requests[id]
	if r == nil || v.filters[r.root] == nil {
		return v.fail("a request came before a configuration")
	}
	pairs, status := v.host.Pairs(proxywasm.RequestHeaders)
	if status != proxywasm.OK {
		return v.fail("the headers can't be read: " + status.String())
	}
	in := plugin.Request{Headers: make([]plugin.Header, len(pairs)), Peer: v.peerOf, Claims: v.claimOf}
	for i, p := range pairs {
		in.Headers[i] = plugin.Header{Name: p.Name, Value: p.Value}
	}
	r.headers = in.Headers
	var step plugin.Step
	r.exchange, step = v.filters[r.root].Begin(&in)
	return v.proceed(r, step)
}

// proceed applies a step of the request whose callback this is, and does what
// the filter wants done beside it.
func (v *VM) proceed(r *request, step plugin.Step) proxywasm.Action {
	if next, woken := v.pump(r.root, r); woken {
		step = next
	}
	if step.Kind == plugin.Hold {
		return proxywasm.Pause
	}
	return v.apply(r, step)
}

// peer returns the SPIFFE id that mTLS proved, or "" where there is none.
func (v *VM) peer() (id string, ok bool) {
	san, status := v.host.Property("connection", "uri_san_peer_certificate")
	return string(san), status == proxywasm.OK || status == proxywasm.NotFound
}

// claims of a token that jwt_authn, or a Go host, has verified (Envoy, "Attributes").
const jwtFilter = "envoy.filters.http.jwt_authn"

// claim returns what the host's metadata holds of a token.
func (v *VM) claim(path ...string) (text string, ok bool) {
	value, status := v.host.Property(append([]string{"metadata", "filter_metadata", jwtFilter}, path...)...)
	return string(value), status == proxywasm.OK
}

// apply does what a step says. Whatever fails on the way answers 503.
func (v *VM) apply(r *request, step plugin.Step) proxywasm.Action {
	if step.Verdict != "" {
		v.publish(step.Verdict)
	}
	switch step.Kind {
	case plugin.Continue:
		if !v.edit(r, step.Edits) {
			return v.fail("the headers can't be changed")
		}
		r.passed = true
		return proxywasm.Continue
	case plugin.CallOut:
		return v.callOut(r, step.Call)
	}
	return v.answer(step.Response)
}

// edit leaves one header of each name, or none, in as few calls as that takes.
func (v *VM) edit(r *request, edits []plugin.Edit) bool {
	const where = proxywasm.RequestHeaders
	for _, e := range edits {
		have := r.count(e.Name)
		if have == 1 && e.Value != "" {
			if v.host.ReplaceHeader(where, e.Name, e.Value) != proxywasm.OK {
				return false
			}
			continue
		}
		if have > 0 && v.host.RemoveHeader(where, e.Name) != proxywasm.OK {
			return false
		}
		if e.Value != "" && v.host.AddHeader(where, e.Name, e.Value) != proxywasm.OK {
			return false
		}
	}
	return true
}

// count is how many headers of a name came.
func (r *request) count(name string) (n int) {
	for i := range r.headers {
		if r.headers[i].Name == name {
			n++
		}
	}
	return n
}

func (v *VM) callOut(r *request, call plugin.Call) proxywasm.Action {
	id, status := v.host.HTTPCall(call.Cluster, pairsOf(call.Headers), call.Body, call.Timeout)
	if status != proxywasm.OK {
		v.host.Log(proxywasm.LogError, "kest: the call to "+call.Cluster+" could not be made: "+status.String())
		return v.proceed(r, r.exchange.Resume(plugin.CallResult{}))
	}
	v.calls[id], r.call, r.calling = r, id, true
	return proxywasm.Pause
}

// HTTPCallResponse implements proxywasm.VM.
func (v *VM) HTTPCallResponse(_, call uint32, headers, bodySize, _ int) {
	if t, ok := v.tasks[call]; ok {
		delete(v.tasks, call)
		v.taskDone(t, v.callResult(headers, bodySize))
		return
	}
	r := v.calls[call]
	delete(v.calls, call)
	if r == nil || v.requests[r.id] != r {
		return // the request is gone
	}
	result := v.callResult(headers, bodySize)
	if status := v.host.SetEffectiveContext(r.id); status != proxywasm.OK {
		v.host.Log(proxywasm.LogError, "kest: a request can't be resumed: "+status.String())
		return
	}
	if v.proceed(r, r.exchange.Resume(result)) == proxywasm.Continue {
		v.goOn()
	}
}

// goOn lets the request of the effective context go on.
func (v *VM) goOn() {
	if status := v.host.ContinueStream(proxywasm.RequestStream); status != proxywasm.OK {
		v.host.Log(proxywasm.LogError, "kest: a request can't go on: "+status.String())
	}
}

// callResult reads an answer; one that failed or is too long has status 0.
func (v *VM) callResult(headers, bodySize int) plugin.CallResult {
	if headers == 0 || bodySize > maxCallBody {
		return plugin.CallResult{}
	}
	pairs, status := v.host.Pairs(proxywasm.HTTPCallResponseHeaders)
	if status != proxywasm.OK {
		return plugin.CallResult{}
	}
	result := plugin.CallResult{}
	for _, p := range pairs {
		if p.Name == ":status" && len(p.Value) == 3 {
			result.Status = int(p.Value[0]-'0')*100 + int(p.Value[1]-'0')*10 + int(p.Value[2]-'0')
		}
	}
	if bodySize > 0 {
		if result.Body, status = v.host.Buffer(proxywasm.HTTPCallResponseBody, 0, bodySize); status != proxywasm.OK {
			return plugin.CallResult{}
		}
	}
	return result
}

func (v *VM) answer(a plugin.Response) proxywasm.Action {
	status := v.host.SendLocalResponse(a.Status, a.Details, pairsOf(a.Headers), a.Body, int32(a.GRPC)) //nolint:gosec // a gRPC code
	if status != proxywasm.OK {
		v.host.Log(proxywasm.LogCritical, "kest: no answer could be sent: "+status.String())
	}
	return proxywasm.Pause
}

// fail answers 503 where the filter itself can't.
func (v *VM) fail(detail string) proxywasm.Action {
	v.host.Log(proxywasm.LogCritical, "kest: refused 503: "+detail)
	return v.answer(plugin.Unavailable())
}

// RequestBody implements proxywasm.VM: nothing of a request passes that was not allowed.
func (v *VM) RequestBody(id uint32, _ int, _ bool) proxywasm.Action { return v.onward(id) }

// RequestTrailers implements proxywasm.VM.
func (v *VM) RequestTrailers(id uint32, _ int) proxywasm.Action { return v.onward(id) }

func (v *VM) onward(id uint32) proxywasm.Action {
	if r := v.requests[id]; r != nil && r.passed {
		return proxywasm.Continue
	}
	return proxywasm.Pause
}

// Delete implements proxywasm.VM.
func (v *VM) Delete(id uint32) {
	// A host that drops the calls of a request that is gone answers none of them.
	if r := v.requests[id]; r != nil {
		if r.calling {
			delete(v.calls, r.call)
		}
		if r.exchange != nil {
			r.exchange.Ended()
		}
	}
	delete(v.requests, id)
	delete(v.filters, id)
}

// VerdictProperty is the property in which the verdict of a request stands. In
// Envoy that makes it filter state: %FILTER_STATE(wasm.kest.verdict:PLAIN)% in
// an access log. (Envoy's function set_envoy_filter_state takes only keys for
// which it has a factory.)
const VerdictProperty = "kest.verdict"

// publish puts the verdict where access logs find it. It is no part of the
// decision, so that a host which can't keep it only logs less.
func (v *VM) publish(verdict string) {
	if status := v.host.SetProperty([]string{VerdictProperty}, []byte(verdict)); status != proxywasm.OK {
		v.host.Log(proxywasm.LogDebug, "kest: the verdict can't be published: "+status.String())
	}
}
