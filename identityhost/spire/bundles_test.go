package spire_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"

	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

type bundleList = []*spiffebundle.Bundle

// seen keeps what OnBundles was told.
type seen struct {
	mu   sync.Mutex
	list []bundleList
}

func (s *seen) add(b bundleList) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, b)
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// last reports whether the last call had just these bundles.
func (s *seen) last(want ...*spiffebundle.Bundle) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list) > 0 && slices.EqualFunc(s.list[len(s.list)-1], want, (*spiffebundle.Bundle).Equal)
}

// The bundles of all trust domains follow roots and JWT keys that come and go,
// in one's own trust domain and in a federated one.
func TestBundlesFollow(t *testing.T) {
	own, partner := workloadtest.NewCA("example.org"), workloadtest.NewCA("a-partner.example")
	api := workloadtest.New(t, own, orders, workloadtest.WithFederated(partner))
	var s seen
	p := open(t, api, spire.OnBundles(s.add))
	now := func() bool { return s.last(partner.Bundle(), own.Bundle()) }
	until(t, "the first bundles", now)
	if n := s.count(); n != 1 {
		t.Errorf("%d calls for the first bundles: half of them was told", n)
	}
	first := own.Roots()[0]
	for what, change := range map[string]func(){
		"a root":              func() { own.UseRoot(own.AddRoot()) },
		"a federated root":    func() { partner.AddRoot() },
		"a JWT key":           func() { own.RotateJWTKey() },
		"a federated JWT key": func() { partner.RotateJWTKey() },
	} {
		change()
		until(t, what, now)
	}
	own.RevokeRoot(first)
	partner.RevokeRoot(partner.Roots()[0])
	for kid := range own.Bundle().JWTAuthorities() {
		own.RevokeJWTKey(kid)
	}
	until(t, "the revocations", now)
	n := s.count()
	updated := p.Updated()
	api.RotateSVID()
	await(t, updated)
	api.Stop()
	start(t, api)
	until(t, "the streams", func() bool { return api.Streams() == 2 })
	own.AddRoot()
	until(t, "one more root", now)
	if s.count() != n+1 {
		t.Errorf("%d calls for one change", s.count()-n)
	}
}

// Where the JWT-SVID profile is switched off, the X.509 half is all there is.
func TestBundlesWithoutJWT(t *testing.T) {
	api := serve(t, workloadtest.WithoutJWT())
	var s seen
	open(t, api, spire.OnBundles(s.add))
	x509Only := func() *spiffebundle.Bundle { return spiffebundle.FromX509Bundle(api.CA().Bundle().X509Bundle()) }
	until(t, "the bundle", func() bool { return s.last(x509Only()) })
	api.CA().AddRoot()
	until(t, "the new root", func() bool { return s.last(x509Only()) })
}

// What the callback does to its bundles changes nobody else's.
func TestBundlesAreCopies(t *testing.T) {
	api := serve(t)
	var s seen
	p := open(t, api, spire.OnBundles(func(list bundleList) {
		s.add(bundleList{list[0].Clone()})
		for _, root := range list[0].X509Authorities() {
			list[0].RemoveX509Authority(root)
		}
	}))
	until(t, "the bundle", func() bool { return s.last(api.CA().Bundle()) })
	ready(t, p)
	for range 2 { // the second shows that the first answer was dealt with
		updated := p.Updated()
		api.RotateSVID()
		await(t, updated)
	}
	if n := s.count(); n != 1 {
		t.Errorf("%d calls, though nothing changed", n)
	}
	api.CA().RotateJWTKey()
	until(t, "all of the bundle", func() bool { return s.last(api.CA().Bundle()) })
}

// With federation a workload of one trust domain verifies the bindings of
// another, by that one's bundle alone.
func TestTrustDomains(t *testing.T) {
	a, b := workloadtest.NewCA("a.example"), workloadtest.NewCA("b.example")
	apis := map[string]*workloadtest.Server{
		"a.example": workloadtest.New(t, a, "spiffe://a.example/orders", workloadtest.WithFederated(b)),
		"b.example": workloadtest.New(t, b, "spiffe://b.example/orders", workloadtest.WithFederated(a)),
	}
	key := kesttest.NewProvider("key").Key()
	var told [2]seen
	i := 0
	providers := map[string]*spire.Provider{}
	for td, api := range apis {
		providers[td] = open(t, api, spire.OnBundles(told[i].add))
		i++
	}
	for i := range told {
		until(t, "the bundles", func() bool { return told[i].last(a.Bundle(), b.Bundle()) })
	}
	for td, p := range providers {
		ready(t, p)
		bound, err := p.Bind(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, bundle := range told[0].list[0] {
			_, err := verify(bundle, bound, key)
			if own := bundle.TrustDomain().Name() == td; own != (err == nil) {
				t.Errorf("a binding of %s under %s: %v", td, bundle.TrustDomain(), err)
			}
		}
	}
}
