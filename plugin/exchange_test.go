package plugin_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jws"
	"kest.example/kest/plugin"
)

// station is a filter whose log and host a test sees.
type station struct {
	*plugin.Filter
	mu  sync.Mutex
	log strings.Builder
}

func newStation(t *testing.T, configuration string, change func(*plugin.Environment)) *station {
	t.Helper()
	s := &station{}
	env := plugin.Environment{Now: time.Now, Random: rand.Reader, Cedar: newCedar, Log: func(_ plugin.Level, m string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log.WriteString(m + "\n")
	}}
	if change != nil {
		change(&env)
	}
	f, err := plugin.New([]byte(configuration), env)
	if err != nil {
		t.Fatal(err)
	}
	s.Filter = f
	return s
}

func seeded() string { return strings.Replace(single, "SEED", seedText("o"), 1) }

// onward is the request that the step's edits make for the next hop.
func onward(t *testing.T, step plugin.Step) *plugin.Request {
	t.Helper()
	if step.Kind != plugin.Continue {
		t.Fatalf("%+v", step)
	}
	var headers []plugin.Header
	for _, e := range step.Edits {
		headers = append(headers, plugin.Header(e))
	}
	return get(headers...)
}

func wantRefusal(t *testing.T, name string, step plugin.Step, status int) {
	t.Helper()
	if step.Kind != plugin.Refuse || step.Response.Status != status {
		t.Errorf("%s: %+v, want %d", name, step, status)
	}
}

func TestZeroStepRefuses(t *testing.T) {
	if (plugin.Step{}).Kind != plugin.Refuse {
		t.Error("a forgotten step lets the request through")
	}
	if r := plugin.Unavailable(); r.Status != 503 || r.GRPC != 14 {
		t.Errorf("%+v", r)
	}
}

func TestPeerMustBeTheLeaf(t *testing.T) { // CONTRACT 3.9
	s := newStation(t, seeded(), nil)
	_, step := s.Begin(get())
	for peer, status := range map[string]int{"": 200, "spiffe://t/orders": 200, "spiffe://t/proxy": 200, "spiffe://t/gw": 403} {
		configuration := strings.Replace(seeded(), `"identity"`, `"keys": {"static": [{"principal": "spiffe://t/gw",
			"jwk": {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}]}, "identity"`, 1)
		next := newStation(t, configuration, nil)
		request := onward(t, step)
		request.Peer = func() (string, bool) { return peer, true }
		_, got := next.Begin(request)
		if status == 200 && got.Kind != plugin.Continue {
			t.Errorf("peer %q: %+v", peer, got)
		} else if status != 200 {
			wantRefusal(t, "peer "+peer, got, status)
		}
		reporting := newStation(t, strings.Replace(configuration, `"identity"`, `"lineage": {"peer": "report"}, "identity"`, 1), nil)
		if _, got = reporting.Begin(request); got.Kind != plugin.Continue {
			t.Errorf("peer %q reported: %+v", peer, got)
		}
	}
}

// A denial is logged with entry_id, policy, tier and workload (NF-OBS-01); the
// client sees none but the decision id.
func TestDenialIsLogged(t *testing.T) {
	configuration := strings.Replace(seeded(), "context.trust_score >= 10", "context.trust_score >= 99", 1)
	s := newStation(t, configuration, nil)
	x, step := s.Begin(get())
	wantRefusal(t, "denial", step, 403)
	if x.Signed() != nil {
		t.Error("something was signed")
	}
	var body struct {
		ID string `json:"decision_id"`
	}
	if err := json.Unmarshal(step.Response.Body, &body); err != nil || body.ID == "" {
		t.Fatal(err)
	}
	for _, part := range []string{body.ID, "trusted", "function", "spiffe://t/orders", "orders.read"} {
		if !strings.Contains(s.log.String(), part) {
			t.Errorf("the log lacks %q: %s", part, s.log.String())
		}
	}
	for _, part := range []string{"trusted", "function", "orders"} {
		if strings.Contains(string(step.Response.Body), part) {
			t.Errorf("the client is told %q", part)
		}
	}
	if want := `{"allowed":false,"decision_id":"` + body.ID + `","reason":"policy","trace_id":`; !strings.HasPrefix(step.Verdict, want) {
		t.Errorf("verdict %s", step.Verdict)
	}
}

