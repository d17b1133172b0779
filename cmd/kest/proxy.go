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

	"kest.example/kest/baggage"
	"kest.example/kest/host"
	"kest.example/kest/identityhost"
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
	Metrics  string            `placeholder:"ADDR" help:"Serve /healthz and Prometheus metrics at this address."`
}

func (proxyCmd) Help() string {
	return "Example:\n  kest proxy --wasm wasm/policy.wasm --config filter.yaml --listen 127.0.0.1:8080 --upstream http://127.0.0.1:9000\n\n" +
		"Serves HTTP/1.1 and HTTP/2 without TLS (h2c). Ends on SIGINT or SIGTERM after the requests under way."
}

// hostFunctions converts the service's functions to the host's type.
func hostFunctions(s *identityhost.Service) map[string]host.Function {
	functions := make(map[string]host.Function)
	for name, f := range s.Functions() {
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
	listener, err := net.Listen("tcp", p.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	fmt.Fprintf(c.err, "kest: compiling %s …\n", p.Wasm)
	counts := &counters{}
	filter, err := host.New(ctx, wasm, configuration, p.options(c)...)
	if err != nil {
		return err
	}
	defer func() { _ = filter.Close(context.Background()) }()
	if err := p.serveMetrics(counts); err != nil {
		return err
	}
	upstream := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(p.Upstream)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	fmt.Fprintf(c.err, "kest: listening on %s, passing on to %s\n", listener.Addr(), p.Upstream)
	return serve(ctx, listener, counts.count(filter.Handler(counts.passed(upstream))))
}

func (p *proxyCmd) options(c console) []host.Option {
	service := identityhost.New(baggage.NewMemoryCache(claimBytes, claimBytesEach, nil))
	options := []host.Option{
		host.WithLogger(slog.New(slog.NewTextHandler(c.err, nil))), host.WithDeadline(p.Deadline),
		host.WithFunctions(hostFunctions(service)),
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

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, Protocols: protocols}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
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
