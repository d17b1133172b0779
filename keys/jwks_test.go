package keys_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// has reports whether the set answers with exactly this key.
func has(t *testing.T, set *keys.JWKS, kid string, key pen) bool {
	t.Helper()
	list, err := set.Keys(ctx, kid)
	return err == nil && len(list) == 1 && list[0].JWK() == key.public().JWK()
}

// lacks reports whether the set knows that it has no such key.
func lacks(set *keys.JWKS, kid string) bool {
	list, err := set.Keys(ctx, kid)
	return err == nil && len(list) == 0
}

// eventually waits for what happens in the background.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestWhichKeysOfASet(t *testing.T) {
	a, b, c := ed(1), p256(), rsa2048()
	set, err := keys.NewStaticJWKS([]byte(jwks(
		named("a", a), named("b", b, `"use":"sig"`, `"alg":"ES256"`, `"key_ops":["verify"]`), named("c", c), a.public().JWK(), named("a", ed(2)),
		named("enc", ed(3), `"use":"enc"`), named("ops", ed(3), `"key_ops":["encrypt"]`), named("alg", c, `"alg":"PS256"`),
		named("no text", ed(3), `"key_ops":"verify"`), `{"kty":"oct","kid":"secret"}`, `{"kty":"EC","crv":"P-384","kid":"p384","x":"AA","y":"AA"}`,
		`{"kty":"XYZ","kid":"unknown"}`, `{"kty":"RSA","kid":"short","n":"AQAB","e":"AQAB"}`, `{"kid":"no type"}`, `"no key"`,
		strings.Replace(named("number", ed(3)), `"kid":"number"`, `"kid":5`, 1),
	)))
	if err != nil {
		t.Fatal(err)
	}
	if !has(t, set, "b", b) || !has(t, set, "c", c) || !has(t, set, a.public().Thumbprint(), a) {
		t.Error("a key is missing")
	}
	if list, _ := set.Keys(ctx, "a"); len(list) != 2 {
		t.Errorf("%d keys of one kid", len(list))
	}
	for _, kid := range []string{"", "enc", "ops", "alg", "no text", "secret", "p384", "unknown", "short", "no type", "number", "5", ed(3).public().Thumbprint()} {
		if !lacks(set, kid) {
			t.Errorf("%q is a key", kid)
		}
	}
	if list, err := (*keys.JWKS)(nil).Keys(ctx, "a"); list != nil || err != nil || (*keys.JWKS)(nil).Close() != nil {
		t.Errorf("no set has %v, %v", list, err)
	}
}

