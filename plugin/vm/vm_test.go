package vm_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"kest.example/kest/plugin/proxywasm"
	"kest.example/kest/plugin/vm"
)

const (
	orders = "spiffe://t/orders"
	stock  = "spiffe://t/stock"
)

func TestAllowedAndDenied(t *testing.T) {
	p := newProxy(t)
	if !p.configure(1, configuration(orders, "read", "")) {
		t.Fatalf("%q", p.logs)
	}
	e := entryOf(t, p.passes(2, p.request(2, 1, "GET", "/read?x=1")))
	if e.Operation != "read" || e.Principal() != orders || len(p.header("traceparent")) != 1 {
		t.Errorf("entry %+v, headers %v", e, p.headers)
	}
	p.reset()
	p.refused(3, p.request(3, 1, "GET", "/bad"), 403)
	if p.local.grpc != 7 || len(p.header("traceparent")) != 0 || len(p.header("baggage")) != 0 {
		t.Errorf("gRPC %d, headers %v", p.local.grpc, p.headers)
	}
	p.reset()
	p.refused(4, p.request(4, 1, "GET", "/../read"), 400)
	p.reset()
	p.refused(5, p.request(5, 1, "GET", "/read", proxywasm.Pair{Name: "baggage", Value: "kest.passport=%5B%5D"}, proxywasm.Pair{Name: "baggage", Value: "kest.passport_z=eJyLjgUAARUAuQ"}), 400)
}

