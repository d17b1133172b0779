package host_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"kest.example/kest/host"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkRequest is one request through a guest that reads the headers and
// lets pass, with its response: six callbacks.
func BenchmarkRequest(b *testing.B) {
	f, _ := newFilter(b, "", host.WithPool(2))
	h := f.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		r := httptest.NewRequest(http.MethodGet, "/pass", nil)
		for _, name := range []string{"Accept", "User-Agent", "Baggage", "Traceparent", "Authorization"} {
			r.Header.Set(name, "a value of some length, as they are")
		}
		for p.Next() {
			h.ServeHTTP(&discard{make(http.Header)}, r)
		}
	})
}

// BenchmarkInstance is what a fresh instance costs after a trap.
func BenchmarkInstance(b *testing.B) {
	f, _ := newFilter(b, "", host.WithPool(1))
	h := f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for b.Loop() {
		h.ServeHTTP(&discard{make(http.Header)}, httptest.NewRequest(http.MethodGet, "/exit", nil))
	}
}
