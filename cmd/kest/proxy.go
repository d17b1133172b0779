package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kest.example/kest/host"
	"kest.example/kest/identityhost"
	"kest.example/kest/wasm"
)

type proxyCmd struct {
	Wasm     string            `required:"" placeholder:"FILE" help:"The filter, such as wasm/policy.wasm."`
	Config   string            `required:"" placeholder:"FILE" help:"Its configuration, YAML or JSON, the same as in Envoy."`
	Listen   string            `required:"" placeholder:"ADDR" help:"Where to listen, such as 127.0.0.1:8080."`
	Upstream *url.URL          `required:"" placeholder:"URL" help:"Where allowed requests go, such as http://127.0.0.1:9000."`
	Target   map[string]string `placeholder:"NAME=URL" help:"The address of a cluster that the configuration names: an http(s) URL, or unix:PATH."`
	Pool     int               `default:"0" help:"Instances of the filter at most; 0 is twice the number of CPUs."`
	Cache    string            `placeholder:"DIR" help:"Keep the compiled filter in this folder, for a quick next start."`
	Deadline time.Duration     `default:"15s" help:"How long the filter may take to judge a request."`
	Metrics  string            `placeholder:"ADDR" help:"Serve /healthz, /readyz and Prometheus metrics at this address."`

	Identity string `enum:",auto,spire,kms,agentcore,oidc,local" default:"" placeholder:"KIND" help:"Serve the workload's identity to the filter from this process, so that it needs no agent: auto, spire, kms, agentcore, oidc or local."`

	JWTIssuer   string `name:"jwt-issuer" placeholder:"URL" help:"Check bearer tokens of this issuer: the filter's configuration then knows the user."`
	JWTAudience string `name:"jwt-audience" placeholder:"NAME" help:"Whom the tokens must be for."`
	JWTKeys     string `name:"jwt-jwks" placeholder:"FILE|URL" help:"The issuer's keys, a JWKS."`

	TLSCert  string `name:"tls-cert" placeholder:"FILE" help:"Serve TLS with this certificate chain (PEM)."`
	TLSKey   string `name:"tls-key" placeholder:"FILE" help:"Its private key (PEM)."`
	ClientCA string `name:"client-ca" placeholder:"FILE" help:"Ask clients for a certificate of these authorities (PEM): gives the peer rule its peer."`
	TLSSVID  bool   `name:"tls-svid" help:"Serve TLS with the workload's SVIDs, and ask clients for theirs; with --identity spire."`
}

func (proxyCmd) Help() string {
	return "Example:\n  kest proxy --wasm wasm/policy.wasm --config filter.yaml --listen 127.0.0.1:8080 --upstream http://127.0.0.1:9000\n\n" +
		"Serves HTTP/1.1 and HTTP/2, without TLS (h2c) unless told otherwise. Ends on SIGINT or SIGTERM after the requests under way."
}

// hostFunctions converts a service's functions to the host's type.
func hostFunctions(list map[string]identityhost.Function) map[string]host.Function {
	functions := make(map[string]host.Function)
	for name, f := range list {
		functions[name] = f
	}
	return functions
}

// claimBytes bounds the claims that this process keeps, claimBytes each at most 1 MiB.
const claimBytes, claimBytesEach = 64 << 20, 1 << 20

// Run serves until it is told to end.
func (p *proxyCmd) Run(c console) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if p.Upstream.Scheme != "http" && p.Upstream.Scheme != "https" || p.Upstream.Host == "" {
		return fmt.Errorf("--upstream %s: it must be an http or https URL", p.Upstream)
	}
	wasm, err := c.read(p.Wasm)
	if err != nil {
		return err
	}
	configuration, err := c.readDocument(p.Config)
	if err != nil {
		return err
	}
	parts, err := p.open(ctx, c, configuration)
	if err != nil {
		return err
	}
	defer parts.close()
	listener, err := net.Listen("tcp", p.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	fmt.Fprintf(c.err, "kest: compiling %s …\n", p.Wasm)
	counts := &counters{}
	filter, err := host.New(ctx, wasm, configuration, p.options(parts)...)
	if err != nil {
		return err
	}
	defer func() { _ = filter.Close(context.Background()) }()
	if err := p.serveMetrics(counts, parts.ready); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "kest: listening on %s, passing on to %s\n", listener.Addr(), p.Upstream)
	handler := counts.count(parts.check(filter.Handler(counts.passed(p.forward(parts.log)))))
	return serve(ctx, listener, handler, parts)
}

// forward passes on what the filter has let through.
func (p *proxyCmd) forward(log *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(p.Upstream)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func (p *proxyCmd) options(parts *proxyParts) []host.Option {
	options := []host.Option{
		host.WithLogger(parts.log), host.WithDeadline(p.Deadline), host.WithFunctions(parts.functions), host.WithProperties(parts.property),
	}
	if base, err := wasm.Policy(); err == nil { // else only a file with policies needs it, and says so
		options = append(options, host.WithBase(base))
	}
	if p.Pool > 0 {
		options = append(options, host.WithPool(p.Pool))
	}
	if p.Cache != "" {
		options = append(options, host.WithCompileCache(p.Cache))
	}
	for name, address := range p.Target {
		options = append(options, host.WithTarget(name, address))
	}
	return options
}

// shutdownGrace is how long requests under way may take at the end.
const shutdownGrace = 10 * time.Second

// serve serves until ctx ends; without a TLS configuration in the clear.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, parts *proxyParts) error {
	secure := parts.tls
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(secure != nil)
	protocols.SetUnencryptedHTTP2(secure == nil)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, Protocols: protocols, TLSConfig: secure,
		ErrorLog: slog.NewLogLogger(parts.log.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	go func() {
		if secure != nil {
			done <- server.ServeTLS(listener, "", "")
			return
		}
		done <- server.Serve(listener)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
