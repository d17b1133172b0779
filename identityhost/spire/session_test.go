package spire_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/keys"
)

// aheadClock is the time, which a test puts forward.
type aheadClock struct{ ahead atomic.Int64 }

func (c *aheadClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// party signs under session keys of an SVID, and verifies at run time what was
// signed, by the bundle of the same Workload API.
type party struct {
	api      *workloadtest.Server
	clock    aheadClock // of the session's renewals alone
	session  *kest.Session
	ask      *kest.Operation
	bundles  *keys.Bundles
	told     seen
	verifier *kest.Verifier
	inFlight sync.RWMutex // read-locked from a signature to its verification
}

func newParty(t *testing.T, options ...spire.Option) *party {
	t.Helper()
	p := &party{api: serve(t), bundles: keys.NewBundles(nil)}
	ready(t, open(t, p.api)) // the server has its SVID by now
	provider := open(t, p.api, append(options, spire.OnBundles(func(list []*spiffebundle.Bundle) {
		for _, b := range list {
			p.bundles.Set(b)
		}
		p.told.add(list)
	}))...)
	ready(t, provider)
	p.session = kest.NewSession(provider, p.clock.Now)
	var err error
	if p.verifier, err = kest.NewVerifier(keys.NewVerifier(keys.WithBundles(p.bundles)), nil, kest.InsecureTrustAllClaims()); err != nil {
		t.Fatal(err)
	}
	h, err := kest.NewHook(p.session, kest.AllowAll())
	if err != nil {
		t.Fatal(err)
	}
	if p.ask, err = h.Operation(kest.Hop{Operation: "ask", RootOrigin: "user_input", Policies: []string{"any"}}); err != nil {
		t.Fatal(err)
	}
	until(t, "the bundle", func() bool { return p.bundles.Has(spiffeid.RequireTrustDomainFromString("example.org")) })
	return p
}

// entry is one call's passport.
func (p *party) entry() (passport kest.Passport, err error) {
	err = p.ask.Do(context.Background(), func(ctx context.Context) error {
		passport = kest.CurrentLineage(ctx).Passport()
		return nil
	})
	return passport, err
}

// binding is of the key that signs now.
func (p *party) binding(t *testing.T) string {
	t.Helper()
	id, err := p.session.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return id.Binding
}

// A root is rotated away as SPIRE does it: a new one is made known, SVIDs move
// over, the old one is revoked. A session moves over too, so that no call fails
// and no entry is refused, at any time.
func TestSessionFollowsRoots(t *testing.T) {
	for form, options := range map[string][]spire.Option{"by the SVID": nil, "by JWT-SVIDs": {spire.WithJWTBinding()}} {
		t.Run(form, func(t *testing.T) {
			p := newParty(t, options...)
			ca, first := p.api.CA(), p.binding(t)
			before, err := p.entry()
			if err != nil {
				t.Fatal(err)
			}
			end := p.load(t)
			old := ca.Bundle()
			next := ca.AddRoot()
			ca.RotateJWTKey()
			until(t, "the new root is known", func() bool { return p.told.last(ca.Bundle()) })
			ca.UseRoot(next)
			p.clock.ahead.Add(int64(5 * time.Second)) // the first binding was just now
			p.api.RotateSVID()
			until(t, "another binding", func() bool { return p.binding(t) != first || t.Failed() })
			p.inFlight.Lock() // what the old one signed has arrived
			revoke(ca, old)
			p.inFlight.Unlock()
			until(t, "the revocation is known", func() bool { return p.told.last(ca.Bundle()) })
			if n := end(); n < 2 {
				t.Errorf("%d entries under load", n)
			}
			late, err := p.entry()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.verifier.Verify(context.Background(), late); err != nil {
				t.Errorf("under the new root: %v", err)
			}
			var refused *kest.VerificationError
			if _, err := p.verifier.Verify(context.Background(), before); !errors.As(err, &refused) {
				t.Errorf("the revoked root's entry: %v", err)
			}
		})
	}
}

// send makes an entry and verifies it.
func (p *party) send() error {
	p.inFlight.RLock()
	defer p.inFlight.RUnlock()
	passport, err := p.entry()
	if err != nil {
		return err
	}
	_, err = p.verifier.Verify(context.Background(), passport)
	return err
}

// revoke ends the trust in what stands in a bundle.
func revoke(ca *workloadtest.CA, b *spiffebundle.Bundle) {
	for _, root := range b.X509Authorities() {
		ca.RevokeRoot(root)
	}
	for kid := range b.JWTAuthorities() {
		ca.RevokeJWTKey(kid)
	}
}

// With form (b) it is the JWT key that vouches for a binding: once that is
// revoked the session has another one.
func TestSessionFollowsJWTKeys(t *testing.T) {
	p := newParty(t, spire.WithJWTBinding())
	ca, first := p.api.CA(), p.binding(t)
	old := ca.Bundle()
	ca.RotateJWTKey()
	p.clock.ahead.Add(int64(5 * time.Second))
	for kid := range old.JWTAuthorities() {
		ca.RevokeJWTKey(kid)
	}
	until(t, "the revocation is known", func() bool { return p.told.last(ca.Bundle()) })
	until(t, "another binding", func() bool { return p.binding(t) != first })
	if err := p.send(); err != nil {
		t.Errorf("under the new key: %v", err)
	}
}

// load signs and verifies without a break; end stops it and counts the entries.
func (p *party) load(t *testing.T) (end func() int64) {
	var stop atomic.Bool
	var n atomic.Int64
	var work sync.WaitGroup
	t.Cleanup(func() { stop.Store(true); work.Wait() })
	for range 4 {
		work.Go(func() {
			for !stop.Load() && !t.Failed() {
				if err := p.send(); err != nil {
					t.Errorf("under rotation: %v", err)
				}
				n.Add(1)
			}
		})
	}
	return func() int64 {
		stop.Store(true)
		work.Wait()
		return n.Load()
	}
}
