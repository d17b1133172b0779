// Package spire takes a workload's identity from the SPIFFE Workload API, as
// SPIRE's agent serves it over a Unix socket or TCP (CONTRACT 8).
//
// Open never waits: a Provider goes on connecting in the background, follows
// every rotation, and says by Ready why it has no identity yet. It signs with
// the key of the X.509-SVID (direct mode), or binds session keys to the
// workload: by the X.509-SVID (form (a)), or by JWT-SVIDs whose one audience is
// the key (form (b), WithJWTBinding).
//
// While the Workload API is away the last SVID counts until it expires. Once the
// API says that this workload has no identity, the SVID is dropped at once
// (SPIFFE Workload API section 5.2.1).
package spire

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"kest.example/kest"
)

// Provider is a kest.Provider and a kest.Binder whose identity is an
// X.509-SVID. It is safe for concurrent use. Close ends it.
type Provider struct {
	address  string
	options  options
	client   *workloadapi.Client
	dialer   *dialer
	bundles  bundles
	stop     context.CancelFunc
	watchers sync.WaitGroup
	close    func() error

	complained string // the last failure that was logged; the X.509 watch's own

	mu      sync.Mutex
	current state
	updated chan struct{} // closed at the next change
}

var (
	_ kest.Provider = (*Provider)(nil)
	_ kest.Binder   = (*Provider)(nil)
	_ kest.Updater  = (*Provider)(nil)
)

// state is what the Workload API last said.
type state struct {
	id       spiffeid.ID    // zero: there is no SVID
	notAfter time.Time      // of the SVID
	chain    string         // its DER
	identity *kest.Identity // nil where the key can't sign
	err      error          // why there is no identity, or why it isn't renewed
}

// Open makes a provider of the Workload API at an address such as
// unix:///run/spire/agent.sock or tcp://127.0.0.1:8081, the form of
// SPIFFE_ENDPOINT_SOCKET. It doesn't wait for the API and goes on connecting to
// it for ever. Its error wraps kest.ErrConfiguration: a malformed address or
// option.
func Open(address string, opts ...Option) (*Provider, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	client, d, err := connect(address)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Provider{address: address, options: o, client: client, dialer: d, stop: stop, updated: make(chan struct{})}
	p.current.err = &Error{Address: address, Detail: "it has not answered yet"}
	p.bundles.notify = o.onBundles
	p.close = sync.OnceValue(p.end)
	p.follow(ctx, func() error { return client.WatchX509Context(ctx, x509Watcher{p}) })
	if o.onBundles != nil || o.jwt {
		p.follow(ctx, func() error { return client.WatchJWTBundles(ctx, &jwtWatcher{p: p}) })
	}
	return p, nil
}

// Close ends the provider, forgets its key and waits for its goroutines. It must
// not be called from OnBundles.
func (p *Provider) Close() error { return p.close() }

func (p *Provider) end() error {
	p.stop()
	p.watchers.Wait()
	p.change(state{err: &Error{Address: p.address, Detail: "the provider is closed"}})
	return p.client.Close()
}

// Identity implements kest.Provider: the X.509-SVID's own key, ES256 or RS256,
// with its chain as X5C. It never waits. Its errors are of type *Error and wrap
// kest.ErrUnavailable.
func (p *Provider) Identity(context.Context) (*kest.Identity, error) {
	s, err := p.svid()
	if err != nil {
		return nil, err
	}
	if s.identity == nil {
		return nil, s.err
	}
	return s.identity, nil
}

// Ready returns nil where Identity would succeed, with WithJWTBinding where Bind
// may; else why not, in one line that wraps kest.ErrUnavailable.
func (p *Provider) Ready() error {
	s, err := p.svid()
	if err == nil && s.identity == nil && !p.options.jwt {
		err = s.err
	}
	return err
}

// Updated implements kest.Updater: its channel is closed at the next change, a
// first SVID, another one, or none any more; with WithJWTBinding also that a JWT
// key of the trust domain is revoked. That an SVID expires is no change.
func (p *Provider) Updated() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.updated
}

// svid returns the state if it holds an SVID that counts now.
func (p *Provider) svid() (state, error) {
	p.mu.Lock()
	s := p.current
	p.mu.Unlock()
	switch {
	case s.id.IsZero():
		return s, s.err
	case !time.Now().Before(s.notAfter):
		return s, expired(p.address, s)
	}
	return s, nil
}

// change sets the state and tells who waits for it.
func (p *Provider) change(s state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = s
	p.announce()
}

// announce tells who waits for a change. The caller holds the lock.
func (p *Provider) announce() {
	close(p.updated)
	p.updated = make(chan struct{})
}

// String names the provider without what it holds.
func (p *Provider) String() string { return "spire.Provider(" + p.address + ")" }

// Format hides the key from logs, whatever the verb.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }
