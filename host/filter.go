package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"kest.example/kest/internal/regorun"
)

// Filter is a guest with its configuration. It is safe for concurrent use.
type Filter struct {
	*options
	program       *program
	rego          *regorun.Module // policies beside the guest; nil where there are none
	configuration []byte
	clusters      map[string]*target
	ctx           context.Context // ends with Close
	cancel        context.CancelFunc
	pool          *pool
	instances     atomic.Uint64
	randomMu      sync.Mutex
	sessionMu     sync.Mutex
	session       []byte // what instances leave to each other (kest.session)
	closing       sync.Mutex
	gone          bool
}

// New compiles a module, makes its first instance and gives it its
// configuration. A guest that refuses that is a *RefusedError. A file of kest
// policy build also needs WithBase. ctx bounds New alone: Close ends the filter.
func New(ctx context.Context, wasm, configuration []byte, opts ...Option) (*Filter, error) {
	o := newOptions(opts)
	if o.pool < 1 || o.deadline <= 0 || o.pages < 1 || o.pages > 1<<16 {
		return nil, errors.New("host: pool, deadline and memory limit must be above 0, and the limit at most 65536 pages")
	}
	targets, err := newTargets(o.targets)
	if err != nil {
		return nil, err
	}
	guest, rego, err := beside(ctx, wasm, o)
	if err != nil {
		return nil, err
	}
	f := &Filter{options: o, rego: rego, configuration: configuration, clusters: targets}
	if f.program, err = compile(ctx, guest, o); err != nil {
		f.closeRego(ctx)
		return nil, err
	}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.pool = &pool{max: o.pool}
	f.pool.create = func(s *slot) error { return newInstance(f, s) }
	first, err := f.pool.acquire(ctx)
	if err != nil {
		_ = f.Close(ctx)
		return nil, err
	}
	f.pool.release(first)
	return f, nil
}

// Handler returns middleware that has the guest judge each request before next
// sees it. See [State] for what the guest may tell next.
func (f *Filter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, next) })
}

// closeGrace is how long guests that were told to stop may take for it.
const closeGrace = time.Second

// Close ends the filter: new requests are answered with 503, guests that run
// may finish until ctx ends and are stopped then. Shut the server down first.
// An error means that a function of the host's own still runs; its memory is
// not freed then.
func (f *Filter) Close(ctx context.Context) error {
	f.closing.Lock()
	defer f.closing.Unlock()
	if f.gone {
		return nil
	}
	idle := f.pool.close()
	f.cancel()
	select {
	case <-idle:
	case <-ctx.Done():
		f.pool.stop()
		select {
		case <-idle:
		case <-time.After(closeGrace):
			return fmt.Errorf("host: guests are still running: %w", ctx.Err())
		}
	}
	f.gone = true
	f.pool.retire()
	f.closeRego(ctx)
	return f.program.close(context.WithoutCancel(ctx))
}

func (f *Filter) closeRego(ctx context.Context) {
	if f.rego != nil {
		_ = f.rego.Close(context.WithoutCancel(ctx))
	}
}
