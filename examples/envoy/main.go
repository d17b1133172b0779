// Command envoy is the example of three hops through a real Envoy: it starts
// Envoy with envoy.yaml and the one small service behind its listeners, and
// sends an allowed, a denied and a tampered request.
//
//	make demo-envoy
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"kest.example/kest/internal/draw"
	"kest.example/kest/internal/forge"
)

// Addresses of envoy.yaml.
const (
	edge, agent, orders = "127.0.0.1:10000", "127.0.0.1:10001", "127.0.0.1:10002"
	app, admin          = "127.0.0.1:10003", "127.0.0.1:10004"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo-envoy:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", app)
	if err != nil {
		return fmt.Errorf("the app: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(serve), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	configuration, closeAgents, err := serveAgents(ctx)
	if err != nil {
		return err
	}
	defer closeAgents()
	envoy, err := startEnvoy(ctx, configuration)
	if err != nil {
		return err
	}
	defer envoy.stop()
	return requests(ctx)
}

// envoy is the running proxy.
type envoy struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

func startEnvoy(ctx context.Context, configuration string) (*envoy, error) {
	binary := filepath.Join(".tools", "bin", "envoy")
	for _, need := range [...]struct{ file, how string }{
		{binary, "make tools"}, {filepath.Join("wasm", "policy.wasm"), "make wasm"},
	} {
		if _, err := os.Stat(need.file); err != nil {
			return nil, fmt.Errorf("%s is missing: run %s, then this again in the project's folder", need.file, need.how)
		}
	}
	logFile, err := os.CreateTemp("", "kest-envoy-*.log")
	if err != nil {
		return nil, err
	}
	fmt.Println("starting Envoy, which compiles the filter first; its log:", logFile.Name())
	cmd := exec.CommandContext(ctx, binary, "-c", configuration, "--concurrency", "1",
		"--disable-hot-restart", "-l", "warning", "--component-log-level", "wasm:info")
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e := &envoy{cmd: cmd, log: logFile.Name(), done: make(chan error, 1)}
	go func() { e.done <- cmd.Wait() }()
	if err := e.ready(ctx); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// ready waits until Envoy serves.
func (e *envoy) ready(ctx context.Context) error {
	start := time.Now()
	for time.Since(start) < 2*time.Minute {
		select {
		case err := <-e.done:
			e.done <- err
			return fmt.Errorf("envoy ended: %w; see %s", err, e.log)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		response, err := http.Get("http://" + admin + "/ready")
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			fmt.Printf("ready after %.1f s\n\n", time.Since(start).Seconds())
			return nil
		}
	}
	return fmt.Errorf("envoy was not ready within 2 minutes; see %s", e.log)
}

func (e *envoy) stop() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-e.done:
		e.done <- err
	case <-time.After(5 * time.Second):
		_ = e.cmd.Process.Kill()
	}
}

// seen is the baggage of the last request that reached the app.
var seen atomic.Value

// serve is the app, in all three roles. It forwards baggage and traceparent.
func serve(w http.ResponseWriter, r *http.Request) {
	seen.Store(strings.Join(r.Header.Values("Baggage"), ","))
	next := ""
	switch {
	case strings.HasPrefix(r.URL.Path, "/ask/"):
		next = "http://" + agent + "/plan/" + strings.TrimPrefix(r.URL.Path, "/ask/")
	case strings.HasPrefix(r.URL.Path, "/plan/"):
		next = "http://" + orders + "/orders/" + strings.TrimPrefix(r.URL.Path, "/plan/")
	default:
		_, _ = io.WriteString(w, "done\n")
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, next, nil)
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	for _, name := range [...]string{"Baggage", "Traceparent"} {
		request.Header[name] = r.Header.Values(name)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		http.Error(w, "the next hop can't be reached", http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}

func requests(ctx context.Context) error {
	fmt.Println("1. POST /ask/refund: edge, agent and orders allow it")
	if err := show(ctx, edge, "/ask/refund", "", http.StatusOK); err != nil {
		return err
	}
	good, _ := seen.Load().(string)
	fmt.Println("2. POST /ask/delete: the policy no-unverified-delete of orders denies it")
	if err := show(ctx, edge, "/ask/delete", "", http.StatusForbidden); err != nil {
		return err
	}
	fmt.Println("3. POST to orders with the first request's passport, the trust in its second entry raised to 100")
	return show(ctx, orders, "/orders/refund", forge.Header(forge.Trust(forge.Entries(good), 1)), http.StatusForbidden)
}

var errUnexpected = errors.New("that is not what the example should answer")

// show sends a request and prints the answer and the lineage: as the last app
// was sent it, verified by its proxy, else as it stood in the request.
func show(ctx context.Context, to, path, bag string, want int) error {
	seen.Store("")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+to+path, nil)
	if err != nil {
		return err
	}
	if bag != "" {
		request.Header.Set("Baggage", bag)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	fmt.Printf("   %d %s\n", response.StatusCode, http.StatusText(response.StatusCode))
	got, _ := seen.Load().(string)
	switch {
	case response.StatusCode == http.StatusOK:
		fmt.Print(draw.Baggage(got, "   "))
	case got != "":
		fmt.Printf("   %s\n   the lineage as far as it came:\n%s", body, draw.Baggage(got, "     "))
	default:
		fmt.Printf("   %s\n   what was sent says, and did not verify:\n%s", body, draw.Baggage(bag, "     "))
	}
	fmt.Println()
	if response.StatusCode != want {
		return errUnexpected
	}
	return nil
}
