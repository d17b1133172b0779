// Package issuertest is an OIDC issuer for tests: a real HTTP server with a JWKS
// and an address that gives tokens, which can be taken away and made to fail.
package issuertest

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Name is the iss of the tokens.
const Name = "https://issuer.example.org"

// Bearer is what a request for a token must bring.
const Bearer = "request-bearer-0123456789"

// Issuer is the server. It is safe for concurrent use.
type Issuer struct {
	Default *Key   // the key of Sign, of kid "k1"
	Base    string // http://127.0.0.1:PORT

	address string
	running sync.Mutex
	server  *http.Server

	mu       sync.Mutex
	keys     []*Key
	answer   func(w http.ResponseWriter, r *http.Request, audience string)
	requests []*http.Request
}

// New starts an issuer with one ES256 key, until the test ends.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{Default: NewKey(t, "ES256", "k1")}
	i.keys = []*Key{i.Default}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i.address = listener.Addr().String()
	i.Base = "http://" + i.address
	i.serve(listener)
	t.Cleanup(i.Stop)
	return i
}

// JWKS is the address of the keys.
func (i *Issuer) JWKS() string { return i.Base + "/jwks" }

// Request is the address that gives tokens.
func (i *Issuer) Request() string { return i.Base + "/request?api-version=2" }

// Stop takes the server away; what comes then is refused.
func (i *Issuer) Stop() {
	i.running.Lock()
	defer i.running.Unlock()
	if i.server != nil {
		_ = i.server.Close()
		i.server = nil
	}
}

// Start brings it back at the same address.
func (i *Issuer) Start(t testing.TB) {
	t.Helper()
	var listener net.Listener
	var err error
	for range 100 { // another process may hold the port for a moment
		if listener, err = net.Listen("tcp", i.address); err == nil {
			i.serve(listener)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
}

func (i *Issuer) serve(listener net.Listener) {
	i.running.Lock()
	defer i.running.Unlock()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jwks", i.serveKeys)
	mux.HandleFunc("GET /request", i.serveToken)
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func(s *http.Server) { _ = s.Serve(listener) }(i.server)
}

// Publish adds a key to the JWKS.
func (i *Issuer) Publish(k *Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, k)
}

func (i *Issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	list := make([]map[string]any, len(i.keys))
	for n, k := range i.keys {
		list[n] = k.JWK()
	}
	i.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": list})
}

// Answer decides how requests for tokens are answered; nil gives a good token
// of the workload in {"value": token}.
func (i *Issuer) Answer(f func(w http.ResponseWriter, r *http.Request, audience string)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

// Requests returns the requests for tokens so far.
func (i *Issuer) Requests() []*http.Request {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]*http.Request(nil), i.requests...)
}

func (i *Issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests = append(i.requests, r.Clone(context.Background()))
	answer := i.answer
	i.mu.Unlock()
	audience := r.URL.Query().Get("audience")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+Bearer:
		w.WriteHeader(http.StatusUnauthorized)
	case answer != nil:
		answer(w, r, audience)
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"value": i.Sign(Claims("orders", "aud", audience)), "count": 1})
	}
}

// Claims are good claims of a subject for an hour, with changes: names and
// values in turn; a nil value takes a claim out.
func Claims(subject string, changes ...any) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{"iss": Name, "sub": subject, "aud": "kest", "iat": now - 1, "exp": now + 3599}
	for n := 0; n+1 < len(changes); n += 2 {
		name := fmt.Sprint(changes[n])
		if claims[name] = changes[n+1]; changes[n+1] == nil {
			delete(claims, name)
		}
	}
	return claims
}

// Sign makes a token of claims under the default key.
func (i *Issuer) Sign(claims map[string]any) string { return i.Default.Sign(nil, claims) }

// public is what a private key has a public half for.
type public interface{ Public() crypto.PublicKey }
