package fleet

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Setup is one filter before an upstream.
type Setup struct {
	Guest    string // policy.wasm or lineage.wasm
	Config   string
	Clusters map[string]string // name to unix:PATH or http://HOST:PORT
	Agent    *Workload         // whose agent serves it; nil has none
	JWT      *JWT              // checks bearer tokens before the filter
	TLS      *TLS              // serves mTLS
	Workers  int               // of Envoy; 0 is 1
	Backend  *Backend
}

// Gateway is a filter that runs.
type Gateway struct {
	URL    string
	Log    func() string
	Client *http.Client // nil is a plain one
}

// Surface starts a filter: in a real Envoy, or in a Go host.
type Surface struct {
	Name string
	// InProcess surfaces call the agent by host functions: it can't be away.
	InProcess bool
	Start     func(t testing.TB, s Setup) *Gateway
}

// Backend is an upstream that counts what reaches it.
type Backend struct {
	*httptest.Server
	mu      sync.Mutex
	visits  int
	baggage []string
}

// NewBackend starts an upstream.
func NewBackend(t testing.TB) *Backend {
	b := &Backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.visits++
		b.baggage = r.Header.Values("Baggage")
		_, _ = io.WriteString(w, "done")
	}))
	t.Cleanup(b.Close)
	return b
}

// Visits returns how many requests came, and the last one's baggage headers.
func (b *Backend) Visits() (int, []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.visits, b.baggage
}

// client keeps no connection that a stopped proxy would leave behind.
var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

// Get sends a request and returns the status, 0 where there is no answer. A
// refusal must be this project's.
func (g *Gateway) Get(t testing.TB, path string, headers ...string) (status int, body string) {
	t.Helper()
	if status, body = g.GetAny(t, path, headers...); status >= 400 && !strings.Contains(body, `"decision_id":"`) {
		t.Errorf("%s is answered with %d and no decision id: %s", path, status, body)
	}
	return status, body
}

// GetAny is Get for what others than the filter may refuse.
func (g *Gateway) GetAny(t testing.TB, path string, headers ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, g.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c := client
	if g.Client != nil {
		c = g.Client
	}
	response, err := c.Do(r)
	if err != nil {
		t.Logf("no answer: %v", err)
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Logf("half an answer: %v", err)
		return 0, ""
	}
	return response.StatusCode, string(b)
}

// want is one request whose status is known.
func (g *Gateway) want(t testing.TB, status int, what string, headers ...string) {
	t.Helper()
	if have, body := g.Get(t, "/orders/7", headers...); have != status {
		t.Errorf("%s: %d %s, want %d\n%s", what, have, body, status, tail(g.Log()))
	}
}

// eventually repeats a request until its status is there.
func (g *Gateway) eventually(t testing.TB, status int, within time.Duration, what string, headers func() []string) {
	t.Helper()
	deadline := time.Now().Add(within)
	have, body := 0, ""
	for time.Now().Before(deadline) {
		if have, body = g.Get(t, "/orders/7", headers()...); have == status {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%s: after %s still %d %s, want %d\n%s", what, within, have, body, status, tail(g.Log()))
}

func tail(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