func TestVerdictOfWhatPasses(t *testing.T) {
	s := newStation(t, seeded(), nil)
	x, step := s.Begin(get())
	var verdict map[string]any
	if err := json.Unmarshal([]byte(step.Verdict), &verdict); err != nil {
		t.Fatal(err)
	}
	if verdict["allowed"] != true || verdict["decision_id"] != x.Signed().Entry.EntryID || verdict["trust_score"] != 40.0 || verdict["entries"] != 1.0 {
		t.Errorf("verdict %v", verdict)
	}
}

func TestShadowIsLogged(t *testing.T) {
	configuration := strings.Replace(seeded(), `"policies": ["trusted"]`, `"policies": ["trusted"], "shadow_policies": ["strict", "mild", "broken"]`, 1)
	configuration = strings.Replace(configuration, `"cedar": {`, `"cedar": {"strict": "forbid(principal, action, resource);",
		"mild": "permit(principal, action, resource);", "broken": "permit(principal, action, resource) when { context.nothing };", `, 1)
	s := newStation(t, configuration, nil)
	if _, step := s.Begin(get()); step.Kind != plugin.Continue {
		t.Fatalf("%+v", step)
	}
	for _, part := range []string{`"strict" would deny`, `"mild" would allow`, `"broken" would deny`} {
		if !strings.Contains(s.log.String(), part) {
			t.Errorf("the log lacks %s: %s", part, s.log.String())
		}
	}
}

// Without randomness nothing passes, and the answer is still an answer.
func TestWithoutRandomness(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s := newStation(t, seeded(), func(e *plugin.Environment) { e.Random = strings.NewReader("") })
	_, step := s.Begin(get())
	wantRefusal(t, "no trace can be made", step, 503)
	_, step = s.Begin(get(plugin.Header{Name: "traceparent", Value: trace}))
	wantRefusal(t, "no entry can be made", step, 503)
	_, step = s.Begin(get(plugin.Header{Name: "traceparent", Value: trace}, plugin.Header{Name: "baggage", Value: "kest.passport=x"}))
	wantRefusal(t, "a request that would be refused anyway", step, 400)
	if len(step.Response.Body) == 0 {
		t.Error("no body")
	}
}

// host is what a Go host offers.
type host map[string]func(argument []byte) ([]byte, bool)

func (h host) call(name string, argument []byte) ([]byte, bool) {
	if f := h[name]; f != nil {
		return f(argument)
	}
	return nil, false
}

func TestHostVerifies(t *testing.T) {
	first := newStation(t, seeded(), nil)
	_, step := first.Begin(get())
	request := onward(t, step)
	probed := func(answer []byte, ok bool) func([]byte) ([]byte, bool) {
		return func(argument []byte) ([]byte, bool) {
			if len(argument) == 0 { // at the start: is there such a function?
				return []byte{1}, true
			}
			return answer, ok
		}
	}
	asked := 0
	for name, c := range map[string]struct {
		verify func([]byte) ([]byte, bool)
		status int
	}{
		"good":      {probed([]byte{1}, true), 200},
		"bad":       {probed([]byte{0}, true), 403},
		"no answer": {probed(nil, true), 503},
		"too long":  {probed([]byte{1, 1}, true), 503},
		"two":       {probed([]byte{2}, true), 403},
		"failure":   {probed(nil, false), 503},
		"no such":   {nil, 200},
		"checks all": {func(argument []byte) ([]byte, bool) {
			checks, err := hostcall.ParseChecks(argument, hostcall.ParseKey)
			if err != nil {
				t.Errorf("the argument does not parse: %v", err)
			}
			asked += len(checks)
			return []byte{map[bool]byte{true: 1}[jws.VerifyAll(checks)]}, true
		}, 200},
	} {
		s := newStation(t, seeded(), func(e *plugin.Environment) { e.Foreign = host{hostcall.Verify: c.verify}.call })
		_, got := s.Begin(request)
		if c.status == 200 && got.Kind != plugin.Continue {
			t.Errorf("%s: %+v", name, got)
		} else if c.status != 200 {
			wantRefusal(t, name, got, c.status)
		}
	}
	if asked == 0 {
		t.Error("the host was not asked")
	}
}

