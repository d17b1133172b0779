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
	"kest.example/kest/test/conformance"
	"kest.example/kest/wasm"
)

// goHost is the surface of the .wasm in the Go host. Filters with the same
// configuration are made once.
type goHost struct {
	backend *conformance.Backend
	cache   string
	native  bool // host functions verify and sign
	made    map[string]*httptest.Server
}

func newGoHost(t *testing.T, native bool) *goHost {
	t.Helper()
	dir, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return &goHost{conformance.NewBackend(t), dir, native, make(map[string]*httptest.Server)}
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
	if g.native {
		functions := make(map[string]host.Function)
		for name, f := range identityhost.New(nil).Functions() {
			functions[name] = f
		}
		options = append(options, host.WithFunctions(functions))
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
			g := newGoHost(t, n%16 == 0)
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
	g := newGoHost(t, true)
	conformance.Run(t, g)
	for _, s := range g.made {
		s.Close()
	}
}
