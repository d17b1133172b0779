package proxywasm_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kest.example/kest/plugin/proxywasm"
)

// fakeHost records what a guard asks of it.
type fakeHost struct {
	proxywasm.Host
	context   uint32
	log       []string
	responses map[uint32]int // context → answers with 503
	continued map[uint32]int
	refuse    proxywasm.Status
}

func newHost() *fakeHost {
	return &fakeHost{responses: make(map[uint32]int), continued: make(map[uint32]int)}
}

func (h *fakeHost) Log(level proxywasm.LogLevel, message string) {
	h.log = append(h.log, fmt.Sprint(level, " ", message))
}

func (h *fakeHost) SendLocalResponse(status int, _ string, headers []proxywasm.Pair, body []byte, grpc int32) proxywasm.Status {
	if status == 503 && grpc == 14 && headers[0].Value == "application/problem+json" && strings.Contains(string(body), "about:blank") {
		h.responses[h.context]++
	}
	return h.refuse
}

func (h *fakeHost) SetEffectiveContext(id uint32) proxywasm.Status {
	h.context = id
	return proxywasm.OK
}

func (h *fakeHost) ContinueStream(proxywasm.StreamType) proxywasm.Status {
	h.continued[h.context]++
	return proxywasm.OK
}

func (h *fakeHost) HTTPCall(string, []proxywasm.Pair, []byte, time.Duration) (uint32, proxywasm.Status) {
	return 100 + h.context, proxywasm.OK
}

// fragile panics where it is told to.
type fragile struct {
	host proxywasm.Host
	at   string
	in   any
}

func (f *fragile) step(name string) {
	if f.at == name {
		panic(f.in)
	}
}
func (f *fragile) ContextCreate(uint32, uint32) { f.step("create") }
func (f *fragile) VMStart(uint32, int) bool     { f.step("start"); return true }
func (f *fragile) Configure(uint32, int) bool   { f.step("configure"); return true }
func (f *fragile) Tick(uint32)                  { f.step("tick") }
func (f *fragile) Done(uint32) bool             { f.step("done"); return false }
func (f *fragile) Log(uint32)                   { f.step("log") }
func (f *fragile) Delete(uint32)                { f.step("delete") }

func (f *fragile) RequestHeaders(uint32, int, bool) proxywasm.Action {
	f.step("headers")
	if f.at == "odd" {
		return 7
	}
	return proxywasm.Continue
}

func (f *fragile) RequestBody(uint32, int, bool) proxywasm.Action {
	f.step("body")
	return proxywasm.Continue
}

func (f *fragile) RequestTrailers(uint32, int) proxywasm.Action {
	f.step("trailers")
	return proxywasm.Continue
}

func (f *fragile) ResponseHeaders(uint32, int, bool) proxywasm.Action {
	f.step("response")
	return proxywasm.Continue
}

func (f *fragile) HTTPCallResponse(_, _ uint32, _, _, _ int) {
	f.step("call")
	f.host.SetEffectiveContext(2)
	f.step("call in context")
	f.host.ContinueStream(proxywasm.RequestStream)
}

type loud struct{}

func (loud) Error() string { panic("again") }

func TestGuardRefuses(t *testing.T) {
	for _, at := range []string{"headers", "body", "trailers", "create"} {
		for _, value := range []any{"text", errors.New("text"), 3, nil, loud{}} {
			h := newHost()
			h.context = 2
			vm := proxywasm.Guarded(&fragile{at: at, in: value}, h)
			vm.ContextCreate(2, 1)
			actions := []proxywasm.Action{vm.RequestHeaders(2, 0, false), vm.RequestBody(2, 0, false), vm.RequestTrailers(2, 0)}
			broken := at == "headers" || at == "create"
			for i, a := range actions {
				broken = broken || at == []string{"headers", "body", "trailers"}[i]
				if broken != (a == proxywasm.Pause) {
					t.Errorf("%s %v: action %d is %v", at, value, i, a)
				}
			}
			if h.responses[2] != 1 {
				t.Errorf("%s %v: %d answers", at, value, h.responses[2])
			}
			if a := vm.ResponseHeaders(2, 0, false); a != proxywasm.Continue {
				t.Errorf("%s %v: the refusal itself is held", at, value)
			}
			vm.Delete(2)
			if a := vm.ResponseHeaders(2, 0, false); a != proxywasm.Continue {
				t.Errorf("%s: context 2 is still broken after its end", at)
			}
		}
	}
}

