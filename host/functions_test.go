package host_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest/host"
	"kest.example/kest/plugin/proxywasm"
)

// Session keys come from this: wazero's own default would give every instance
// the same bytes, and a clock that stands in 2022.
func TestRandomAndClockAreReal(t *testing.T) {
	seen := make(map[string]bool)
	for range 2 {
		f, _ := newFilter(t, "", host.WithPool(1))
		s := newServer(t, f)
		for range 2 {
			r := get(t, s.URL+"/random").body
			if len(r) != 32 || seen[r] {
				t.Errorf("random bytes %q again", r)
			}
			seen[r] = true
		}
		n, _ := strconv.ParseInt(get(t, s.URL+"/time").body, 10, 64)
		if d := time.Since(time.Unix(0, n)); d < 0 || d > 10*time.Second {
			t.Errorf("the guest's clock is %v off", d)
		}
		if r := get(t, s.URL+"/kestrandom").body; r != "not found " {
			t.Errorf("kest.random without WithRandom: %q", r)
		}
	}
}

func TestFixedRandomAndClock(t *testing.T) {
	fixed := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	f, _ := newFilter(t, "", host.WithClock(func() time.Time { return fixed }),
		host.WithRandom(bytes.NewReader([]byte("01234567abcdefgh"))))
	s := newServer(t, f)
	if got := get(t, s.URL+"/time").body; got != strconv.FormatInt(fixed.UnixNano(), 10) {
		t.Error(got)
	}
	for _, want := range []string{"ok " + hex.EncodeToString([]byte("01234567")), "ok " + hex.EncodeToString([]byte("abcdefgh")), "internal failure "} {
		if got := get(t, s.URL+"/kestrandom").body; got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if a, b := get(t, s.URL+"/random").body, get(t, s.URL+"/random").body; a == b {
		t.Error("WithRandom changes WASI's random source")
	}
}

func TestForeignFunctions(t *testing.T) {
	type key struct{}
	f, log := newFilter(t, "", host.WithFunctions(map[string]host.Function{
		"kest.upper": func(_ context.Context, argument []byte) ([]byte, proxywasm.Status) {
			return bytes.ToUpper(argument), proxywasm.OK
		},
		"kest.refuse": func(context.Context, []byte) ([]byte, proxywasm.Status) { return []byte("x"), 77 },
		"kest.panic":  func(context.Context, []byte) ([]byte, proxywasm.Status) { panic("in the host") },
	}), host.WithFunctions(map[string]host.Function{
		"kest.context": func(ctx context.Context, _ []byte) ([]byte, proxywasm.Status) {
			deadline, ok := ctx.Deadline()
			if !ok || time.Until(deadline) > 5*time.Second {
				return nil, proxywasm.InternalFailure
			}
			return []byte(ctx.Value(key{}).(string)), proxywasm.OK
		},
	}))
	h := f.Handler(http.HandlerFunc(upstream))
	ask := func(name string) string {
		r := httptest.NewRequest(http.MethodGet, "/foreign?argument=abc&name="+name, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "of the request")))
		return w.Body.String()
	}
	for name, want := range map[string]string{
		"kest.upper": "ok " + hex.EncodeToString([]byte("ABC")), "kest.refuse": "status 77 ", "kest.unknown": "not found ",
		"kest.context": "ok " + hex.EncodeToString([]byte("of the request")), "set_envoy_filter_state": "bad argument ",
	} {
		if got := ask(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if got := ask("kest.panic"); !strings.Contains(got, "decision_id") {
		t.Errorf("%q", got)
	}
	log.await(t, "in the host", 1)
}

func TestProperties(t *testing.T) {
	f, _ := newFilter(t, "", host.WithVMID("vm-7"), host.WithProperties(func(_ *http.Request, path []string) ([]byte, bool) {
		return []byte("claims"), strings.Join(path, "/") == "metadata/filter_metadata"
	}))
	uri, _ := url.Parse("spiffe://example.org/gw")
	leaf := &x509.Certificate{URIs: []*url.URL{uri}}
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	for _, c := range []struct {
		path, want string
		tls        *tls.ConnectionState
	}{
		{"metadata.filter_metadata", "ok claims", nil},
		{"plugin_vm_id", "ok vm-7", nil},
		{"request.method", "ok GET", nil},
		{"request.scheme", "ok http", nil},
		{"connection.mtls", "ok \x00", nil},
		{"connection.mtls", "ok \x01", verified},
		{"connection.uri_san_peer_certificate", "ok spiffe://example.org/gw", verified},
		{"connection.uri_san_peer_certificate", "not found ", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}},
		{"connection.uri_san_peer_certificate", "not found ", nil},
		{"no.such", "not found ", nil},
	} {
		r := httptest.NewRequest(http.MethodGet, "/property?path="+c.path, nil)
		r.TLS = c.tls
		w := httptest.NewRecorder()
		f.Handler(http.HandlerFunc(upstream)).ServeHTTP(w, r)
		if got := w.Body.String(); got != c.want {
			t.Errorf("%s: %q, not %q", c.path, got, c.want)
		}
	}
	if got := get(t, newServer(t, f).URL+"/setproperty").body; got != "ok mine" {
		t.Error(got)
	}
}

func TestSharedDataOverInstances(t *testing.T) {
	shared := host.NewSharedData()
	f, _ := newFilter(t, "", host.WithPool(4), host.WithSharedData(shared))
	g, _ := newFilter(t, "", host.WithPool(4), host.WithSharedData(shared))
	servers := []string{newServer(t, f).URL, newServer(t, g).URL}
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[string]bool)
	for i := range 40 {
		wg.Go(func() {
			n := get(t, servers[i%2]+"/count").body
			mu.Lock()
			defer mu.Unlock()
			if seen[n] {
				t.Errorf("%s twice", n)
			}
			seen[n] = true
		})
	}
	wg.Wait()
	if !seen["40"] {
		t.Error("an update was lost")
	}
}

func TestConcurrent(t *testing.T) {
	f, _ := newFilter(t, "tick=5", host.WithPool(3), host.WithTarget("callee", newCallee(t, callee)))
	s := newServer(t, f)
	paths := []string{"/pass", "/deny", "/edit", "/callpass?cluster=callee&path=/&ms=2000", "/pass?response=edit", "/wait", "/exit", "/state?key=a&value=b"}
	wants := []int{200, 403, 200, 200, 202, 200, 503, 200}
	trapped := map[int]bool{200: true, 202: true} // those that may have shared an instance with /exit
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 24 {
				r := get(t, s.URL+paths[i%len(paths)])
				if want := wants[i%len(paths)]; r.StatusCode != want && (r.StatusCode != 503 || !trapped[want]) {
					t.Errorf("%s: %d %q", paths[i%len(paths)], r.StatusCode, r.body)
				}
			}
		})
	}
	wg.Wait()
}
