package spire

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How long a stream that ended waits before the next attempt.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// backoffStrategy doubles the wait up to maxBackoff, give or take a fifth, so
// that not all workloads of a node come back at once.
type backoffStrategy struct{}

func (backoffStrategy) NewBackoff() workloadapi.Backoff { return &doubling{} }

type doubling struct{ next time.Duration }

func (b *doubling) Next() time.Duration {
	d := max(b.next, minBackoff)
	b.next = min(2*d, maxBackoff)
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // a wait is no secret
}

func (b *doubling) Reset() { b.next = 0 }

// follow runs a watch until the context ends. go-spiffe's own watches end where
// the API answers Canceled or InvalidArgument; these don't.
func (p *Provider) follow(ctx context.Context, watch func() error) {
	p.watchers.Go(func() {
		wait := backoffStrategy{}.NewBackoff()
		for ctx.Err() == nil {
			_ = watch() // the watcher was told of it
			select {
			case <-time.After(wait.Next()):
			case <-ctx.Done():
			}
		}
	})
}

// x509Watcher receives the X.509-SVIDs and bundles.
type x509Watcher struct{ p *Provider }

func (w x509Watcher) OnX509ContextUpdate(answer *workloadapi.X509Context) {
	w.p.update(answer)
	w.p.bundles.setX509(answer.Bundles.Bundles())
}

func (w x509Watcher) OnX509ContextWatchError(err error) {
	if status.Code(err) != codes.Canceled { // Close
		w.p.fail(explain(w.p.address, err, w.p.dialer.last()))
	}
}

// jwtWatcher receives the JWT bundles.
type jwtWatcher struct {
	p    *Provider
	last *jwtbundle.Set
}

// OnJWTBundlesUpdate implements workloadapi.JWTBundleWatcher.
func (w *jwtWatcher) OnJWTBundlesUpdate(set *jwtbundle.Set) {
	w.p.bundles.setJWT(set.Bundles())
	if w.p.options.jwt && w.revoked(set) {
		w.p.mu.Lock()
		defer w.p.mu.Unlock()
		w.p.announce()
	}
}

// revoked reports whether a key of the own trust domain has vanished: what it
// bound counts no longer.
func (w *jwtWatcher) revoked(set *jwtbundle.Set) bool {
	before := w.last
	w.last = set
	s, err := w.p.svid()
	if err != nil || before == nil {
		return false
	}
	now, ok := set.Get(s.id.TrustDomain())
	then, known := before.Get(s.id.TrustDomain())
	if !ok || !known {
		return false
	}
	for kid := range then.JWTAuthorities() {
		if !now.HasJWTAuthority(kid) {
			return true
		}
	}
	return false
}

// OnJWTBundlesWatchError implements workloadapi.JWTBundleWatcher.
func (w *jwtWatcher) OnJWTBundlesWatchError(err error) {
	if code := status.Code(err); code != codes.Unavailable && code != codes.Canceled {
		w.p.bundles.refuseJWT()
	}
}
