package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
)

const proxyConfig = `
workload: spiffe://t/orders
identity: {insecure_seed: b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28}
keys:
  static:
    - {principal: spiffe://t/edge, jwk: EDGE}
    - {principal: spiffe://t/agent, jwk: AGENT}
authority:
  - {principal: "spiffe://t/edge", origins: [user_input], max_root_trust: 40}
propagation: {claim_check: {cluster: claims}}
policies:
  cedar:
    no-llm-delete: |
      permit(principal, action, resource);
      forbid(principal, action, resource)
      when { context.taints.contains("llm") && context.environment.operation == "orders.delete" };
routes:
  - match: {methods: [GET], path: "/orders/{id}"}
    operation: orders.read
    policies: [no-llm-delete]
  - match: {methods: [DELETE], path: "/orders/{id}"}
    operation: orders.delete
    policies: [no-llm-delete]
`

func TestProxy(t *testing.T) {
	u, metrics := newUpstream(t), freeAddress(t)
	p := startProxy(t, configFor(t), "--upstream", u.URL, "--metrics", metrics)
	sent := passport(t)
	before := time.Now()

	answer, body := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7?all=1", "Baggage", baggageOf(sent), "Baggage", "other=kept", "X-App", "1")
	if answer.StatusCode != http.StatusAccepted || body != "read\n" || answer.Header.Get("X-Upstream") != "yes" {
		t.Fatalf("allowed: %d %q %q", answer.StatusCode, body, p.lines())
	}
	checkUpstream(t, u.requests(), sent, p.address, before)

	answer, body = fetch(t, http.MethodDelete, "http://"+p.address+"/orders/7", "Baggage", baggageOf(sent))
	checkRefusal(t, answer, body, http.StatusForbidden)
	answer, body = fetch(t, http.MethodGet, "http://"+p.address+"/orders/7", "Baggage", baggageOf(forged(t)))
	checkRefusal(t, answer, body, http.StatusForbidden)
	answer, body = fetch(t, http.MethodGet, "http://"+p.address+"/orders/7")
	checkRefusal(t, answer, body, http.StatusForbidden)
	answer, body = fetch(t, http.MethodGet, "http://"+p.address+"/orders/%2e%2e")
	checkRefusal(t, answer, body, http.StatusBadRequest)
	if n := len(u.requests()); n != 1 {
		t.Errorf("the upstream saw %d requests, not the allowed one alone", n)
	}

	if answer, body := fetch(t, http.MethodGet, "http://"+metrics+"/healthz"); answer.StatusCode != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", answer.StatusCode, body)
	}
	_, body = fetch(t, http.MethodGet, "http://"+metrics+"/metrics")
	for _, line := range []string{
		`kest_requests_total{status="202"} 1`, `kest_requests_total{status="403"} 3`, `kest_requests_total{status="400"} 1`,
		"kest_passed_total 1", "kest_request_seconds_count 5",
	} {
		if !strings.Contains("\n"+body, "\n"+line+"\n") {
			t.Errorf("/metrics has no line %q:\n%s", line, body)
		}
	}
	code, log := p.stop(t)
	if code != exitGood {
		t.Errorf("exit %d after SIGTERM: %s", code, log)
	}
	if n := strings.Count(log, "refused 40"); n != 4 || !strings.Contains(log, "no-llm-delete") || !strings.Contains(log, "signature") {
		t.Errorf("%d refusals in the log:\n%s", n, log)
	}
}

func configFor(t *testing.T) string {
	return strings.NewReplacer("EDGE", identity(t, edge).Key.JWK(), "AGENT", identity(t, agent).Key.JWK()).Replace(proxyConfig)
}

