package spire

import (
	"slices"
	"sync"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// bundles merges the X.509 and the JWT bundles, which come over two streams.
type bundles struct {
	notify func([]*spiffebundle.Bundle) // nil: nobody wants them

	mu        sync.Mutex // held while notify runs, so that it sees the changes in order
	x509      []*x509bundle.Bundle
	jwt       []*jwtbundle.Bundle
	x509Known bool
	jwtKnown  bool // or the API has none to give
	told      []*spiffebundle.Bundle
}

func (b *bundles) setX509(list []*x509bundle.Bundle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.x509, b.x509Known = list, true
	b.tell()
}

func (b *bundles) setJWT(list []*jwtbundle.Bundle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jwt, b.jwtKnown = list, true
	b.tell()
}

// refuseJWT says that no JWT bundles come for now: an operator may have switched
// them off. Those that came before stay.
func (b *bundles) refuseJWT() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jwtKnown = true
	b.tell()
}

// tell calls notify where something changed. Half of the first answer is kept
// back: the other half would look as if it were not there.
func (b *bundles) tell() {
	if b.notify == nil || !b.x509Known || !b.jwtKnown {
		return
	}
	now := b.merged()
	if slices.EqualFunc(now, b.told, (*spiffebundle.Bundle).Equal) {
		return
	}
	b.told = now
	copies := make([]*spiffebundle.Bundle, len(now))
	for i, bundle := range now {
		copies[i] = bundle.Clone()
	}
	b.notify(copies)
}

func (b *bundles) merged() []*spiffebundle.Bundle {
	set := make(map[spiffeid.TrustDomain]*spiffebundle.Bundle)
	of := func(td spiffeid.TrustDomain) *spiffebundle.Bundle {
		if set[td] == nil {
			set[td] = spiffebundle.New(td)
		}
		return set[td]
	}
	for _, x := range b.x509 {
		of(x.TrustDomain()).SetX509Authorities(x.X509Authorities())
	}
	for _, j := range b.jwt {
		of(j.TrustDomain()).SetJWTAuthorities(j.JWTAuthorities())
	}
	list := make([]*spiffebundle.Bundle, 0, len(set))
	for _, bundle := range set {
		list = append(list, bundle)
	}
	slices.SortFunc(list, func(x, y *spiffebundle.Bundle) int { return x.TrustDomain().Compare(y.TrustDomain()) })
	return list
}