// A host that signs must sign as the guest would; one that doesn't is not used.
func TestHostSigns(t *testing.T) {
	for name, sign := range map[string]func([]byte) ([]byte, bool){
		"nonsense": func([]byte) ([]byte, bool) { return make([]byte, 64), true },
		"nothing":  func([]byte) ([]byte, bool) { return nil, true },
		"failure":  func([]byte) ([]byte, bool) { return nil, false },
	} {
		s := newStation(t, seeded(), func(e *plugin.Environment) { e.Foreign = host{hostcall.Sign: sign}.call })
		_, step := s.Begin(get())
		if _, next := newStation(t, seeded(), nil).Begin(onward(t, step)); next.Kind != plugin.Continue {
			t.Errorf("%s: what was signed does not verify: %+v", name, next)
		}
	}
}

func TestHostKeepsClaims(t *testing.T) {
	store := map[string]string{}
	full := false
	keeper := host{
		hostcall.ClaimGet: func(id []byte) ([]byte, bool) { return []byte(store[string(id)]), true },
		hostcall.ClaimPut: func(argument []byte) ([]byte, bool) {
			id, body, seconds, err := hostcall.ParseClaim(argument)
			if err != nil || seconds != 300 {
				t.Errorf("%s for %d s, %v", id, seconds, err)
			}
			if full {
				return nil, false
			}
			store[id] = string(body)
			return nil, true
		},
	}
	configuration := strings.Replace(seeded(), `"identity"`, `"propagation": {"max_bytes": 64, "compress": false}, "identity"`, 1)
	configuration = strings.Replace(configuration, "context.lineage.depth < 3", "context.lineage.depth < 9", 1)
	s := newStation(t, configuration, func(e *plugin.Environment) { e.Foreign = keeper.call })
	request := get()
	for hop := range 4 {
		x, step := s.Begin(request)
		if step.Kind != plugin.Continue || x.Signed().Lineage.Len() != hop+1 || len(store) != hop+1 {
			t.Fatalf("hop %d: %+v, %d claims", hop, step, len(store))
		}
		request = onward(t, step)
	}
	full = true
	_, step := s.Begin(request)
	wantRefusal(t, "a store that is full", step, 503)
	clear(store)
	_, step = s.Begin(request)
	wantRefusal(t, "a claim that is gone", step, 403)
}

