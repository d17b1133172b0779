package vm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/plugin"
	"kest.example/kest/plugin/proxywasm"
	"kest.example/kest/plugin/vm"
	"kest.example/kest/policy/cedar"
)

// fake is a proxywasm.Host that keeps what one request did, and fails where it is told to.
type fake struct {
	t             *testing.T
	configuration []byte
	headers       []proxywasm.Pair
	peer          string
	fail          map[string]proxywasm.Status // by method name
	edits         int                         // calls that change headers
	failEdit      int                         // the one that fails, from 1
	failStatus    proxywasm.Status

	local      *local
	continued  int
	effective  []uint32
	properties map[string]string
	calls      []httpCall
	answer     httpAnswer // what comes to the call that is answered
	logs       []string
	foreign    map[string]func(argument []byte) ([]byte, proxywasm.Status)
}

type local struct {
	status  int
	grpc    int32
	headers []proxywasm.Pair
	body    string
}

type httpCall struct {
	id      uint32
	cluster string
	headers []proxywasm.Pair
	body    string
	timeout time.Duration
}

type httpAnswer struct {
	headers []proxywasm.Pair
	body    []byte
}

var _ proxywasm.Host = (*fake)(nil)

func (f *fake) status(method string) proxywasm.Status { return f.fail[method] }

func (f *fake) Log(level proxywasm.LogLevel, message string) {
	f.logs = append(f.logs, fmt.Sprintf("%d %s", level, message))
}

func (f *fake) Buffer(b proxywasm.BufferType, start, most int) ([]byte, proxywasm.Status) {
	text := f.configuration
	if b == proxywasm.HTTPCallResponseBody {
		text = f.answer.body
	}
	if s := f.status(fmt.Sprint("Buffer", b)); s != proxywasm.OK {
		return nil, s
	}
	text = text[min(start, len(text)):]
	return slices.Clone(text[:min(most, len(text))]), proxywasm.OK
}

func (f *fake) Pairs(m proxywasm.MapType) ([]proxywasm.Pair, proxywasm.Status) {
	if s := f.status(fmt.Sprint("Pairs", m)); s != proxywasm.OK {
		return nil, s
	}
	if m == proxywasm.HTTPCallResponseHeaders {
		return slices.Clone(f.answer.headers), proxywasm.OK
	}
	return slices.Clone(f.headers), proxywasm.OK
}

// edit counts the calls that change headers; one of them may be told to fail.
func (f *fake) edit() proxywasm.Status {
	f.edits++
	if f.edits == f.failEdit {
		return f.failStatus
	}
	return proxywasm.OK
}

func (f *fake) ReplaceHeader(_ proxywasm.MapType, name, value string) proxywasm.Status {
	if s := f.edit(); s != proxywasm.OK {
		return s
	}
	f.remove(name)
	f.headers = append(f.headers, proxywasm.Pair{Name: name, Value: value})
	return proxywasm.OK
}

func (f *fake) AddHeader(_ proxywasm.MapType, name, value string) proxywasm.Status {
	if s := f.edit(); s != proxywasm.OK {
		return s
	}
	f.headers = append(f.headers, proxywasm.Pair{Name: name, Value: value})
	return proxywasm.OK
}

func (f *fake) RemoveHeader(_ proxywasm.MapType, name string) proxywasm.Status {
	if s := f.edit(); s != proxywasm.OK {
		return s
	}
	f.remove(name)
	return proxywasm.OK
}

func (f *fake) remove(name string) {
	f.headers = slices.DeleteFunc(f.headers, func(p proxywasm.Pair) bool { return p.Name == name })
}

func (f *fake) SendLocalResponse(status int, _ string, headers []proxywasm.Pair, body []byte, grpc int32) proxywasm.Status {
	if s := f.status("SendLocalResponse"); s != proxywasm.OK {
		return s
	}
	f.local = &local{status, grpc, headers, string(body)}
	return proxywasm.OK
}

func (f *fake) ContinueStream(s proxywasm.StreamType) proxywasm.Status {
	if s != proxywasm.RequestStream {
		f.t.Errorf("ContinueStream(%d)", s)
	}
	if s := f.status("ContinueStream"); s != proxywasm.OK {
		return s
	}
	f.continued++
	return proxywasm.OK
}

func (f *fake) CallForeign(name string, argument []byte) ([]byte, proxywasm.Status) {
	if g := f.foreign[name]; g != nil {
		return g(argument)
	}
	return nil, proxywasm.NotFound
}

func (f *fake) HTTPCall(cluster string, headers []proxywasm.Pair, body []byte, timeout time.Duration) (uint32, proxywasm.Status) {
	if s := f.status("HTTPCall"); s != proxywasm.OK {
		return 0, s
	}
	id := uint32(100 + len(f.calls))
	f.calls = append(f.calls, httpCall{id, cluster, headers, string(body), timeout})
	return id, proxywasm.OK
}

func (f *fake) Property(path ...string) ([]byte, proxywasm.Status) {
	if s := f.status("Property"); s != proxywasm.OK {
		return nil, s
	}
	if strings.Join(path, ".") == "connection.uri_san_peer_certificate" && f.peer != "" {
		return []byte(f.peer), proxywasm.OK
	}
	return nil, proxywasm.NotFound
}

func (f *fake) SetProperty(path []string, value []byte) proxywasm.Status {
	if s := f.status("SetProperty"); s != proxywasm.OK {
		return s
	}
	if f.properties == nil {
		f.properties = make(map[string]string)
	}
	f.properties[strings.Join(path, ".")] = string(value)
	return proxywasm.OK
}