// Envoy runs plugins with the same code and vm_id in one VM: each root context
// has its own configuration, and requests belong to their root.
func TestEveryRootContextDecidesByItsOwnConfiguration(t *testing.T) {
	p := newProxy(t)
	if !p.configure(1, configuration(orders, "read", "")) || !p.configure(2, configuration(stock, "count", "")) {
		t.Fatalf("%q", p.logs)
	}
	for round := range uint32(3) {
		for i, c := range []struct {
			root            uint32
			good, bad, from string
		}{{1, "read", "count", orders}, {2, "count", "read", stock}} {
			id := 10 + round*10 + uint32(i)*2
			p.reset()
			if e := entryOf(t, p.passes(id, p.request(id, c.root, "GET", "/"+c.good))); e.Principal() != c.from {
				t.Errorf("root %d signs as %s", c.root, e.Principal())
			}
			p.reset()
			p.refused(id+1, p.request(id+1, c.root, "GET", "/"+c.bad), 403)
		}
	}
	// A request that began before another root was configured stays with its own.
	p.reset()
	p.vm.ContextCreate(90, 1)
	if !p.configure(3, configuration("spiffe://t/third", "third", "")) {
		t.Fatalf("%q", p.logs)
	}
	p.headers = []proxywasm.Pair{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/read"}}
	if e := entryOf(t, p.passes(90, p.vm.RequestHeaders(90, 2, true))); e.Principal() != orders {
		t.Errorf("signed as %s", e.Principal())
	}
}

// A root that is deleted or configured wrongly leaves no filter behind, and the
// others as they are.
func TestNoConfigurationNoPassage(t *testing.T) {
	p := newProxy(t)
	if !p.configure(1, configuration(orders, "read", "")) || !p.configure(2, configuration(stock, "count", "")) {
		t.Fatalf("%q", p.logs)
	}
	p.reset()
	p.configuration = []byte(`{"workload": 1}`)
	if p.vm.Configure(1, len(p.configuration)) {
		t.Error("a wrong configuration is taken")
	}
	if !slices.ContainsFunc(p.logs, func(l string) bool { return strings.HasPrefix(l, "5 kest: ") && strings.Contains(l, "workload") }) {
		t.Errorf("the log does not name the member: %q", p.logs)
	}
	p.refused(3, p.request(3, 1, "GET", "/read"), 503)
	p.reset()
	p.vm.Delete(2)
	p.refused(4, p.request(4, 2, "GET", "/count"), 503)
	p.reset()
	p.fail = map[string]proxywasm.Status{"Buffer7": proxywasm.InternalFailure}
	if p.configure(5, configuration(orders, "read", "")) {
		t.Error("a configuration that can't be read is taken")
	}
	p.reset()
	p.refused(6, p.request(6, 5, "GET", "/read"), 503)
	p.reset()
	p.refused(7, p.vm.RequestHeaders(7, 0, true), 503) // a context that was never made
	p.reset()
	p.refused(8, p.request(8, 77, "GET", "/read"), 503) // of a root that there isn't
	if p.vm.RequestBody(999, 1, true) != proxywasm.Pause || p.vm.RequestTrailers(999, 1) != proxywasm.Pause {
		t.Error("the body of an unknown context goes on")
	}
}

var failures = []proxywasm.Status{
	proxywasm.NotFound, proxywasm.BadArgument, proxywasm.ParseFailure, proxywasm.InvalidMemoryAccess, proxywasm.Empty,
	proxywasm.InternalFailure, proxywasm.Unimplemented, 99,
}

// Whatever the host fails to do, the request does not pass.
func TestNothingPassesWhereTheHostFails(t *testing.T) {
	for _, status := range failures {
		p := newProxy(t)
		if !p.configure(1, configuration(orders, "read", "")) {
			t.Fatalf("%q", p.logs)
		}
		p.fail = map[string]proxywasm.Status{"Pairs0": status}
		p.refused(2, p.request(2, 1, "GET", "/read"), 503)
		if !slices.ContainsFunc(p.logs, func(l string) bool { return strings.HasPrefix(l, "5 kest: refused 503") }) {
			t.Errorf("%v: log %q", status, p.logs)
		}
		if status == proxywasm.NotFound {
			continue
		}
		p.reset()
		carried := p.passes(3, p.request(3, 1, "GET", "/read"))
		p.reset()
		p.fail = map[string]proxywasm.Status{"Property": status} // who the peer is can't be told
		p.refused(4, p.request(4, 1, "GET", "/read", proxywasm.Pair{Name: "baggage", Value: carried}), 503)
	}
}

// Each call that changes a header, wherever it stands, may fail: then nothing passes.
func TestNothingPassesWhereAHeaderEditFails(t *testing.T) {
	p := newProxy(t)
	if !p.configure(1, configuration(orders, "read", "")) {
		t.Fatalf("%q", p.logs)
	}
	carried := p.passes(2, p.request(2, 1, "GET", "/read"))
	trace := proxywasm.Pair{Name: "traceparent", Value: "no traceparent"}
	id := uint32(3)
	for name, headers := range map[string][]proxywasm.Pair{
		"none": nil,
		"one":  {{Name: "baggage", Value: carried}, trace},
		"two":  {{Name: "baggage", Value: carried}, {Name: "baggage", Value: "other=1"}, trace, trace},
	} {
		p.reset()
		p.passes(id, p.request(id, 1, "GET", "/read", headers...))
		edits := p.edits
		if edits == 0 || len(p.header("traceparent")) != 1 || p.header("traceparent")[0] == trace.Value {
			t.Errorf("%s: %d edits, headers %v", name, edits, p.headers)
		}
		for n := 1; n <= edits; n++ {
			for _, status := range failures {
				id++
				p.reset()
				p.failEdit, p.failStatus = n, status
				p.refused(id, p.request(id, 1, "GET", "/read", headers...), 503)
			}
		}
		id++
	}
}

// A refusal that can't be sent still holds the request.
func TestARefusalThatCannotBeSentHolds(t *testing.T) {
	for _, path := range []string{"/bad", "/../x", "/unknown"} {
		for _, status := range failures {
			p := newProxy(t)
			if !p.configure(1, configuration(orders, "read", "")) {
				t.Fatalf("%q", p.logs)
			}
			p.fail = map[string]proxywasm.Status{"SendLocalResponse": status}
			if a := p.request(2, 1, "GET", path); a != proxywasm.Pause || p.vm.RequestBody(2, 1, true) != proxywasm.Pause || p.continued > 0 {
				t.Errorf("%s, %v: action %d", path, status, a)
			}
			if !slices.ContainsFunc(p.logs, func(l string) bool { return strings.HasPrefix(l, "5 kest: no answer") }) {
				t.Errorf("log %q", p.logs)
			}
		}
	}
}

// The verdict is for access logs alone: a host that can't keep it changes nothing.
func TestVerdict(t *testing.T) {
	type verdict struct {
		Allowed    bool     `json:"allowed"`
		DecisionID string   `json:"decision_id"`
		Reason     string   `json:"reason"`
		Entries    int      `json:"entries"`
		Taints     []string `json:"taints"`
		TraceID    string   `json:"trace_id"`
		TrustScore int      `json:"trust_score"`
	}
	p := newProxy(t)
	if !p.configure(1, configuration(orders, "read", "")) {
		t.Fatalf("%q", p.logs)
	}
	read := func() (v verdict) {
		if err := json.Unmarshal([]byte(p.properties[vm.VerdictProperty]), &v); err != nil {
			t.Errorf("%q: %v", p.properties, err)
		}
		return v
	}
	trace := proxywasm.Pair{Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	e := entryOf(t, p.passes(2, p.request(2, 1, "GET", "/read", trace)))
	if v := read(); !v.Allowed || v.DecisionID != e.EntryID || v.Entries != 1 || v.TrustScore != 40 || len(v.Taints) != 0 || v.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("%+v", v)
	}
	if h := p.header("traceparent"); !slices.Equal(h, []string{trace.Value}) {
		t.Errorf("traceparent %q", h)
	}
	p.reset()
	p.refused(3, p.request(3, 1, "GET", "/bad", trace), 403)
	if v := read(); v.Allowed || v.Reason != "policy" || v.DecisionID == "" || !strings.Contains(p.local.body, v.DecisionID) {
		t.Errorf("%+v of %s", v, p.local.body)
	}
	for _, status := range failures {
		p.reset()
		p.fail = map[string]proxywasm.Status{"SetProperty": status}
		p.passes(4, p.request(4, 1, "GET", "/read"))
		p.refused(5, p.request(5, 1, "GET", "/bad"), 403)
	}
}

// The peer that mTLS proved is the one that leaves are held against.
func TestPeer(t *testing.T) {
	for peer, status := range map[string]int{"": 0, orders: 0, stock: 403, "spiffe://elsewhere/x": 0} {
		p := newProxy(t)
		two := strings.Replace(configuration(orders, "read", ""), `"static": [`, `"static": [{"principal": "`+stock+`", "jwk": `+jwk(stock)+`}, `, 1)
		if !p.configure(1, two) {
			t.Fatalf("%q", p.logs)
		}
		carried := p.passes(2, p.request(2, 1, "GET", "/read"))
		p.reset()
		p.peer = peer
		action := p.request(3, 1, "GET", "/read", proxywasm.Pair{Name: "baggage", Value: carried})
		if status != 0 {
			p.refused(3, action, status)
			continue
		}
		p.passes(3, action)
	}
}

// A fixed random source, where a test's host gives one, makes equal entries.
func TestFixedRandom(t *testing.T) {
	var ids []string
	for range 2 {
		p, n := newProxy(t), byte(0)
		p.foreign = map[string]func([]byte) ([]byte, proxywasm.Status){"kest.random": func(count []byte) ([]byte, proxywasm.Status) {
			out := make([]byte, count[0])
			for i := range out {
				n++
				out[i] = n
			}
			return out, proxywasm.OK
		}}
		if !p.configure(1, configuration(orders, "read", "")) {
			t.Fatalf("%q", p.logs)
		}
		ids = append(ids, entryOf(t, p.passes(2, p.request(2, 1, "GET", "/read"))).EntryID[14:])
	}
	if ids[0] != ids[1] {
		t.Errorf("%v", ids)
	}
	// One that fails is no randomness: nothing is signed with it.
	p, asked := newProxy(t), 0
	p.foreign = map[string]func([]byte) ([]byte, proxywasm.Status){"kest.random": func(count []byte) ([]byte, proxywasm.Status) {
		if asked++; asked > 1 {
			return nil, proxywasm.InternalFailure
		}
		return make([]byte, count[0]), proxywasm.OK
	}}
	if p.configure(1, configuration(orders, "read", "")) {
		p.reset()
		p.refused(2, p.request(2, 1, "GET", "/read"), 503)
	}
}