func TestStaticSetsRefused(t *testing.T) {
	many := make([]string, 257)
	for i := range many {
		many[i] = ed(1).public().JWK()
	}
	for name, text := range map[string]string{
		"nothing": "", "a list": "[" + ed(1).public().JWK() + "]", "no list": `{"keys":{}}`, "empty": jwks(), "no usable key": jwks(`{"kty":"X"}`),
		"a name twice": `{"keys":[],` + jwks(ed(1).public().JWK())[1:], "something behind it": jwks(ed(1).public().JWK()) + "x",
		"a private key": jwks(ed(1).public().JWK(), named("p", ed(2), `"d":"AA"`)), "a secret": jwks(ed(1).public().JWK(), `{"kty":"oct","k":"AA"}`),
		"too many": jwks(many...), "too long": jwks(ed(1).public().JWK()) + strings.Repeat(" ", 1<<20),
	} {
		if _, err := keys.NewStaticJWKS([]byte(text)); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	for _, text := range []string{"", "{", jwks()} {
		write(t, path, text)
		if _, err := keys.OpenJWKSFile(path); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, bad := range []string{path + ".missing", filepath.Dir(path), os.DevNull} {
		if _, err := keys.OpenJWKSFile(bad); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	write(t, path, jwks(named("a", ed(1))))
	set, err := keys.OpenJWKSFile(path)
	if err != nil {
		t.Fatal(err)
	}
	impatient, err := keys.OpenJWKSFile(path, keys.KeepFor(0))
	if err != nil {
		t.Fatal(err)
	}
	if !has(t, set, "a", ed(1)) || !lacks(set, "b") {
		t.Error("it was not read")
	}
	write(t, path, jwks(named("b", ed(2))))
	if !has(t, set, "b", ed(2)) || !lacks(set, "a") {
		t.Error("a change was not read")
	}
	for _, broken := range []func(){
		func() { write(t, path, "{") },
		func() { write(t, path, jwks(named("p", ed(3), `"d":"AA"`))) },
		func() { write(t, path, strings.Repeat(" ", 1<<20)+jwks(named("b", ed(3)))) },
		func() { _ = os.Remove(path) },
	} {
		broken()
		for range 2 {
			if !has(t, set, "b", ed(2)) {
				t.Error("the last good keys are gone")
			}
		}
		_, _ = impatient.Keys(ctx, "b")
		time.Sleep(time.Millisecond)
		if _, err := impatient.Keys(ctx, "b"); !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("after the bound it answers %v", err)
		}
	}
	write(t, path, jwks(named("c", ed(4))))
	if !has(t, set, "c", ed(4)) || !has(t, impatient, "c", ed(4)) {
		t.Error("a mended file was not read")
	}
}

// server is a JWKS server that a test changes.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	answer  http.HandlerFunc
	queries atomic.Int64
}

func newServer(t *testing.T, answer http.HandlerFunc) *server {
	s := &server{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.queries.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func text(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func open(t *testing.T, address string, options ...keys.JWKSOption) *keys.JWKS {
	t.Helper()
	set, err := keys.OpenJWKS(address, append([]keys.JWKSOption{keys.RetryAfter(5*time.Millisecond, 20*time.Millisecond)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	return set
}

func unavailable(set *keys.JWKS, kid string) bool {
	list, err := set.Keys(ctx, kid)
	return errors.Is(err, kest.ErrUnavailable) && list == nil
}

func TestServerComesAndGoes(t *testing.T) {
	s := newServer(t, status(http.StatusServiceUnavailable))
	set := open(t, s.URL, keys.RefreshEvery(5*time.Millisecond), keys.AskAgainAfter(0))
	short := open(t, s.URL, keys.RefreshEvery(5*time.Millisecond), keys.KeepFor(50*time.Millisecond))
	if !unavailable(set, "a") || !unavailable(short, "a") {
		t.Error("a set that was never read answers")
	}
	s.set(text(jwks(named("a", ed(1)))))
	eventually(t, "the first keys", func() bool { return has(t, set, "a", ed(1)) && has(t, short, "a", ed(1)) })
	s.set(text(jwks(named("b", ed(2)))))
	eventually(t, "a rotation", func() bool { return has(t, set, "b", ed(2)) && lacks(set, "a") && has(t, short, "b", ed(2)) })

	s.set(status(http.StatusInternalServerError))
	eventually(t, "the end of what is kept", func() bool { return unavailable(short, "b") })
	if !has(t, set, "b", ed(2)) {
		t.Error("the last good keys are gone with the server")
	}
	if !unavailable(set, "c") {
		t.Error("of a kid that may be new nobody can tell, but it answers")
	}
	s.set(text(jwks(named("c", ed(3)))))
	eventually(t, "its return", func() bool { return has(t, set, "c", ed(3)) && has(t, short, "c", ed(3)) })
}

// What a server must not send leaves the last good keys as they are.
func TestServersAnswers(t *testing.T) {
	stall := make(chan struct{})
	defer close(stall)
	s := newServer(t, text(jwks(named("a", ed(1)))))
	client := &http.Client{Timeout: 100 * time.Millisecond}
	for name, answer := range map[string]http.HandlerFunc{
		"huge":     text(jwks(named("b", ed(2))) + strings.Repeat(" ", 1<<20)),
		"endless":  func(w http.ResponseWriter, r *http.Request) { drip(w, r, strings.Repeat(" ", 64<<10), 0) },
		"dripping": func(w http.ResponseWriter, r *http.Request) { drip(w, r, " ", 5*time.Millisecond) },
		"silent":   func(_ http.ResponseWriter, r *http.Request) { hang(r, stall) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			_, _ = w.Write([]byte("{"))
		},
		"no JSON":               text("<html>"),
		"no set":                text(`{"jwks":[]}`),
		"names twice":           text(`{"keys":[],"keys":[]}`),
		"404":                   status(http.StatusNotFound),
		"204":                   status(http.StatusNoContent),
		"a redirect to nowhere": http.RedirectHandler("http://192.0.2.1/", http.StatusFound).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			s.set(text(jwks(named("a", ed(1)))))
			options := []keys.JWKSOption{keys.RefreshEvery(time.Millisecond), keys.AskAgainAfter(0)}
			if name != "a redirect to nowhere" { // the default client is what refuses it
				options = append(options, keys.WithHTTPClient(client))
			}
			set := open(t, s.URL, options...)
			eventually(t, "the first keys", func() bool { return has(t, set, "a", ed(1)) })
			s.set(answer)
			eventually(t, "a failure", func() bool { return unavailable(set, "b") })
			if !has(t, set, "a", ed(1)) {
				t.Error("the last good keys are gone")
			}
			_ = set.Close()
		})
	}
}

func drip(w http.ResponseWriter, r *http.Request, piece string, pause time.Duration) {
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte(piece)); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		time.Sleep(pause)
	}
}

func hang(r *http.Request, until <-chan struct{}) {
	select {
	case <-until:
	case <-r.Context().Done():
	}
}

// What stands in an address's query may be a secret: no error shows it.
func TestErrorsHideTheQuery(t *testing.T) {
	for _, address := range []string{"http://127.0.0.1:1/jwks?key=hunter2", newServer(t, status(http.StatusForbidden)).URL + "/?key=hunter2"} {
		if _, err := open(t, address).Keys(ctx, "a"); !errors.Is(err, kest.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("it says %v", err)
		}
	}
	if _, err := keys.OpenJWKS("ftp://127.0.0.1/?key=hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("it says %v", err)
	}
}

// A server may withdraw all its keys, and what it leaves out is ignored.
func TestServerWithdrawsKeys(t *testing.T) {
	s := newServer(t, text(jwks(named("a", ed(1)), named("leaked", ed(2), `"d":"AA"`))))
	set := open(t, s.URL, keys.RefreshEvery(5*time.Millisecond))
	if !has(t, set, "a", ed(1)) || !lacks(set, "leaked") {
		t.Error("a key whose private half is public counts, or takes the others along")
	}
	s.set(text(jwks()))
	eventually(t, "the withdrawal", func() bool { return lacks(set, "a") })
}

// An unknown kid has the server asked, but not by each request.
func TestUnknownKidsAskSeldom(t *testing.T) {
	s := newServer(t, text(jwks(named("a", ed(1)))))
	set := open(t, s.URL, keys.AskAgainAfter(time.Hour))
	for range 100 {
		if !lacks(set, "b") || !has(t, set, "a", ed(1)) {
			t.Fatal("it answers otherwise")
		}
	}
	if n := s.queries.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	eager := open(t, s.URL, keys.AskAgainAfter(0))
	if !has(t, eager, "a", ed(1)) {
		t.Error("it was not read")
	}
	s.set(text(jwks(named("a", ed(1)), named("b", ed(2)))))
	if !has(t, eager, "b", ed(2)) {
		t.Error("a new kid was not asked for")
	}
}

// Who waits for a server waits no longer than they said, and nobody waits for a key that is there.
func TestWaitingHasAnEnd(t *testing.T) {
	stall := make(chan struct{})
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) { hang(r, stall) })
	set := open(t, s.URL)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if list, err := set.Keys(short, "a"); !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it answers %v, %v", list, err)
	}
	done := make(chan bool)
	go func() { done <- unavailable(set, "a") }()
	if err := set.Close(); err != nil || !<-done || !unavailable(set, "a") {
		t.Error("a closed set does not say that it is unavailable")
	}
	close(stall)
}

func TestWhichURLs(t *testing.T) {
	for address, good := range map[string]bool{
		"https://127.0.0.1:1/jwks": true, "http://127.0.0.1:1/jwks": true, "http://[::1]:1/jwks": true, "http://localhost:1/jwks": true,
		"http://192.0.2.1/jwks": false, "http://localhost.example/jwks": false, "ftp://127.0.0.1/jwks": false, "file:///etc/passwd": false,
		"https://": false, "jwks": false, "": false, "https://user:pass@127.0.0.1/": false, "https://127.0.0.1:x/": false,
	} {
		set, err := keys.OpenJWKS(address)
		if (err == nil) != good || err != nil && !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", address, err)
		}
		_ = set.Close()
	}
	set, err := keys.OpenJWKS("http://192.0.2.1/jwks", keys.InsecurePlainHTTP(), keys.WithHTTPClient(&http.Client{Timeout: time.Millisecond}))
	if err != nil {
		t.Error(err)
	}
	_ = set.Close()
}
