package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// counters counts requests for /metrics, by what was answered.
type counters struct {
	requests, passedOn atomic.Int64
	seconds            atomic.Int64 // in nanoseconds

	mu       sync.Mutex
	statuses map[int]int64
}

// count sees every request and its answer.
func (n *counters) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		n.requests.Add(1)
		n.seconds.Add(int64(time.Since(start)))
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.statuses == nil {
			n.statuses = make(map[int]int64)
		}
		n.statuses[seen.status]++
	})
}

// passed sees the requests that the filter let through.
func (n *counters) passed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.passedOn.Add(1)
		next.ServeHTTP(w, r)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach Flush and Hijack.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher for handlers that ask for it directly.
func (w *statusWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (p *proxyCmd) serveMetrics(n *counters, ready func(context.Context) error) error {
	if p.Metrics == "" {
		return nil
	}
	listener, err := net.Listen("tcp", p.Metrics)
	if err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { n.write(w) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with the process
	return nil
}

// write prints the Prometheus text format.
func (n *counters) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, "# HELP kest_requests_total Requests answered.\n# TYPE kest_requests_total counter\n")
	n.mu.Lock()
	for status, count := range n.statuses {
		fmt.Fprintf(w, "kest_requests_total{status=\"%d\"} %d\n", status, count)
	}
	n.mu.Unlock()
	fmt.Fprintf(w, "# HELP kest_passed_total Requests that the filter let through.\n# TYPE kest_passed_total counter\nkest_passed_total %d\n", n.passedOn.Load())
	fmt.Fprintf(w, "# HELP kest_request_seconds Time to answer, the upstream's included.\n# TYPE kest_request_seconds summary\n"+
		"kest_request_seconds_sum %g\nkest_request_seconds_count %d\n", time.Duration(n.seconds.Load()).Seconds(), n.requests.Load())
}
