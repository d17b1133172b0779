package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
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

// binary builds the command once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "kest")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", &buildError{string(out), err}
	}
	return path, nil
})

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return e.err.Error() + ": " + e.out }

// upstream remembers the requests that it was sent.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.seen = append(u.seen, r)
		w.Header().Set("X-Upstream", "yes")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "read\n")
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) requests() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*http.Request(nil), u.seen...)
}

// proxy is a running kest proxy.
type proxy struct {
	address string
	cmd     *exec.Cmd
	lines   chan string
	log     []string // what it said until it listened
}

// startProxy starts the command and waits until it says where it listens.
func startProxy(t *testing.T, config string, args ...string) *proxy {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"proxy", "--wasm", "../../wasm/policy.wasm", "--config", file(t, "filter.yaml", config), "--listen", "127.0.0.1:0", "--cache", filepath.Join(buildDir, "compiled")}, args...)
	p := &proxy{cmd: exec.Command(path, args...), lines: make(chan string, 1000)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	listening := regexp.MustCompile(`^kest: listening on (127\.0\.0\.1:\d+), `)
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case line, open := <-p.lines:
			if !open {
				t.Fatalf("it ended (%v) after %q", p.cmd.Wait(), p.log)
			}
			p.log = append(p.log, line)
			if m := listening.FindStringSubmatch(line); m != nil {
				p.address = m[1]
				return p
			}
		case <-deadline:
			t.Fatalf("it doesn't listen after %q", p.log)
		}
	}
}

// stop sends SIGTERM and returns the exit code and what else it said.
func (p *proxy) stop(t *testing.T) (code int, log string) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range p.lines {
		text.WriteString(line + "\n")
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), text.String()
}

// client sends requests as they are, without following anything.
var client = &http.Client{Timeout: 30 * time.Second}

func fetch(t *testing.T, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestProxy(t *testing.T) {
	u, metrics := newUpstream(t), freeAddress(t)
	p := startProxy(t, configFor(t), "--upstream", u.URL, "--metrics", metrics)
	sent := passport(t)
	before := time.Now()

	answer, body := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7?all=1", "Baggage", baggageOf(sent), "Baggage", "other=kept", "X-App", "1")
	if answer.StatusCode != http.StatusAccepted || body != "read\n" || answer.Header.Get("X-Upstream") != "yes" {
		t.Fatalf("allowed: %d %q %q", answer.StatusCode, body, p.log)
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

func waitUntilClosed(t *testing.T, address string) {
	t.Helper()
	for range 1000 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = c.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it still takes connections in")
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
