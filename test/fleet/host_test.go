package fleet_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"kest.example/kest/host"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/bearer"
	"kest.example/kest/internal/envoytest"
	"kest.example/kest/keys"
	"kest.example/kest/test/fleet"
)

var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kest-fleet-cache-")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// logBuffer is a log that two may use at once.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newFilter makes a filter of the Go host's.
func newFilter(t testing.TB, s fleet.Setup, options ...host.Option) (*host.Filter, *logBuffer) {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(envoytest.Root(), "wasm", s.Guest))
	if err != nil {
		t.Fatalf("%v: run make wasm", err)
	}
	log := &logBuffer{}
	options = append(options, host.WithLogger(slog.New(slog.NewTextHandler(log, nil))), host.WithCompileCache(cacheDir))
	filter, err := host.New(context.Background(), wasm, []byte(s.Config), options...)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() { _ = filter.Close(context.Background()) })
	return filter, log
}

// start runs the filter in front of a reverse proxy.
func start(t testing.TB, s fleet.Setup, options ...host.Option) *fleet.Gateway {
	t.Helper()
	check := func(next http.Handler) http.Handler { return next }
	if s.JWT != nil {
		jwks, err := keys.NewStaticJWKS([]byte(s.JWT.JWKS))
		if err != nil {
			t.Fatal(err)
		}
		checker, err := bearer.New(s.JWT.Issuer, s.JWT.Audience, jwks)
		if err != nil {
			t.Fatal(err)
		}
		check = checker.Middleware
		options = append(options, host.WithProperties(checker.Properties))
	}
	filter, log := newFilter(t, s, options...)
	upstream, err := url.Parse(s.Backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(check(filter.Handler(httputil.NewSingleHostReverseProxy(upstream))))
	if s.TLS != nil {
		server.TLS = s.TLS.Config
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return &fleet.Gateway{URL: server.URL, Log: log.String}
}

// By callouts to the agent, as Envoy does it.
func TestGoHostWithAgent(t *testing.T) {
	fleet.Run(t, fleet.Surface{Name: "callouts", Start: func(t testing.TB, s fleet.Setup) *fleet.Gateway {
		options := []host.Option{host.WithFunctions(functions(identityhost.New(nil).Functions()))}
		for name, address := range s.Clusters {
			options = append(options, host.WithTarget(name, address))
		}
		return start(t, s, options...)
	}})
}

// By host functions, without an agent beside it.
func TestGoHostInProcess(t *testing.T) {
	fleet.Run(t, fleet.Surface{Name: "functions", InProcess: true, Start: func(t testing.TB, s fleet.Setup) *fleet.Gateway {
		return start(t, s, host.WithFunctions(functions(identityhost.New(nil).AgentFunctions(s.Agent.Agent))))
	}})
}

func functions(list map[string]identityhost.Function) map[string]host.Function {
	functions := make(map[string]host.Function)
	for name, f := range list {
		functions[name] = f
	}
	return functions
}

// The sidecar pair as middleware and transport of one Go server.
func TestGoHostEgress(t *testing.T) {
	fleet.RunEgress(t, fleet.Pair{Name: "go", Start: func(t testing.TB, ingress, egress fleet.Setup) (in, out *fleet.Gateway) {
		shared := host.NewSharedData()
		list := host.WithFunctions(functions(identityhost.New(nil).AgentFunctions(ingress.Agent.Agent)))
		filter, log := newFilter(t, egress, list, host.WithSharedData(shared))
		upstream, err := url.Parse(egress.Backend.URL)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(upstream)
				r.Out.Host = r.In.Host
			},
			Transport: filter.RoundTripper(nil),
		})
		t.Cleanup(server.Close)
		return start(t, ingress, list, host.WithSharedData(shared)), &fleet.Gateway{URL: server.URL, Log: log.String}
	}}, 1)
}

func TestGoHostUser(t *testing.T) {
	fleet.RunUser(t, fleet.Surface{Name: "go", Start: func(t testing.TB, s fleet.Setup) *fleet.Gateway {
		return start(t, s, host.WithFunctions(functions(identityhost.New(nil).Functions())))
	}})
}

func TestGoHostPeer(t *testing.T) {
	fleet.RunPeer(t, fleet.Surface{Name: "functions", InProcess: true, Start: func(t testing.TB, s fleet.Setup) *fleet.Gateway {
		return start(t, s, host.WithFunctions(functions(identityhost.New(nil).AgentFunctions(s.Agent.Agent))))
	}})
}
