package vm_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kest.example/kest/baggage"
	"kest.example/kest/plugin/proxywasm"
)

const uuid = "9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11"

// claimed is a request whose passport is in the claim store, and that passport.
func claimed(t *testing.T, p *proxy) (header proxywasm.Pair, passport string) {
	t.Helper()
	in, err := baggage.Parse([]string{p.passes(2, p.request(2, 1, "GET", "/read"))}, baggage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tip := ""
	for _, m := range strings.Split(p.header("baggage")[0], ",") {
		if name, value, _ := strings.Cut(m, "="); name == baggage.ChainTip {
			if tip, err = url.PathUnescape(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.reset()
	return proxywasm.Pair{Name: "baggage", Value: "kest.claim_check=" + uuid + ",kest.chain_tip=" + tip}, in.Passport.String()
}

func (p *proxy) respond(call uint32, status, body string) {
	p.answer = httpAnswer{[]proxywasm.Pair{{Name: ":status", Value: status}, {Name: "x-other", Value: "1"}}, []byte(body)}
	p.vm.HTTPCallResponse(1, call, len(p.answer.headers), len(body), 0)
}

func newClaimProxy(t *testing.T) (p *proxy, header proxywasm.Pair, passport string) {
	p = newProxy(t)
	if !p.configure(1, configuration(orders, "read", "")) {
		t.Fatalf("%q", p.logs)
	}
	header, passport = claimed(t, p)
	return p, header, passport
}

func TestClaimCheckResumes(t *testing.T) {
	p, header, passport := newClaimProxy(t)
	if a := p.request(3, 1, "GET", "/read", header); a != proxywasm.Pause || p.local != nil || len(p.calls) != 1 {
		t.Fatalf("action %d, %d calls, answer %+v", a, len(p.calls), p.local)
	}
	c := p.calls[0]
	for _, want := range []proxywasm.Pair{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/v1/claims/" + uuid}, {Name: ":authority", Value: cluster}} {
		if !slices.Contains(c.headers, want) {
			t.Errorf("the call has no %v: %v", want, c.headers)
		}
	}
	if c.cluster != cluster || c.body != "" || c.timeout <= 0 || c.timeout > 5*time.Second {
		t.Errorf("call %+v", c)
	}
	if p.vm.RequestBody(3, 10, false) != proxywasm.Pause || p.vm.RequestTrailers(3, 1) != proxywasm.Pause {
		t.Error("the body goes on while the claim is fetched")
	}
	p.respond(c.id, "200", passport)
	if p.continued != 1 || p.local != nil || !slices.Equal(p.effective, []uint32{3}) {
		t.Fatalf("continued %d times, answer %+v, effective %v, log %q", p.continued, p.local, p.effective, p.logs)
	}
	if e := entryOf(t, p.wentOn(3)); len(e.ParentIDs) != 1 || e.ParentIDs[0] == "0" {
		t.Errorf("parents %v", e.ParentIDs)
	}
	p.respond(c.id, "200", passport) // an answer comes once
	if p.continued != 1 {
		t.Error("a second answer resumed the request again")
	}
}

func TestClaimCheckRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status, body string
		want         int
	}{
		"not there": {"404", "", 403}, "a failure": {"500", "[]", 503}, "another success": {"204", "", 503}, "a redirect": {"302", "", 503},
		"nothing": {"200", "", 403}, "no passport": {"200", "{}", 400}, "another passport": {"200", "[]", 403}, "no JSON": {"200", "<html>", 400},
		"no status": {"", "[]", 503}, "a strange status": {"2000", "[]", 503}, "letters": {"abc", "[]", 503},
	} {
		t.Run(name, func(t *testing.T) {
			p, header, _ := newClaimProxy(t)
			p.request(3, 1, "GET", "/read", header)
			p.respond(p.calls[0].id, c.status, c.body)
			p.refused(3, proxywasm.Pause, c.want)
			if !slices.Equal(p.effective, []uint32{3}) {
				t.Errorf("answered in the contexts %v", p.effective)
			}
		})
	}
}

func TestClaimCheckWhereTheHostFails(t *testing.T) {
	for _, status := range failures {
		p, header, passport := newClaimProxy(t)
		p.fail = map[string]proxywasm.Status{"HTTPCall": status}
		p.refused(3, p.request(3, 1, "GET", "/read", header), 503)

		for _, method := range []string{"Pairs6", "Buffer4"} {
			p.reset()
			p.request(4, 1, "GET", "/read", header)
			p.fail = map[string]proxywasm.Status{method: status}
			p.respond(p.calls[0].id, "200", passport)
			p.refused(4, proxywasm.Pause, 503)
		}
		p.reset()
		p.request(5, 1, "GET", "/read", header)
		p.failEdit, p.failStatus = p.edits+1, status
		p.respond(p.calls[0].id, "200", passport)
		p.refused(5, proxywasm.Pause, 503)
		p.reset()
		p.request(6, 1, "GET", "/read", header)
		p.fail = map[string]proxywasm.Status{"SetEffectiveContext": status}
		p.respond(p.calls[0].id, "200", passport)
		if p.continued != 0 || p.local != nil || p.vm.RequestBody(6, 1, true) != proxywasm.Pause {
			t.Errorf("%v: what follows went to another context: continued %d, answer %+v", status, p.continued, p.local)
		}
		p.reset()
		p.request(7, 1, "GET", "/read", header)
		p.fail = map[string]proxywasm.Status{"SendLocalResponse": status}
		p.respond(p.calls[0].id, "404", "")
		if p.continued != 0 || p.vm.RequestBody(7, 1, true) != proxywasm.Pause {
			t.Errorf("%v: a refusal that can't be sent lets the request pass", status)
		}
	}
}

// A failed call has no headers; one that is too long isn't read.
func TestFailedCalls(t *testing.T) {
	p, header, passport := newClaimProxy(t)
	p.request(3, 1, "GET", "/read", header)
	p.answer = httpAnswer{nil, nil}
	p.vm.HTTPCallResponse(1, p.calls[0].id, 0, 0, 0)
	p.refused(3, proxywasm.Pause, 503)
	p.reset()
	p.request(4, 1, "GET", "/read", header)
	p.answer = httpAnswer{[]proxywasm.Pair{{Name: ":status", Value: "200"}}, []byte(passport)}
	p.vm.HTTPCallResponse(1, p.calls[0].id, 1, 2<<20, 0)
	p.refused(4, proxywasm.Pause, 503)
}

// A client may go away while a call is under way, and its id come again.
func TestAnAnswerForADeletedContextIsIgnored(t *testing.T) {
	p, header, passport := newClaimProxy(t)
	p.request(3, 1, "GET", "/read", header)
	call := p.calls[0].id
	p.vm.Done(3)
	p.vm.Log(3)
	p.vm.Delete(3)
	p.respond(call, "200", passport)
	if p.continued != 0 || p.local != nil || len(p.effective) != 0 {
		t.Errorf("continued %d, answer %+v, effective %v", p.continued, p.local, p.effective)
	}
	// The same id, another request: the old answer must not resume it.
	p.reset()
	p.request(3, 1, "GET", "/read", header)
	old := p.calls[0].id
	p.vm.Delete(3)
	p.reset()
	p.calls = make([]httpCall, 1) // ids go on
	p.request(3, 1, "GET", "/read", header)
	p.respond(old, "200", passport)
	if p.continued != 0 || p.local != nil || p.vm.RequestBody(3, 1, true) != proxywasm.Pause {
		t.Errorf("the answer of a request that is gone resumed another: continued %d, answer %+v", p.continued, p.local)
	}
	p.respond(p.calls[1].id, "200", passport)
	if p.continued != 1 {
		t.Errorf("its own answer: continued %d, log %q", p.continued, p.logs)
	}
	p.respond(424242, "200", passport)
	if p.continued != 1 {
		t.Error("an answer to no call resumed a request")
	}
}

// Answers come in any order, each to its own request.
func TestManyCallsUnderWay(t *testing.T) {
	p, header, passport := newClaimProxy(t)
	const n = 10
	headers := make(map[uint32][]proxywasm.Pair)
	for id := uint32(10); id < 10+n; id++ {
		p.request(id, 1, "GET", "/read", header, proxywasm.Pair{Name: "x-id", Value: fmt.Sprint(id)})
		headers[id] = p.headers
	}
	for i := n - 1; i >= 0; i-- {
		id := uint32(10 + i)
		p.headers, p.continued, p.local = headers[id], 0, nil
		status, body := "200", passport
		if i%3 == 0 {
			status, body = "404", ""
		}
		p.respond(p.calls[i].id, status, body)
		if p.effective[len(p.effective)-1] != id || (p.continued == 1) != (status == "200") || (p.local != nil) != (status == "404") {
			t.Errorf("request %d, %s: continued %d, answer %+v", id, status, p.continued, p.local)
		}
		if (p.vm.RequestBody(id, 1, true) == proxywasm.Continue) != (status == "200") {
			t.Errorf("request %d, %s: its body", id, status)
		}
	}
}

// A passport that fits into no header is stored first; without a store nothing goes on.
func TestClaimsAreStoredBeforeTheRequestGoesOn(t *testing.T) {
	for answer, want := range map[string]int{"204": 0, "200": 0, "409": 503, "507": 503, "": 503} {
		p := newProxy(t)
		if !p.configure(1, strings.Replace(configuration(orders, "read", ""), `"propagation": {`, `"propagation": {"max_bytes": 300, `, 1)) {
			t.Fatalf("%q", p.logs)
		}
		if a := p.request(2, 1, "GET", "/read"); a != proxywasm.Pause || len(p.calls) != 1 || len(p.header("baggage")) != 0 {
			t.Fatalf("action %d, %d calls, headers %v, log %q", a, len(p.calls), p.headers, p.logs)
		}
		c := p.calls[0]
		if !slices.Contains(c.headers, proxywasm.Pair{Name: ":method", Value: "PUT"}) || !strings.HasPrefix(c.body, `["ey`) {
			t.Errorf("%v %q", c.headers, c.body)
		}
		p.respond(c.id, answer, "")
		if want != 0 {
			p.refused(2, proxywasm.Pause, want)
			continue
		}
		if header := p.wentOn(2); p.continued != 1 || !strings.Contains(header, "kest.claim_check=") || strings.Contains(header, "kest.passport") {
			t.Errorf("%s: continued %d, baggage %q", answer, p.continued, header)
		}
	}
}
