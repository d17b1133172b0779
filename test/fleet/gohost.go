package fleet

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
)

// Callouts is the Go host that asks the agent by callouts, as Envoy does. It
// keeps compiled guests in a folder. It has as many instances as one worker of
// Envoy's: a second one, made while the agent is away, knows no keys of others.
func Callouts(cacheDir string) Surface { return callouts(cacheDir, 1) }

func callouts(cacheDir string, instances int) Surface {
	return Surface{Name: "Go host, callouts", Start: func(t testing.TB, s Setup) *Gateway {
		options := []host.Option{host.WithPool(instances), host.WithFunctions(functions(identityhost.New(nil).Functions()))}
		for name, address := range s.Clusters {
			options = append(options, host.WithTarget(name, address))
		}
		return startHost(t, s, cacheDir, options...)
	}}
}

// Functions is the Go host that serves the agent's methods itself.
func Functions(cacheDir string) Surface {
	return Surface{Name: "Go host, functions", InProcess: true, Start: func(t testing.TB, s Setup) *Gateway {
		list := identityhost.New(nil).Functions()
		if s.Agent != nil {
			list = s.Agent.Service()
		}
		return startHost(t, s, cacheDir, host.WithFunctions(functions(list)))
	}}
}

// HostPair is a sidecar pair as middleware and transport of one Go server.
func HostPair(cacheDir string) Pair {
	return Pair{Name: "Go host", Start: func(t testing.TB, ingress, egress Setup) (in, out *Gateway) {
		shared := host.WithSharedData(host.NewSharedData())
		list := host.WithFunctions(functions(ingress.Agent.Service()))
		filter, log := newFilter(t, egress, cacheDir, list, shared)
		upstream := parse(t, egress.Backend.URL)
		server := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(upstream)
				r.Out.Host = r.In.Host
			},
			Transport: filter.RoundTripper(nil),
		})
		t.Cleanup(server.Close)
		return startHost(t, ingress, cacheDir, list, shared), &Gateway{URL: server.URL, Log: log.String}
	}}
}

func functions(list map[string]identityhost.Function) map[string]host.Function {
	functions := make(map[string]host.Function)
	for name, f := range list {
		functions[name] = f
	}
	return functions
}

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
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

func newFilter(t testing.TB, s Setup, cacheDir string, options ...host.Option) (*host.Filter, *logBuffer) {
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

// startHost runs the filter in front of a reverse proxy.
func startHost(t testing.TB, s Setup, cacheDir string, options ...host.Option) *Gateway {
	t.Helper()
	check := func(next http.Handler) http.Handler { return next }
	if s.JWT != nil {
		checker := s.JWT.checker(t)
		check = checker.Middleware
		options = append(options, host.WithProperties(checker.Properties))
	}
	filter, log := newFilter(t, s, cacheDir, options...)
	server := httptest.NewUnstartedServer(check(filter.Handler(httputil.NewSingleHostReverseProxy(parse(t, s.Backend.URL)))))
	if s.TLS != nil {
		server.TLS = s.TLS.Config
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return &Gateway{URL: server.URL, Log: log.String}
}

func (j *JWT) checker(t testing.TB) *bearer.Checker {
	t.Helper()
	jwks, err := keys.NewStaticJWKS([]byte(j.JWKS))
	if err != nil {
		t.Fatal(err)
	}
	checker, err := bearer.New(j.Issuer, j.Audience, jwks)
	if err != nil {
		t.Fatal(err)
	}
	return checker
}
