package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Backend is what stands behind a proxy under test: an upstream that remembers
// the last request, and a claim store. Both are real servers on loopback.
type Backend struct {
	Upstream *httptest.Server
	Store    *httptest.Server

	mu     sync.Mutex
	seen   []Header
	claims map[string]string
}

// NewBackend starts both servers; they end with the test.
func NewBackend(t *testing.T) *Backend {
	t.Helper()
	b := &Backend{}
	b.Upstream = httptest.NewServer(http.HandlerFunc(b.upstream))
	b.Store = httptest.NewServer(http.HandlerFunc(b.store))
	t.Cleanup(b.Upstream.Close)
	t.Cleanup(b.Store.Close)
	return b
}

// Prepare forgets the last case and takes over this one's claims.
func (b *Backend) Prepare(c Case) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = nil
	b.claims = make(map[string]string)
	for id, text := range c.Claims {
		b.claims[id] = text
	}
}

// upstream remembers a request's headers; none at all is an empty, not a nil, list.
func (b *Backend) upstream(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = []Header{}
	for name, list := range r.Header {
		for _, value := range list {
			b.seen = append(b.seen, Header{strings.ToLower(name), value})
		}
	}
	_, _ = io.WriteString(w, "upstream\n")
}

// store is PUT and GET /v1/claims/{uuid} of DESIGN 6.
func (b *Backend) store(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, ok := strings.CutPrefix(r.URL.Path, "/v1/claims/")
	have, known := b.claims[id]
	switch {
	case !ok:
		http.NotFound(w, r)
	case r.Method == http.MethodPut && known:
		w.WriteHeader(http.StatusConflict)
	case r.Method == http.MethodPut:
		body, err := io.ReadAll(io.LimitReader(r.Body, 2<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		b.claims[id] = string(body)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && known:
		_, _ = io.WriteString(w, have)
	default:
		http.NotFound(w, r)
	}
}

// Result adds what upstream and store saw to an answer.
func (b *Backend) Result(answer *http.Response, body []byte) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := Result{Status: answer.StatusCode, GRPC: -1, Body: body, Upstream: b.seen, Claims: make(map[string]string)}
	for name, list := range answer.Header {
		for _, value := range list {
			r.Header = append(r.Header, Header{strings.ToLower(name), value})
		}
	}
	for id, text := range b.claims {
		r.Claims[id] = text
	}
	return r
}

// Send writes a case's request to an address just as it stands in the case:
// net/http's client would clean its path and join its headers.
func Send(t *testing.T, address string, c Case) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", c.Request.Method, c.Request.Path, c.Request.Authority)
	for _, h := range c.Request.Headers {
		fmt.Fprintf(&text, "%s: %s\r\n", h[0], h[1])
	}
	text.WriteString("Content-Length: 0\r\n\r\n")
	if _, err := io.WriteString(conn, text.String()); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.Request.Method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}
