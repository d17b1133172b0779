package keys_test

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// A key that its issuer has withdrawn binds nobody, verified before or not.
func TestWithdrawnSignerKey(t *testing.T) {
	w := newWorld()
	path := filepath.Join(t.TempDir(), "jwks.json")
	write(t, path, jwks(named("oidc-1", w.oidc)))
	set, err := keys.OpenJWKSFile(path, keys.KeepFor(0))
	if err != nil {
		t.Fatal(err)
	}
	v := keys.NewVerifier(keys.WithClock(w.clock.now), keys.WithSigners(
		keys.Signer{Principals: []kest.Pattern{issuer + "#*"}, Issuer: issuer, JWKS: set},
	))
	d := oidcToken(w)
	d.mustVerify(t, v)
	write(t, path, jwks(named("oidc-2", p256())))
	d.mustRefuse(t, v)
	write(t, path, jwks(named("oidc-1", p256())))
	d.mustRefuse(t, v)
	write(t, path, jwks(named("oidc-1", w.oidc)))
	compact := d.compact()
	if _, err := v.Binding(ctx, d.principal, compact, d.beside); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, _ = set.Keys(ctx, "oidc-1")
	time.Sleep(time.Millisecond)
	if _, err := v.Binding(ctx, d.principal, compact, d.beside); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("with its keys away a known token gives %v", err)
	}
}

// Of two vanished roots with one key, the one that was seen last counts.
func TestLatestOfVanishedRoots(t *testing.T) {
	w := newWorld()
	for _, days := range []time.Duration{3, 2, 4} {
		renewed := newCA("root", w.root.pen, func(c *x509.Certificate) { c.NotAfter = noon.Add(days * 24 * time.Hour) })
		w.clock.move(time.Minute)
		w.bundles.Set(bundle(domain, renewed))
	}
	w.clock.move(time.Minute)
	w.bundles.Set(bundle(domain, newCA("other", p256())))
	key := boundBy(w.root.svid(orders, p256()), orders).mustVerify(t, w.verifier())
	if !key.Revoked || !key.NotAfter.Equal(w.clock.now()) {
		t.Errorf("it gives %+v at %v", key, w.clock.now())
	}
}

// What no moment is left for is refused.
func TestNeverValid(t *testing.T) {
	w := newWorld()
	one := w.root.issue("one", p256(), func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.NotAfter = true, x509.KeyUsageCertSign, noon.Add(5*time.Minute)
	})
	d := boundBy(one.svid(orders, p256()), orders, one)
	if key := d.mustVerify(t, w.verifier()); !key.NotAfter.Equal(noon.Add(5 * time.Minute)) {
		t.Errorf("it outlives its chain: %v", key.NotAfter)
	}
	d.claims["nbf"] = noon.Add(10 * time.Minute).Unix()
	d.mustRefuse(t, w.verifier())
}

func TestSkew(t *testing.T) {
	w := newWorld()
	d := boundBy(w.root.svid(orders, p256()), orders)
	d.claims["iat"] = noon.Add(time.Second).Unix()
	d.mustVerify(t, w.verifier())
	d.mustRefuse(t, w.verifier(keys.WithSkew(0)))
}

func TestNewPublicKey(t *testing.T) {
	for name, p := range map[string]pen{"P-384": p384(), "RSA 1024": rsa1024()} {
		if _, err := keys.NewPublicKey(p.private.Public()); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, none := range []any{nil, "x", p256().private} {
		if _, err := keys.NewPublicKey(none); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%T: %v", none, err)
		}
	}
	for algorithm, p := range map[string]pen{"ES256": p256(), "RS256": rsa2048(), "EdDSA": ed(1)} {
		if key, err := keys.NewPublicKey(p.private.Public()); err != nil || key.Algorithm() != algorithm {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// Bundles change while bindings are verified: each answer is of one of the two.
func TestBundlesChangeUnderLoad(t *testing.T) {
	w := newWorld()
	v := w.verifier()
	compact := boundBy(w.root.svid(orders, p256()), orders).compact()
	without := bundle(domain, newCA("new", p256()))
	w.clock.move(time.Minute)
	var askers, changer sync.WaitGroup
	stop := make(chan struct{})
	changer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.bundles.Set(without)
				w.bundles.Set(w.bundle())
			}
		}
	})
	for range 4 {
		askers.Go(func() {
			for range 50 {
				if _, err := v.Binding(ctx, orders, compact, kest.PublicKey{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	askers.Wait()
	close(stop)
	changer.Wait()
	w.bundles.Set(without)
	if key, err := v.Binding(ctx, orders, compact, kest.PublicKey{}); err != nil || !key.Revoked {
		t.Errorf("at last it gives %+v, %v", key, err)
	}
}