func TestGuardConfiguration(t *testing.T) {
	for at, want := range map[string][2]bool{"": {true, true}, "start": {false, true}, "configure": {true, false}, "create": {false, false}} {
		vm := proxywasm.Guarded(&fragile{at: at, in: "x"}, newHost())
		vm.ContextCreate(1, 0)
		if got := [2]bool{vm.VMStart(1, 0), vm.Configure(1, 0)}; got != want {
			t.Errorf("%q: %v", at, got)
		}
	}
}

func TestGuardResponse(t *testing.T) {
	h := newHost()
	vm := proxywasm.Guarded(&fragile{at: "response", in: "x"}, h)
	for range 2 {
		if a := vm.ResponseHeaders(2, 0, false); a != proxywasm.Pause {
			t.Error("a response went on after a panic")
		}
	}
	if h.responses[0] != 1 || len(h.log) != 1 || !strings.HasPrefix(h.log[0], "5 panic in proxy_on_response_headers: x") {
		t.Error(h.responses, h.log)
	}
}

func TestGuardUnknownAction(t *testing.T) {
	if a := proxywasm.Guarded(&fragile{at: "odd"}, newHost()).RequestHeaders(2, 0, false); a != proxywasm.Pause {
		t.Error(a)
	}
}

func TestGuardHoldsWithoutAnswer(t *testing.T) {
	h := newHost()
	h.refuse = proxywasm.InternalFailure
	if a := proxywasm.Guarded(&fragile{at: "headers", in: 1}, h).RequestHeaders(2, 0, false); a != proxywasm.Pause {
		t.Error(a)
	}
	panicking := struct{ proxywasm.Host }{} // every call is a nil dereference
	if a := proxywasm.Guarded(&fragile{at: "headers", in: 1}, panicking).RequestHeaders(2, 0, false); a != proxywasm.Pause {
		t.Error(a)
	}
}

func TestGuardLifecycle(t *testing.T) {
	for _, at := range []string{"tick", "done", "log", "delete"} {
		h := newHost()
		vm := proxywasm.Guarded(&fragile{at: at, in: "x"}, h)
		vm.Tick(1)
		if done := vm.Done(2); done != (at == "done") {
			t.Error(at, done)
		}
		vm.Log(2)
		vm.Delete(2)
		if len(h.log) != 1 || len(h.responses) != 0 {
			t.Error(at, h.log, h.responses)
		}
	}
}

// caller makes a call in each request.
type caller struct{ fragile }

func (c *caller) RequestHeaders(uint32, int, bool) proxywasm.Action {
	c.host.HTTPCall("cluster", nil, nil, time.Second)
	return proxywasm.Pause
}

func TestGuardCallResponse(t *testing.T) {
	for _, at := range []string{"call", "call in context"} {
		h := newHost()
		var inner *caller
		vm := proxywasm.Guard(h, func(tracked proxywasm.Host) proxywasm.VM {
			inner = &caller{fragile{host: tracked, at: at, in: "x"}}
			return inner
		})
		h.context = 2
		vm.RequestHeaders(2, 0, false)
		h.context = 1
		vm.HTTPCallResponse(1, 102, 1, 0, 0)
		if h.responses[2] != 1 || h.responses[1] != 0 {
			t.Error(at, h.responses)
		}
		if a := vm.RequestBody(2, 0, true); a != proxywasm.Pause {
			t.Error(at, a)
		}
		inner.at = ""
		vm.HTTPCallResponse(1, 103, 1, 0, 0)
		if h.continued[2] != 0 {
			t.Error(at, "a broken request went on")
		}
	}
}

func TestGuardOwnCall(t *testing.T) {
	h := newHost()
	vm := proxywasm.Guard(h, func(tracked proxywasm.Host) proxywasm.VM { return &fragile{host: tracked, at: "call", in: "x"} })
	vm.HTTPCallResponse(1, 9, 0, 0, 0)
	if len(h.responses) != 0 || len(h.log) != 1 {
		t.Error(h.responses, h.log)
	}
}
