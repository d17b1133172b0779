package conformance_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"kest.example/kest/host"
	"kest.example/kest/identityhost"
	"kest.example/kest/plugin/proxywasm"
	"kest.example/kest/test/conformance"
	"kest.example/kest/wasm"
)

// goHost is the surface of the .wasm in the Go host. Filters with the same
// configuration are made once.
type goHost struct {
	backend   *conformance.Backend
	cache     string
	functions map[string]host.Function // nil: the guest does all by itself
	made      map[string]*httptest.Server
}

func newGoHost(t *testing.T, functions map[string]host.Function) *goHost {
	t.Helper()
	dir, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return &goHost{conformance.NewBackend(t), dir, functions, make(map[string]*httptest.Server)}
}

// compiled is the folder of compiled modules that all tests share.
var compiled = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "kest-conformance-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := compiled(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func guest(t *testing.T, name string) []byte {
	t.Helper()
	read := wasm.Policy
	if name == conformance.GuestLineage {
		read = wasm.Lineage
	}
	code, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// native are host functions that verify, sign and hash.
func native() map[string]host.Function {
	functions := make(map[string]host.Function)
	for name, f := range identityhost.New(nil).Functions() {
		functions[name] = f
	}
	return functions
}

// server is the proxy with a case's filter. A clock and a random source that
// are the same for all surfaces make the entries comparable.
func (g *goHost) server(t *testing.T, c conformance.Case) *httptest.Server {
	t.Helper()
	store := strings.TrimPrefix(g.backend.Store.URL, "http://")
	if c.ClaimsDown {
		store = "127.0.0.1:1"
	}
	key := c.Guest + store + string(c.Configuration)
	if s := g.made[key]; s != nil {
		return s
	}
	options := []host.Option{
		host.WithCompileCache(g.cache), host.WithPool(1), host.WithTarget(conformance.ClaimCluster, "http://"+store),
		host.WithClock(conformance.Now), host.WithRandom(conformance.Random()),
		host.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
	}
	if g.functions != nil {
		options = append(options, host.WithFunctions(g.functions))
	}
	f, err := host.New(context.Background(), guest(t, c.Guest), c.Configuration, options...)
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := url.Parse(g.backend.Upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }}
	s := httptest.NewServer(f.Handler(http.Handler(proxy)))
	g.made[key] = s
	return s
}

// Do implements conformance.Surface.
func (g *goHost) Do(t *testing.T, c conformance.Case) conformance.Result {
	t.Helper()
	s := g.server(t, c)
	g.backend.Prepare(c)
	answer, body := conformance.Send(t, strings.TrimPrefix(s.URL, "http://"), c)
	r := g.backend.Result(answer, body)
	r.Earlier = answer.StatusCode == http.StatusBadRequest && string(body) == "400 Bad Request" // net/http's own
	return r
}

// TestSameBytes: with clock and random source fixed, the .wasm writes the very
// headers that the native filter writes, entries and all.
func TestSameBytes(t *testing.T) {
	n := 0
	for _, c := range conformance.Load(t) {
		if c.Expect.Status != http.StatusOK || c.Guest != conformance.GuestPolicy || c.ClaimsDown {
			continue
		}
		if n++; n%8 != 0 {
			continue // each needs a filter of its own
		}
		t.Run(c.Name, func(t *testing.T) {
			g := newGoHost(t, nil)
			if n%16 == 0 {
				g.functions = native()
			}
			want := baggageOf(conformance.Native{}.Do(t, c))
			have := baggageOf(g.Do(t, c))
			for _, s := range g.made {
				s.Close()
			}
			if want == "" || have != want {
				t.Errorf("in Wasm %q\nnatively %q", have, want)
			}
		})
	}
}

// TestHostThatDoesNotHash: a guest takes a host's hashes only where it makes
// right ones, and makes its own for each that the host then doesn't give.
func TestHostThatDoesNotHash(t *testing.T) {
	var c conformance.Case
	for _, c = range conformance.Load(t) {
		if c.Expect.Status == http.StatusOK && c.Guest == conformance.GuestPolicy && c.Expect.Entries > 1 {
			break
		}
	}
	want := baggageOf(conformance.Native{}.Do(t, c))
	for name, hash := range map[string]func(call int, right []byte) ([]byte, proxywasm.Status){
		"never right":         func(int, []byte) ([]byte, proxywasm.Status) { return make([]byte, 32), proxywasm.OK },
		"too short":           func(_ int, right []byte) ([]byte, proxywasm.Status) { return right[:31], proxywasm.OK },
		"fails":               func(int, []byte) ([]byte, proxywasm.Status) { return nil, proxywasm.InternalFailure },
		"fails after a while": func(call int, right []byte) ([]byte, proxywasm.Status) { return right, failsFrom(call, 2) },
		"empty after a while": func(call int, right []byte) ([]byte, proxywasm.Status) {
			return right[:min(1, max(0, 2-call))*32], proxywasm.OK
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, calls := newGoHost(t, native()), 0
			right := g.functions["kest.digest"]
			g.functions["kest.digest"] = func(ctx context.Context, text []byte) ([]byte, proxywasm.Status) {
				sum, _ := right(ctx, text)
				calls++
				return hash(calls-1, sum)
			}
			have := baggageOf(g.Do(t, c))
			for _, s := range g.made {
				s.Close()
			}
			if want == "" || have != want {
				t.Errorf("in Wasm %q\nnatively %q", have, want)
			}
			if calls == 0 {
				t.Error("the host was not asked")
			}
		})
	}
}

func failsFrom(call, first int) proxywasm.Status {
	if call >= first {
		return proxywasm.InternalFailure
	}
	return proxywasm.OK
}

// baggageOf returns what went on, the passport decompressed: a host may compress otherwise.
func baggageOf(r conformance.Result) string {
	for _, h := range r.Upstream {
		if h[0] == "baggage" {
			return h[1]
		}
	}
	return ""
}

// TestGoHost runs all cases on the .wasm in the Go host.
func TestGoHost(t *testing.T) {
	g := newGoHost(t, native())
	conformance.Run(t, g)
	for _, s := range g.made {
		s.Close()
	}
}