// The claim store behind a cluster: what is asked, and what its answers mean.
func TestClaimCallouts(t *testing.T) {
	configuration := strings.Replace(seeded(), `"identity"`, `"propagation": {"max_bytes": 64, "compress": false, "claim_check": {"cluster": "kest_agent", "ttl": "90s"}}, "identity"`, 1)
	s := newStation(t, configuration, nil)
	headers := func(c plugin.Call) map[string]string {
		m := map[string]string{}
		for _, h := range c.Headers {
			m[h.Name] = h.Value
		}
		return m
	}
	path := regexp.MustCompile(`^/v1/claims/[0-9a-f-]{36}(\?ttl=90)?$`)
	for status, want := range map[int]plugin.Kind{204: plugin.Continue, 201: plugin.Continue, 200: plugin.Continue, 409: plugin.Refuse, 507: plugin.Refuse, 0: plugin.Refuse, 302: plugin.Refuse} {
		x, step := s.Begin(get())
		if step.Kind != plugin.CallOut || step.Call.Cluster != "kest_agent" || headers(step.Call)[":method"] != "PUT" || !path.MatchString(headers(step.Call)[":path"]) ||
			headers(step.Call)["traceparent"] == "" || step.Call.Timeout <= 0 || !bytes.HasPrefix(step.Call.Body, []byte(`["`)) {
			t.Fatalf("%+v", step)
		}
		body := step.Call.Body
		step = x.Resume(plugin.CallResult{Status: status})
		if step.Kind != want || want == plugin.Refuse && step.Response.Status != 503 {
			t.Errorf("stored with %d: %+v", status, step)
		}
		if want == plugin.Refuse {
			continue
		}
		request := onward(t, step)
		for answer, want := range map[int]int{404: 403, 500: 503, 0: 503, 302: 503, 204: 503} {
			x, step := s.Begin(request)
			if step.Kind != plugin.CallOut || headers(step.Call)[":method"] != "GET" || !path.MatchString(headers(step.Call)[":path"]) {
				t.Fatalf("%+v", step)
			}
			wantRefusal(t, "fetched", x.Resume(plugin.CallResult{Status: answer}), want)
			wantRefusal(t, "an answer too many", x.Resume(plugin.CallResult{Status: 200, Body: body}), 503)
		}
		x, _ = s.Begin(request)
		if step = x.Resume(plugin.CallResult{Status: 200, Body: body}); step.Kind != plugin.CallOut { // which is stored again, one entry longer
			t.Errorf("fetched: %+v", step)
		}
		if got := x.Resume(plugin.CallResult{Status: 204}); got.Kind != plugin.Continue || x.Signed().Lineage.Len() != 2 {
			t.Errorf("and stored: %+v", got)
		}
	}
}

// Concurrent requests never share mutable state: each gets an entry of its own.
func TestConcurrentRequests(t *testing.T) {
	s := newStation(t, seeded(), func(e *plugin.Environment) { e.Random = &lockedReader{r: rand.Reader} })
	_, step := s.Begin(get())
	request := onward(t, step)
	ids := make(chan string, 64)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 8 {
				x, step := s.Begin(request)
				if step.Kind != plugin.Continue || x.Signed().Lineage.Len() != 2 {
					t.Errorf("%+v", step)
					return
				}
				ids <- x.Signed().Entry.EntryID
			}
		})
	}
	wg.Wait()
	close(ids)
	seen := make(map[string]bool)
	for id := range ids {
		if seen[id] {
			t.Errorf("two entries %s", id)
		}
		seen[id] = true
	}
	if len(seen) != 64 {
		t.Errorf("%d entries", len(seen))
	}
}

type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

// A filter that verifies only needs no identity and no policies, and signs nothing.
func TestVerifyOnly(t *testing.T) {
	first := newStation(t, seeded(), nil)
	_, step := first.Begin(get())
	request := onward(t, step)
	key := `{"kty":"OKP","crv":"Ed25519","x":"` + jws.Encode(publicOf(t, "o")) + `"}`
	s := newStation(t, `{"workload": "spiffe://t/edge", "insecure_trust_all_claims": true, "keys": {"static": [{"principal": "spiffe://t/orders", "jwk": `+key+`}]},
		"routes": [{"match": {"path": "/orders/{id}"}}]}`, func(e *plugin.Environment) { e.VerifyOnly, e.Cedar = true, nil })
	x, step := s.Begin(request)
	if step.Kind != plugin.Continue || len(step.Edits) != 0 || x.Signed() != nil || !strings.Contains(step.Verdict, `"entries":1`) {
		t.Errorf("%+v", step)
	}
	_, step = s.Begin(get())
	wantRefusal(t, "no passport", step, 403)
}

func publicOf(t *testing.T, c string) []byte {
	t.Helper()
	public, ok := ed25519.NewKeyFromSeed([]byte(strings.Repeat(c, 32))).Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("no Ed25519 key")
	}
	return public
}
