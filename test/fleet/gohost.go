package fleet

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"kest.example/kest/host"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/bearer"
	"kest.example/kest/internal/envoytest"
	"kest.example/kest/internal/logtest"
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
		log := &logtest.Buffer{}
		filter := newFilter(t, egress, cacheDir, log, list, shared)
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

// logger writes whatever a filter and what stands around it say.
func logger(log *logtest.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
}

func newFilter(t testing.TB, s Setup, cacheDir string, log *logtest.Buffer, options ...host.Option) *host.Filter {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(envoytest.Root(), "wasm", s.Guest))
	if err != nil {
		t.Fatalf("%v: run make wasm", err)
	}
	options = append(options, host.WithLogger(logger(log)), host.WithCompileCache(cacheDir))
	filter, err := host.New(context.Background(), wasm, []byte(s.Config), options...)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() { _ = filter.Close(context.Background()) })
	return filter
}

// startHost runs the filter in front of a reverse proxy.
func startHost(t testing.TB, s Setup, cacheDir string, options ...host.Option) *Gateway {
	t.Helper()
	log := &logtest.Buffer{}
	check := func(next http.Handler) http.Handler { return next }
	if s.JWT != nil {
		checker := s.JWT.checker(t, logger(log))
		check = checker.Middleware
		options = append(options, host.WithProperties(checker.Properties))
	}
	proxy := httputil.NewSingleHostReverseProxy(parse(t, s.Backend.URL))
	proxy.ErrorLog = slog.NewLogLogger(logger(log).Handler(), slog.LevelWarn)
	server := httptest.NewUnstartedServer(check(newFilter(t, s, cacheDir, log, options...).Handler(proxy)))
	server.Config.ErrorLog = proxy.ErrorLog
	if s.TLS != nil {
		server.TLS = s.TLS.Config
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return &Gateway{URL: server.URL, Log: log.String}
}

func (j *JWT) checker(t testing.TB, log *slog.Logger) *bearer.Checker {
	t.Helper()
	jwks, err := keys.NewStaticJWKS([]byte(j.JWKS))
	if err != nil {
		t.Fatal(err)
	}
	checker, err := bearer.New(j.Issuer, j.Audience, jwks, bearer.WithLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	return checker
}
