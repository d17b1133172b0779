package proxywasm

import (
	"maps"
	"time"
)

// Guarded returns vm with a net below it. A callback that panics is logged at
// critical and refuses: its request is answered with 503 and held, now and in
// later callbacks; a configuration is refused. Nothing goes on after a panic.
//
// A panic in HTTPCallResponse refuses the context that vm had made effective.
// Where vm may panic before that, use [Guard].
func Guarded(vm VM, h Host) VM {
	g := newGuard(h)
	g.vm = vm
	return g
}

// Guard makes a VM over h and returns it guarded. It sees which request made
// which HTTP call, so a panic in HTTPCallResponse refuses that request,
// whatever the VM had done before, and no later answer lets it go on.
func Guard(h Host, vm func(Host) VM) VM {
	g := newGuard(h)
	g.tracked = true
	g.vm = vm(tracker{h, g})
	return g
}

func newGuard(h Host) *guard {
	return &guard{host: h, calls: make(map[uint32]uint32), broken: make(map[uint32]phase)}
}

// phase is where a context broke. After inRequest the only response to come is
// the refusal itself, which must pass.
type phase int

const (
	inRequest phase = iota + 1
	inResponse
)

type guard struct {
	vm      VM
	host    Host
	tracked bool
	current uint32            // the context that acts
	calls   map[uint32]uint32 // HTTP call → context that made it
	broken  map[uint32]phase
}

func (g *guard) ContextCreate(id, parent uint32) {
	if !g.run(id, OnContextCreate, func() { g.vm.ContextCreate(id, parent) }) {
		g.broken[id] = inRequest
	}
}

func (g *guard) VMStart(root uint32, size int) bool {
	return g.yes(root, OnVMStart, func() bool { return g.vm.VMStart(root, size) })
}

func (g *guard) Configure(root uint32, size int) bool {
	return g.yes(root, OnConfigure, func() bool { return g.vm.Configure(root, size) })
}

// yes is false for a context that broke, now or before.
func (g *guard) yes(root uint32, name string, f func() bool) bool {
	answer := false
	return g.broken[root] == 0 && g.run(root, name, func() { answer = f() }) && answer
}

func (g *guard) Tick(root uint32) {
	g.run(root, OnTick, func() { g.vm.Tick(root) })
}

func (g *guard) RequestHeaders(id uint32, n int, end bool) Action {
	if g.broken[id] != 0 { // ContextCreate could not answer yet
		g.current = id
		return g.refuse()
	}
	return g.action(id, OnRequestHeaders, inRequest, func() Action { return g.vm.RequestHeaders(id, n, end) })
}

func (g *guard) RequestBody(id uint32, size int, end bool) Action {
	return g.action(id, OnRequestBody, inRequest, func() Action { return g.vm.RequestBody(id, size, end) })
}

func (g *guard) RequestTrailers(id uint32, n int) Action {
	return g.action(id, OnRequestTrailers, inRequest, func() Action { return g.vm.RequestTrailers(id, n) })
}

func (g *guard) ResponseHeaders(id uint32, n int, end bool) Action {
	return g.action(id, OnResponseHeaders, inResponse, func() Action { return g.vm.ResponseHeaders(id, n, end) })
}

// action asks f, unless the context is broken.
func (g *guard) action(id uint32, name string, in phase, f func() Action) Action {
	switch g.broken[id] {
	case inRequest:
		if in == inResponse {
			return Continue
		}
		return Pause
	case inResponse:
		return Pause
	}
	a := Pause
	if !g.run(id, name, func() { a = f() }) {
		g.broken[id] = in
		return g.refuse()
	}
	if a != Continue {
		return Pause
	}
	return Continue
}

func (g *guard) HTTPCallResponse(root, call uint32, headers, bodySize, trailers int) {
	caller, known := g.calls[call]
	delete(g.calls, call)
	if g.run(root, OnHTTPCallResponse, func() { g.vm.HTTPCallResponse(root, call, headers, bodySize, trailers) }) {
		return
	}
	if g.current == root && known && g.host.SetEffectiveContext(caller) == OK {
		g.current = caller
	}
	if g.tracked && g.current == root {
		return // a call of the plugin's own: no request to refuse
	}
	if g.tracked {
		g.broken[g.current] = inRequest
	}
	g.refuse()
}

func (g *guard) Done(id uint32) bool {
	answer := true
	g.run(id, OnDone, func() { answer = g.vm.Done(id) })
	return answer
}

func (g *guard) Log(id uint32) {
	g.run(id, OnLog, func() { g.vm.Log(id) })
}

func (g *guard) Delete(id uint32) {
	g.run(id, OnDelete, func() { g.vm.Delete(id) })
	delete(g.broken, id)
	maps.DeleteFunc(g.calls, func(_, caller uint32) bool { return caller == id })
}

// tracker is the Host of a guarded VM: it tells the guard who acts.
type tracker struct {
	Host
	g *guard
}

func (t tracker) SetEffectiveContext(id uint32) Status {
	s := t.Host.SetEffectiveContext(id)
	if s == OK {
		t.g.current = id
	}
	return s
}

func (t tracker) HTTPCall(cluster string, headers []Pair, body []byte, timeout time.Duration) (uint32, Status) {
	call, s := t.Host.HTTPCall(cluster, headers, body, timeout)
	if s == OK {
		t.g.calls[call] = t.g.current
	}
	return call, s
}

func (t tracker) ContinueStream(stream StreamType) Status {
	if t.g.broken[t.g.current] != 0 {
		return BadArgument
	}
	return t.Host.ContinueStream(stream)
}