// checkUpstream looks at the one request that went on: the passport has one
// entry more, of this workload, and everything else is as it was.
func checkUpstream(t *testing.T, seen []*http.Request, sent kest.Passport, host string, before time.Time) {
	t.Helper()
	if len(seen) != 1 {
		t.Fatalf("the upstream saw %d requests", len(seen))
	}
	r := seen[0]
	if r.URL.RequestURI() != "/orders/7?all=1" || r.Method != http.MethodGet || r.Host != host || r.Header.Get("X-App") != "1" {
		t.Errorf("the upstream saw %s %s for %s, %v", r.Method, r.URL, r.Host, r.Header)
	}
	if len(r.Header.Values("Baggage")) != 1 || !strings.Contains(r.Header.Get("Baggage"), "other=kept") || len(r.Header.Values("Traceparent")) != 1 {
		t.Errorf("headers %v", r.Header)
	}
	if r.Header.Get("X-Forwarded-For") != "127.0.0.1" || r.Header.Get("X-Forwarded-Host") != host {
		t.Errorf("forwarded: %v", r.Header)
	}
	in, err := baggage.Parse(r.Header.Values("Baggage"), baggage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	entries := in.Passport.Entries()
	if len(entries) != 3 || entries[0] != sent.Entries()[0] || entries[1] != sent.Entries()[1] {
		t.Fatalf("the passport that went on has %d entries", len(entries))
	}
	orders, err := kest.ParsePublicKey([]byte(identity(t, "spiffe://t/o").Key.JWK()))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := kest.NewVerifier(kest.StaticKeys{
		edge: {identity(t, edge).Key}, agent: {identity(t, agent).Key}, "spiffe://t/orders": {orders},
	}, kest.Authority{{Principal: edge, Origins: []string{"user_input"}, MaxRootTrust: 40}}, kest.WithSchema(kest.SchemaStrict))
	if err != nil {
		t.Fatal(err)
	}
	lineage, err := verifier.Verify(context.Background(), in.Passport)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.CheckTip(lineage); err != nil {
		t.Error(err)
	}
	e := lineage.Entries()[2]
	if e.Operation != "orders.read" || e.Principal() != "spiffe://t/orders" || e.TimestampMS < before.UnixMilli() || e.TimestampMS > time.Now().UnixMilli() {
		t.Errorf("the new entry %+v", e)
	}
}

func checkRefusal(t *testing.T, answer *http.Response, body string, status int) {
	t.Helper()
	var problem struct {
		DecisionID string `json:"decision_id"`
		Status     int    `json:"status"`
		Title      string `json:"title"`
		Type       string `json:"type"`
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&problem); err != nil || problem.Status != status || len(problem.DecisionID) != 36 {
		t.Errorf("%q: %v", body, err)
	}
	if answer.StatusCode != status || answer.Header.Get("Content-Type") != "application/problem+json" || answer.Header.Get("X-Upstream") != "" {
		t.Errorf("%d, want %d: %v", answer.StatusCode, status, answer.Header)
	}
}

// A claim that is too long for a header is fetched by the proxy itself: the
// service in this process has the claims, and what it doesn't have is refused.
func TestProxyAsksItsOwnClaims(t *testing.T) {
	u := newUpstream(t)
	p := startProxy(t, configFor(t), "--upstream", u.URL, "--pool", "1")
	answer, body := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7",
		"Baggage", "kest.claim_check=9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11,kest.chain_tip="+strings.Repeat("a", 64))
	checkRefusal(t, answer, body, http.StatusForbidden)
	if code, log := p.stop(t); code != exitGood {
		t.Errorf("exit %d: %s", code, log)
	}
}

// A request under way at SIGTERM is answered.
func TestProxyEndsAfterTheRequestsUnderWay(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "late\n")
	}))
	defer slow.Close()
	p := startProxy(t, configFor(t), "--upstream", slow.URL)
	bodies := make(chan string, 1)
	go func() {
		answer, err := func() (*http.Response, error) {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+p.address+"/orders/7", nil)
			if err != nil {
				return nil, err
			}
			r.Header.Set("Baggage", baggageOf(passport(t)))
			return client.Do(r)
		}()
		if err != nil {
			bodies <- err.Error()
			return
		}
		defer func() { _ = answer.Body.Close() }()
		body, _ := io.ReadAll(answer.Body)
		bodies <- string(body)
	}()
	<-arrived
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitUntilClosed(t, p.address)
	close(release)
	if body := <-bodies; body != "late\n" {
		t.Errorf("the request under way got %q", body)
	}
	if code, log := p.stop(t); code != exitGood {
		t.Errorf("exit %d: %s", code, log)
	}
}

// What can't work is said before anything listens: exit 2, one line.
func TestProxyRefusesToStart(t *testing.T) {
	good := file(t, "filter.yaml", configFor(t))
	bad := file(t, "bad.yaml", strings.Replace(configFor(t), "[no-llm-delete]", "[other]", 1))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, c := range map[string]struct{ wasm, config, listen, metrics, text string }{
		"an address that is taken":        {"../../wasm/policy.wasm", good, taken.Addr().String(), "", "address already in use"},
		"a metrics address that is taken": {"../../wasm/policy.wasm", good, "127.0.0.1:0", taken.Addr().String(), "--metrics"},
		"no wasm":                         {good, good, "127.0.0.1:0", "", ""},
		"a bad configuration":             {"../../wasm/policy.wasm", bad, "127.0.0.1:0", "", "routes[0].policies[0]"},
		"no configuration":                {"../../wasm/policy.wasm", "no/such/file", "127.0.0.1:0", "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"proxy", "--wasm", c.wasm, "--config", c.config, "--listen", c.listen, "--upstream", "http://127.0.0.1:9", "--cache", filepath.Join(buildDir, "compiled")}
			if c.metrics != "" {
				args = append(args, "--metrics", c.metrics)
			}
			a := kestRun(t, "", args...)
			a.want(t, exitMisuse)
			lines := strings.Split(strings.TrimSpace(a.err), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, "kest: ") || !strings.Contains(a.err, c.text) || strings.Contains(a.err, "listening") {
				t.Errorf("stderr %q", a.err)
			}
		})
	}
}
