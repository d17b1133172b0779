package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

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
type proxy struct{ *process }

var proxyListens = regexp.MustCompile(`^kest: listening on (127\.0\.0\.1:\d+), `)

// startProxy starts the command and waits until it says where it listens.
func startProxy(t *testing.T, config string, args ...string) *proxy {
	t.Helper()
	return startProxyIn(t, nil, config, args...)
}

// startProxyIn is startProxy in an environment; nil is the test's own.
func startProxyIn(t *testing.T, env []string, config string, args ...string) *proxy {
	t.Helper()
	cmd := command(t, proxyArgs(t, config, args...)...)
	cmd.Env = env
	return &proxy{startProcess(t, cmd, proxyListens)}
}

func proxyArgs(t *testing.T, config string, args ...string) []string {
	t.Helper()
	return append([]string{
		"proxy", "--wasm", "../../wasm/policy.wasm", "--config", file(t, "filter.yaml", config),
		"--listen", "127.0.0.1:0", "--cache", filepath.Join(buildDir, "compiled"),
	}, args...)
}

// stop sends SIGTERM and returns the exit code and what it said.
func (p *proxy) stop(t *testing.T) (code int, log string) {
	t.Helper()
	code = p.end(t, syscall.SIGTERM)
	return code, p.lines()
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
