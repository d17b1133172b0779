// Package fleet is workloads with SVIDs, each with an agent, in front of which a
// filter runs on any surface: what must hold of identities when parts of that
// fail (IDENTITY.md). The Workload API, the CA and the agents are real, on real
// sockets.
package fleet

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/uuid7"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/keys"
)

// Fleet is a trust domain and its workloads.
type Fleet struct {
	t     testing.TB
	CA    *workloadtest.CA
	Cache kest.Cache // that the agents share
}

// New makes a fleet of the trust domain example.org.
func New(t testing.TB) *Fleet {
	return &Fleet{t: t, CA: workloadtest.NewCA("example.org"), Cache: newCache()}
}

// Provider is where a workload's identity comes from.
type Provider interface {
	kest.Provider
	kest.Binder
}

// Workload is one workload: its Workload API, its provider and its agent.
type Workload struct {
	ID       string
	API      *workloadtest.Server
	Provider Provider
	Keys     kest.KeySource
	Agent    *identityhost.Agent
	Socket   string // of the agent

	f      *Fleet
	token  string
	ttl    time.Duration
	mu     sync.Mutex
	server *http.Server
}

// Option is a choice that Workload takes.
type Option func(*Workload)

// WithToken has the agent ask for a bearer token.
func WithToken(token string) Option { return func(w *Workload) { w.token = token } }

// WithSessionTTL sets how long the agent binds keys.
func WithSessionTTL(d time.Duration) Option { return func(w *Workload) { w.ttl = d } }

// Workload makes spiffe://example.org/NAME, with an agent that isn't served yet.
func (f *Fleet) Workload(name string, options []Option, api ...workloadtest.Option) *Workload {
	f.t.Helper()
	w := &Workload{ID: "spiffe://example.org/" + name, f: f, ttl: time.Hour}
	for _, o := range options {
		o(w)
	}
	w.API = workloadtest.New(f.t, f.CA, w.ID, api...)
	bundles := keys.NewBundles(nil)
	bundles.ExpectFirst()
	provider, err := spire.Open(w.API.Address(), spire.OnBundles(func(list []*spiffebundle.Bundle) {
		for _, b := range list {
			bundles.Set(b)
		}
	}), spire.WithTTL(w.ttl))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = provider.Close() })
	w.Provider, w.Keys = provider, keys.NewVerifier(keys.WithBundles(bundles))
	return w.equip()
}

// Other makes a workload whose identity comes from elsewhere than SPIFFE.
func (f *Fleet) Other(id string, provider Provider, source kest.KeySource, options ...Option) *Workload {
	f.t.Helper()
	w := &Workload{ID: id, Provider: provider, Keys: source, f: f, ttl: time.Hour}
	for _, o := range options {
		o(w)
	}
	return w.equip()
}

// equip gives the workload an agent, and a place for its socket.
func (w *Workload) equip() *Workload {
	w.f.t.Helper()
	dir, err := os.MkdirTemp("", "kest-fleet-") // short: a socket's path has 107 bytes
	if err != nil {
		w.f.t.Fatal(err)
	}
	w.f.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.Socket = filepath.Join(dir, "agent.sock")
	w.Agent = w.newAgent()
	return w
}

func (w *Workload) newAgent() *identityhost.Agent {
	a, err := identityhost.NewAgent(w.Provider, w.Keys, w.f.Cache, identityhost.WithSessionTTL(w.ttl))
	if err != nil {
		w.f.t.Fatal(err)
	}
	return a
}

func (w *Workload) register(id *kest.Identity) error {
	jti, err := uuid7.NewV4(random{})
	if err != nil {
		return err
	}
	proof, err := id.ProveKey(context.Background(), jti, time.Now())
	if err != nil {
		return err
	}
	_, err = w.Agent.Sessions(context.Background(), proof)
	return err
}

// Service is what a Go host serves in the agent's place.
func (w *Workload) Service() map[string]identityhost.Function {
	return identityhost.New(w.f.Cache).AgentFunctions(w.Agent)
}

// Serve serves the agent on its socket until Kill, or the test's end.
func (w *Workload) Serve() *Workload {
	w.f.t.Helper()
	w.serve("unix", w.Socket)
	return w
}

// ServeTCP serves the agent on a loopback address too, and returns it as a URL.
func (w *Workload) ServeTCP() string {
	w.f.t.Helper()
	return "http://" + w.serve("tcp", "127.0.0.1:0").String()
}

func (w *Workload) serve(network, address string) net.Addr {
	w.f.t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		w.f.t.Fatal(err)
	}
	var options []identityhost.HandlerOption
	if w.token != "" {
		options = append(options, identityhost.WithToken(w.token))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server = identityhost.NewServer(identityhost.Handler(w.Agent, options...), slog.New(slog.DiscardHandler))
	server := w.server
	go func() { _ = server.Serve(l) }()
	w.f.t.Cleanup(func() { _ = server.Close() })
	return l.Addr()
}

// Kill ends the agent at once, and all that it remembered.
func (w *Workload) Kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.server.Close()
	_ = os.Remove(w.Socket)
	w.Agent = w.newAgent()
}

// Session is a key of the workload's, bound as its own process would have it,
// in the header of what it signs.
func (w *Workload) Session() *kest.Identity {
	w.f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		id, err := kest.NewSession(w.Provider, nil).Identity(ctx)
		switch {
		case err == nil:
			return id
		case ctx.Err() != nil:
			w.f.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Registered is a session key that the agent's directory knows: its entries
// carry a kid alone.
func (w *Workload) Registered() *kest.Identity {
	w.f.t.Helper()
	id := w.Session()
	var err error
	for range 5 { // a proxy would try again, too
		if err = w.register(id); identityhost.StatusOf(err) != http.StatusServiceUnavailable {
			break
		}
	}
	if err != nil {
		w.f.t.Fatal(err)
	}
	id.Binding, id.InlineJWK = "", false
	return id
}

func newCache() kest.Cache { return baggage.NewMemoryCache(16<<20, 1<<20, nil) }

// Requests is how many requests to routes of this prefix the agent counts in its
// metrics.
func (w *Workload) Requests(t testing.TB, prefix string) (n int) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", w.Socket)
	}}}
	defer c.CloseIdleConnections()
	response, err := c.Get("http://agent/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	family := families["kest_agent_requests_total"]
	if family == nil {
		t.Fatalf("the metrics have no kest_agent_requests_total: %v", families)
	}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "route" && strings.HasPrefix(l.GetValue(), prefix) {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}