func (f *fake) SharedData(string) ([]byte, uint32, proxywasm.Status) {
	return nil, 0, proxywasm.NotFound
}

func (f *fake) SetSharedData(string, []byte, uint32) proxywasm.Status { return proxywasm.OK }

func (f *fake) SetTickPeriod(time.Duration) proxywasm.Status { return proxywasm.OK }

func (f *fake) SetEffectiveContext(id uint32) proxywasm.Status {
	f.effective = append(f.effective, id)
	return f.status("SetEffectiveContext")
}

func (f *fake) header(name string) (values []string) {
	for _, p := range f.headers {
		if p.Name == name {
			values = append(values, p.Value)
		}
	}
	return values
}

// reset forgets the last request.
func (f *fake) reset() {
	f.local, f.continued, f.effective, f.calls, f.logs, f.properties = nil, 0, nil, nil, nil, nil
	f.fail, f.edits, f.failEdit = nil, 0, 0
}

// proxy is a VM and the host that drives it, as Envoy does.
type proxy struct {
	*fake
	vm *vm.VM
}

func newProxy(t *testing.T) *proxy {
	f := &fake{t: t}
	return &proxy{f, vm.New(f, vm.Options{
		Cedar: func(policies map[string]string) (plugin.LocalEngine, error) { return cedar.New(policies, nil) },
	})}
}

// configure makes a root context; it must not exist yet.
func (p *proxy) configure(root uint32, configuration string) bool {
	p.configuration = []byte(configuration)
	p.vm.ContextCreate(root, 0)
	return p.vm.VMStart(root, 0) && p.vm.Configure(root, len(configuration))
}

// request begins a request in a new context.
func (p *proxy) request(id, root uint32, method, path string, headers ...proxywasm.Pair) proxywasm.Action {
	p.headers = append([]proxywasm.Pair{
		{Name: ":method", Value: method}, {Name: ":path", Value: path}, {Name: ":authority", Value: "orders.example.org"},
	}, headers...)
	p.vm.ContextCreate(id, root)
	return p.vm.RequestHeaders(id, len(p.headers), true)
}

// refused says whether the request got this answer and can't go on.
func (p *proxy) refused(id uint32, action proxywasm.Action, status int) {
	p.t.Helper()
	if action != proxywasm.Pause || p.continued > 0 {
		p.t.Errorf("action %d, continued %d times", action, p.continued)
	}
	if p.local == nil || p.local.status != status || !strings.Contains(p.local.body, `"decision_id":`) ||
		!slices.Contains(p.local.headers, proxywasm.Pair{Name: "content-type", Value: "application/problem+json"}) {
		p.t.Errorf("the answer is %+v, not %d; log %q", p.local, status, p.logs)
	}
	if p.vm.RequestBody(id, 10, true) != proxywasm.Pause || p.vm.RequestTrailers(id, 1) != proxywasm.Pause {
		p.t.Error("the body or the trailers of a refused request go on")
	}
}

// passes says whether the request may go on, and returns the baggage that does.
func (p *proxy) passes(id uint32, action proxywasm.Action) string {
	p.t.Helper()
	if action != proxywasm.Continue || p.local != nil {
		p.t.Fatalf("action %d, answer %+v, log %q", action, p.local, p.logs)
	}
	return p.wentOn(id)
}

func (p *proxy) wentOn(id uint32) string {
	p.t.Helper()
	if p.vm.RequestBody(id, 10, true) != proxywasm.Continue || p.vm.RequestTrailers(id, 1) != proxywasm.Continue {
		p.t.Error("the body or the trailers of an allowed request are held")
	}
	if b := p.header("baggage"); len(b) == 1 {
		return b[0]
	}
	p.t.Errorf("%d baggage headers go on", len(p.header("baggage")))
	return ""
}

const cluster = "claims"

// configuration is one of a workload whose one route is /what, with a root.
func configuration(workload, what, more string) string {
	return `{"workload": "` + workload + `", "identity": {"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"},
		"insecure_trust_all_claims": true, "policies": {"cedar": {"no-bad": "permit(principal, action, resource) unless { context.taints.contains(\"bad\") };"}},
		"keys": {"static": [{"principal": "` + workload + `", "jwk": ` + jwk(workload) + `}]},
		"propagation": {"claim_check": {"cluster": "` + cluster + `"}},
		"routes": [{"match": {"path": "/` + what + `"}, "operation": "` + what + `", "policies": ["no-bad"], "root": {"origin": "user_input"}},
			{"match": {"path": "/bad"}, "operation": "bad", "policies": ["no-bad"], "root": {"origin": "user_input"}, "added_taints": ["bad"]}]` + more + `}`
}

func jwk(workload string) string {
	id, err := kest.SeedIdentity(workload, []byte(strings.Repeat("o", 32)))
	if err != nil {
		panic(err)
	}
	return id.Key.JWK()
}

// entryOf is the last entry of the passport that a baggage header carries.
func entryOf(t *testing.T, header string) *kest.Entry {
	t.Helper()
	in, err := baggage.Parse([]string{header}, baggage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list := in.Passport.Entries()
	if len(list) == 0 {
		t.Fatalf("no passport in %q", header)
	}
	ev, err := kest.ParseEvidence(list[len(list)-1], kest.SchemaStrict)
	if err != nil {
		t.Fatal(err)
	}
	return ev.Entry
}
