package keys

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// maxDocument bounds every document that keys are read from.
const maxDocument = 1 << 20

// Bundles are the trust bundles of SPIFFE trust domains, each of which speaks
// for its own ids alone. An authority that vanishes is kept: what it vouched for
// until then stays true, and counts as revoked at run time. At most 128
// vanished ones are kept per trust domain, for 90 days. It is safe for
// concurrent use.
type Bundles struct {
	now func() time.Time

	mu        sync.RWMutex
	domains   map[spiffeid.TrustDomain]*domain // each immutable: a change replaces it
	expected  map[spiffeid.TrustDomain]bool
	expectAll bool
}

// NewBundles makes an empty set. A nil clock is time.Now.
func NewBundles(now func() time.Time) *Bundles {
	if now == nil {
		now = time.Now
	}
	return &Bundles{
		now: now, domains: make(map[spiffeid.TrustDomain]*domain), expected: make(map[spiffeid.TrustDomain]bool),
	}
}

// ParseBundle reads a trust domain's bundle in the SPIFFE form of a JWKS, of at
// most 1 MiB. Its error wraps kest.ErrConfiguration; a bundle without any
// authority is one.
func ParseBundle(trustDomain spiffeid.TrustDomain, text []byte) (*spiffebundle.Bundle, error) {
	if err := strictJSON(text); err != nil {
		return nil, fmt.Errorf("keys: the bundle of %s: %w: %w", trustDomain, kest.ErrConfiguration, err)
	}
	bundle, err := spiffebundle.Parse(trustDomain, text)
	if err != nil {
		return nil, fmt.Errorf("keys: the bundle of %s: %w: %w", trustDomain, kest.ErrConfiguration, err)
	}
	if trustDomain.IsZero() || bundle.Empty() {
		return nil, fmt.Errorf("keys: the bundle of %q has no authority or no trust domain: %w", trustDomain, kest.ErrConfiguration)
	}
	return bundle, nil
}

var errTooLong = errors.New("keys: the document is over 1 MiB")

// strictJSON wants what another parser may take two ways to be refused, such as
// repeated names.
func strictJSON(text []byte) error {
	if len(text) > maxDocument {
		return errTooLong
	}
	_, err := jcs.Parse(text)
	return err
}

// Expect says that the bundles of these trust domains will come. Until they do,
// who asks for them gets kest.ErrUnavailable.
func (b *Bundles) Expect(trustDomains ...spiffeid.TrustDomain) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, td := range trustDomains {
		b.expected[td] = true
	}
}

// ExpectFirst says that a first bundle will come, of a trust domain that isn't
// known yet. Until it does, who asks for any gets kest.ErrUnavailable.
func (b *Bundles) ExpectFirst() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expectAll = true
}

// Set replaces its trust domain's bundle by a copy of this one, X.509 and JWT
// authorities together. Authorities whose keys are not supported are left out.
func (b *Bundles) Set(bundle *spiffebundle.Bundle) {
	if bundle == nil || bundle.TrustDomain().IsZero() {
		return
	}
	current := authorities(bundle)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expectAll = false
	b.replace(bundle.TrustDomain(), current, true)
}

// Remove ends the trust in a trust domain: all its authorities have vanished.
func (b *Bundles) Remove(trustDomain spiffeid.TrustDomain) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.expected, trustDomain)
	b.replace(trustDomain, nil, false)
}

// Has reports whether the trust domain's bundle is there.
func (b *Bundles) Has(trustDomain spiffeid.TrustDomain) bool {
	d := b.domain(trustDomain)
	return d != nil && d.present
}

// replace puts the next domain in the place of the last, unless nothing changed:
// what was verified under a domain counts as long as it is the same one.
func (b *Bundles) replace(td spiffeid.TrustDomain, current []authority, present bool) {
	old := b.domains[td]
	next := newDomain(old, current, present, b.now())
	switch {
	case old != nil && old.equal(next):
	case len(next.authorities) == 0 && !present:
		delete(b.domains, td)
	default:
		b.domains[td] = next
	}
}

// domain returns nil where nothing is known of the trust domain.
func (b *Bundles) domain(td spiffeid.TrustDomain) *domain {
	if b == nil {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.domains[td]
}

// awaited reports whether the trust domain's bundle is expected and not there yet.
func (b *Bundles) awaited(td spiffeid.TrustDomain) bool {
	if b == nil {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	d := b.domains[td]
	return (b.expectAll || b.expected[td]) && (d == nil || !d.present)
}
