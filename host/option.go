package host

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"kest.example/kest/plugin/proxywasm"
)

// Option is a choice that New takes.
type Option func(*options)

// Function is a function of the host's that guests call by name
// (proxy_call_foreign_function). ctx is the request's; the function must end
// with it, as nothing else ends it. It runs concurrently with itself.
type Function func(ctx context.Context, argument []byte) ([]byte, proxywasm.Status)

// Defaults of the options.
const (
	// DefaultDeadline leaves room for the ten seconds that a guest may wait
	// for its first key binding.
	DefaultDeadline = 15 * time.Second
	// DefaultMemoryLimit is 256 MiB.
	DefaultMemoryLimit = 4096
)

type options struct {
	logger     *slog.Logger
	cacheDir   string
	pool       int
	deadline   time.Duration
	pages      uint32
	functions  map[string]Function
	targets    map[string]string
	clock      func() time.Time
	random     io.Reader
	properties func(r *http.Request, path []string) ([]byte, bool)
	vmID       string
	shared     *SharedData
	base       []byte
}

func newOptions(opts []Option) *options {
	o := &options{
		logger: slog.Default(), pool: 2 * runtime.GOMAXPROCS(0), deadline: DefaultDeadline, pages: DefaultMemoryLimit,
		functions: make(map[string]Function), targets: make(map[string]string), shared: NewSharedData(),
	}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// WithLogger takes the guest's log and the host's own. The default is slog.Default.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithCompileCache keeps compiled modules in a directory, so that the next
// start doesn't compile. Whoever can write there runs code in this process.
func WithCompileCache(dir string) Option { return func(o *options) { o.cacheDir = dir } }

// WithPool caps the number of instances, so also how many requests the guest
// works on at one moment. The default is twice GOMAXPROCS.
func WithPool(size int) Option { return func(o *options) { o.pool = size } }

// WithDeadline bounds how long the guest may take to judge a request: waiting
// for an instance, the guest's own time, and its callouts, all together. The
// response has a budget of the same size of its own, and so have a tick, a
// callout's answer and the start of an instance. The default is DefaultDeadline.
func WithDeadline(d time.Duration) Option { return func(o *options) { o.deadline = d } }

// WithMemoryLimit bounds the memory of each instance, in pages of 64 KiB. The
// default is DefaultMemoryLimit.
func WithMemoryLimit(pages uint32) Option { return func(o *options) { o.pages = pages } }

// WithFunctions offers functions to the guest, as "kest.verify". Those of
// several calls add up.
func WithFunctions(functions map[string]Function) Option {
	return func(o *options) {
		for name, f := range functions {
			o.functions[name] = f
		}
	}
}

// WithTarget gives a cluster that the guest calls an address: an http or https
// URL without a path, or "unix:PATH".
func WithTarget(cluster, address string) Option {
	return func(o *options) { o.targets[cluster] = address }
}

// WithClock fixes the wall clock that guests see; for tests. Without it they
// see the system's.
func WithClock(now func() time.Time) Option { return func(o *options) { o.clock = now } }

// WithRandom serves the foreign function kest.random from r; for tests. WASI's
// random source is always the system's, since Go's runtime reads from it at
// start and would make everything after depend on that.
func WithRandom(r io.Reader) Option { return func(o *options) { o.random = r } }

// WithProperties answers what a guest asks of a request (proxy_get_property),
// before the properties that this host knows itself.
func WithProperties(f func(r *http.Request, path []string) ([]byte, bool)) Option {
	return func(o *options) { o.properties = f }
}

// WithVMID sets the property plugin_vm_id.
func WithVMID(id string) Option { return func(o *options) { o.vmID = id } }

// WithSharedData lets several filters share one table, as ingress and egress
// do. Without it each filter has its own.
func WithSharedData(t *SharedData) Option { return func(o *options) { o.shared = t } }
