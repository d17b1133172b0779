// Package bench holds the benchmarks that compare stages natively and in Wasm.
package bench

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kest.example/kest/host"
	"kest.example/kest/identityhost"
	"kest.example/kest/plugin"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/wasm"
)

func newCedar(p map[string]string) (plugin.LocalEngine, error) { return cedar.New(p, nil) }

func seedText(c string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(c, 32)))
}

// configuration is a workload's filter with Cedar; keys are added by knows.
func configuration(name string, root bool, keys string) string {
	grant := ""
	if root {
		grant = `, "root": {"origin": "user_input"}`
	}
	return fmt.Sprintf(`{"workload": "spiffe://example.org/%s", "identity": {"insecure_seed": %q}, "keys": {"static": [%s]},
		"authority": [{"principal": "spiffe://example.org/*", "origins": ["user_input"], "max_root_trust": 40}],
		"propagation": {"max_bytes": 65536},
		"policies": {"cedar": {"trusted": "permit(principal, action, resource) when { context.trust_score >= 10 && !context.taints.contains(\"quarantine\") };"}},
		"routes": [{"match": {"methods": ["GET"], "path": "/orders/{id}"}, "operation": "orders.read", "policies": ["trusted"], "resource": {"id": "{id}"}%s}]}`,
		name, seedText(name), keys, grant)
}

func newFilter(tb testing.TB, configuration string) *plugin.Filter {
	tb.Helper()
	f, err := plugin.New([]byte(configuration), plugin.Environment{Now: time.Now, Random: rand.Reader, Cedar: newCedar})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func request(headers []plugin.Header) *plugin.Request {
	return &plugin.Request{Headers: append([]plugin.Header{
		{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/orders/7"}, {Name: ":authority", Value: "orders.example.org"},
	}, headers...)}
}

// passports makes requests with n entries of n workloads each, all new, and
// the keys that a configuration needs for them.
func passports(tb testing.TB, count, n int) (list [][]plugin.Header, keys string) {
	tb.Helper()
	var filters []*plugin.Filter
	var jwks []string
	for i := range n {
		name := "abcdefghijklmnopqrstuvwxyABCDEFGHIJ"[i : i+1]
		jwk := keyOf(tb, name)
		jwks = append(jwks, fmt.Sprintf(`{"principal": "spiffe://example.org/%s", "jwk": %s}`, name, jwk))
		filters = append(filters, newFilter(tb, configuration(name, i == 0, strings.Join(jwks, ","))))
	}
	for range count {
		var headers []plugin.Header
		for _, f := range filters {
			_, step := f.Begin(request(headers))
			if step.Kind != plugin.Continue {
				tb.Fatalf("refused: %+v", step)
			}
			headers = nil
			for _, e := range step.Edits {
				headers = append(headers, plugin.Header(e))
			}
		}
		list = append(list, headers)
	}
	return list, strings.Join(jwks, ",")
}

// BenchmarkFilter is the whole filter with Cedar: natively, and the .wasm on
// wazero with and without the host functions.
func BenchmarkFilter(b *testing.B) {
	for _, entries := range []int{0, 3} {
		list, keys := [][]plugin.Header{nil}, ""
		if entries > 0 {
			list, keys = passports(b, 3000, entries)
		}
		config := configuration("z", true, keys)
		b.Run(fmt.Sprintf("native/entries=%d", entries), func(b *testing.B) { nativeFilter(b, config, list) })
		service := identityhost.New(nil)
		functions := make(map[string]host.Function)
		for name, f := range service.Functions() {
			functions[name] = f
		}
		b.Run(fmt.Sprintf("wazero/entries=%d", entries), func(b *testing.B) { wasmFilter(b, config, list, functions) })
		b.Run(fmt.Sprintf("wazero-alone/entries=%d", entries), func(b *testing.B) { wasmFilter(b, config, list, nil) })
	}
}

// nativeFilter takes each passport once by one filter, which remembers good
// signatures.
func nativeFilter(b *testing.B, config string, list [][]plugin.Header) {
	f := newFilter(b, config)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i%len(list) == 0 && list[0] != nil {
			b.StopTimer()
			f = newFilter(b, config)
			b.StartTimer()
		}
		if _, step := f.Begin(request(list[i%len(list)])); step.Kind != plugin.Continue {
			b.Fatalf("refused: %+v", step)
		}
	}
}

func wasmFilter(b *testing.B, config string, list [][]plugin.Header, functions map[string]host.Function) {
	passed := 0
	fresh := func() http.Handler { return wasmHandlerWith(b, config, functions, func() { passed++ }) }
	handler := fresh()
	requests := make([]*http.Request, len(list))
	for i, headers := range list {
		requests[i] = httptest.NewRequest(http.MethodGet, "http://orders.example.org/orders/7", nil)
		for _, h := range headers {
			requests[i].Header.Set(h.Name, h.Value)
		}
	}
	w := nobody{}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i%len(list) == 0 && list[0] != nil {
			b.StopTimer()
			handler = fresh()
			b.StartTimer()
		}
		if handler.ServeHTTP(w, requests[i%len(requests)]); passed != i {
			b.Fatal("refused")
		}
	}
}

// nobody reads the response.
type nobody map[string][]string

func (n nobody) Header() http.Header         { return http.Header(n) }
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n nobody) WriteHeader(int)             {}

// wasmHandler is policy.wasm on wazero, alone.
func wasmHandler(b *testing.B, config string) http.Handler {
	return wasmHandlerWith(b, config, nil, func() {})
}

func wasmHandlerWith(b *testing.B, config string, functions map[string]host.Function, passed func()) http.Handler {
	b.Helper()
	code, err := wasm.Policy()
	if err != nil {
		b.Fatal(err)
	}
	f, err := host.New(context.Background(), code, []byte(config), host.WithPool(1), host.WithFunctions(functions),
		host.WithCompileCache(cacheDir(b)), host.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close(context.Background()) })
	return f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed() }))
}
