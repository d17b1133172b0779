package keys_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// A binding outlives its SVID's rotation, not its root's revocation.
func TestRotation(t *testing.T) {
	w := newWorld()
	v := w.verifier()
	old := boundBy(w.root.svid(orders, p256()), orders)
	token := audienceBy(w.tokens, orders, "jwt-1")
	old.mustVerify(t, v)
	token.mustVerify(t, v)

	next := newCA("root", p256())
	both := w.bundle()
	both.AddX509Authority(next.cert)
	w.bundles.Set(both) // both count while SVIDs are made under the new one
	if key := old.mustVerify(t, v); key.Revoked {
		t.Error("a binding is revoked though its root is there")
	}
	boundBy(next.svid(orders, p256()), orders).mustVerify(t, v)

	w.clock.move(5 * time.Minute)
	w.bundles.Set(bundle(domain, next)) // the old root and the token key are gone
	for name, d := range map[string]*draft{"a binding": old, "a token": token} {
		key := d.mustVerify(t, v)
		if !key.Revoked {
			t.Errorf("%s counts at run time though its root is gone", name)
		}
		// What was signed while the root was there stays true, and nothing after.
		if gone := noon.Add(5 * time.Minute); !key.NotAfter.Equal(gone) || !key.NotBefore.Equal(noon.Add(-10*time.Minute)) {
			t.Errorf("%s counts from %v to %v", name, key.NotBefore, key.NotAfter)
		}
		if fresh := d.mustVerify(t, w.verifier()); !fresh.Revoked {
			t.Errorf("%s counts for a verifier that has not seen it before", name)
		}
	}
	if key := boundBy(next.svid(orders, p256()), orders).mustVerify(t, v); key.Revoked {
		t.Error("a binding under the new root is revoked")
	}
	// Whoever kept the old root's key can't use it from now on.
	w.clock.move(10 * time.Minute)
	late := boundBy(w.root.svid(orders, p256()), orders)
	late.claims["iat"] = noon.Add(6 * time.Minute).Unix()
	late.mustRefuse(t, v)

	w.bundles.Set(both) // a root that comes back counts again
	if key := old.mustVerify(t, v); key.Revoked || !key.NotAfter.Equal(noon.Add(20*time.Minute)) {
		t.Errorf("after its root came back it gives %+v", key)
	}
}

// A root whose certificate is renewed under the same key revokes nothing.
func TestRenewedRoot(t *testing.T) {
	w := newWorld()
	v := w.verifier()
	d := boundBy(w.root.svid(orders, p256()), orders)
	d.mustVerify(t, v)
	renewed := newCA("root", w.root.pen, func(c *x509.Certificate) { c.NotAfter = noon.Add(48 * time.Hour) })
	w.bundles.Set(bundle(domain, renewed))
	if key := d.mustVerify(t, v); key.Revoked {
		t.Error("the binding is revoked though its chain leads to a root that is there")
	}
}

// Chains of entries signed directly follow the same rules.
func TestChain(t *testing.T) {
	w := newWorld()
	v := w.verifier()
	one := w.root.intermediate("one")
	for name, leaf := range map[string]issued{
		"P-256": w.root.svid(orders, p256()), "RSA 2048": w.root.svid(orders, rsa2048()), "Ed25519": w.root.svid(orders, ed(2)),
	} {
		key, err := v.Chain(ctx, orders, []string{leaf.text()})
		if err != nil || key.Public.JWK() != leaf.pen.public().JWK() || !key.NotBefore.Equal(leaf.cert.NotBefore) || !key.NotAfter.Equal(leaf.cert.NotAfter) || key.Revoked {
			t.Errorf("%s: %+v, %v", name, key, err)
		}
	}
	leaf := one.svid(orders, p256())
	x5c := []string{leaf.text(), one.text()}
	found, err := v.Keys(ctx, kest.KeyRequest{Principal: orders, Algorithm: "ES256", X5C: x5c})
	if err != nil || len(found) != 1 || found[0].Public.JWK() != leaf.pen.public().JWK() {
		t.Errorf("under an intermediate: %v, %v", found, err)
	}
	w.clock.move(2 * time.Hour) // an audit of an SVID that has expired
	if key, err := w.verifier().Chain(ctx, orders, x5c); err != nil || !key.NotAfter.Equal(leaf.cert.NotAfter) {
		t.Errorf("expired: %+v, %v", key, err)
	}
	w.bundles.Set(bundle(domain, newCA("root", p256())))
	if key, err := v.Chain(ctx, orders, x5c); err != nil || !key.Revoked {
		t.Errorf("its root is gone: %+v, %v", key, err)
	}
	for _, bad := range [][]string{nil, {}, {leaf.text()}} {
		if _, err := v.Chain(ctx, orders, bad); !refusedBinding(err) {
			t.Errorf("%d certificates: %v", len(bad), err)
		}
	}
	if _, err := v.Chain(ctx, audits, x5c); !refusedBinding(err) {
		t.Errorf("another's chain: %v", err)
	}
}

// Each trust domain speaks for its own ids, whatever it signs.
func TestFederation(t *testing.T) {
	w := newWorld()
	theirs, theirTokens := newCA("root", p256()), p256()
	b := bundle(foreign, theirs)
	if err := b.AddJWTAuthority("jwt-1", theirTokens.private.Public()); err != nil {
		t.Fatal(err)
	}
	w.bundles.Set(b)
	v := w.verifier()
	wit := func(d *draft) { d.header["typ"] = "wit+jwt" }
	for _, d := range []*draft{
		boundBy(w.root.svid(orders, p256()), orders), boundBy(theirs.svid(alien, p256()), alien),
		audienceBy(w.tokens, orders, "jwt-1"), audienceBy(theirTokens, alien, "jwt-1"),
	} {
		d.mustVerify(t, v)
	}
	for name, d := range map[string]*draft{
		"their root, our id":         boundBy(theirs.svid(orders, p256()), orders),
		"our root, their id":         boundBy(w.root.svid(alien, p256()), alien),
		"their token, our id":        audienceBy(theirTokens, orders, "jwt-1"),
		"our token, their id":        audienceBy(w.tokens, alien, "jwt-1"),
		"their WIT, our id":          with(boundByKey(theirTokens, orders, "jwt-1"), wit),
		"their SVID binds our id":    with(boundBy(theirs.svid(alien, p256()), alien), func(d *draft) { d.principal, d.claims["sub"] = orders, orders }),
		"a third domain":             boundBy(theirs.svid("spiffe://third.example/x", p256()), "spiffe://third.example/x"),
		"a domain below ours":        boundBy(w.root.svid("spiffe://a.example.org/x", p256()), "spiffe://a.example.org/x"),
		"a domain that starts so":    boundBy(w.root.svid("spiffe://example.organ/x", p256()), "spiffe://example.organ/x"),
		"a third domain's JWT-SVIDs": audienceBy(theirTokens, "spiffe://third.example/x", "jwt-1"),
	} {
		t.Run(name, func(t *testing.T) { d.mustRefuse(t, v) })
	}
	for id, ca := range map[string]issued{orders: theirs, alien: w.root} {
		if _, err := v.Chain(ctx, id, []string{ca.svid(id, p256()).text()}); !refusedBinding(err) {
			t.Errorf("an entry of %s under the other's root: %v", id, err)
		}
	}

	w.bundles.Remove(foreign)
	if w.bundles.Has(foreign) || !w.bundles.Has(domain) {
		t.Error("the wrong trust domain was removed")
	}
	if key := boundBy(theirs.svid(alien, p256()), alien).mustVerify(t, v); !key.Revoked {
		t.Error("a trust domain that is no longer trusted counts at run time")
	}
	w.clock.move(91 * 24 * time.Hour)
	boundBy(theirs.svid(alien, p256()), alien).mustRefuse(t, w.verifier()) // forgotten
}

// Only a bundle that is expected and not there yet is unavailable.
func TestMissingBundles(t *testing.T) {
	root := newCA("root", p256())
	good := boundBy(root.svid(orders, p256()), orders)
	b := keys.NewBundles(newClock().now)
	v := keys.NewVerifier(keys.WithBundles(b), keys.WithClock(newClock().now))
	unavailable := func(when string, d *draft) {
		t.Helper()
		if _, err := d.verify(t, v); !errors.Is(err, kest.ErrUnavailable) || kest.AsVerificationError(err) != nil {
			t.Errorf("%s: %v", when, err)
		}
		if _, err := v.Chain(ctx, d.principal, d.header["x5c"].([]string)); !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s, directly: %v", when, err)
		}
	}
	good.mustRefuse(t, v)
	good.mustRefuse(t, keys.NewVerifier(keys.WithClock(newClock().now)))
	b.ExpectFirst()
	unavailable("before the first", good)
	theirs := newCA("root", p256())
	alienToken := boundBy(theirs.svid(alien, p256()), alien)
	unavailable("another's before the first", alienToken)
	b.Expect(foreign)
	b.Set(bundle(domain, root))
	if !b.Has(domain) || b.Has(foreign) {
		t.Error("the wrong bundle is there")
	}
	good.mustVerify(t, v)
	unavailable("another that is expected", alienToken)
	b.Set(bundle(foreign, theirs))
	alienToken.mustVerify(t, v)
	b.Set(nil)
	b.Remove(spiffeid.RequireTrustDomainFromString("nobody.example"))
	third := "spiffe://third.example/x"
	boundBy(root.svid(third, p256()), third).mustRefuse(t, v)
}

// Many rotations leave the latest, and a bounded number of them.
func TestHistoryIsBounded(t *testing.T) {
	w := newWorld()
	first, last := boundBy(w.root.svid(orders, p256()), orders), w.root
	for i := range 130 {
		w.clock.move(time.Second)
		last = newCA(fmt.Sprint("root ", i), ed(byte(i)))
		w.bundles.Set(bundle(domain, last))
	}
	first.mustRefuse(t, w.verifier())
	d := boundBy(last.svid(orders, p256()), orders)
	w.bundles.Set(bundle(domain, newCA("new", p256())))
	if key := d.mustVerify(t, w.verifier()); !key.Revoked {
		t.Error("the last root but one is not kept as gone")
	}
}

func TestParseBundle(t *testing.T) {
	w := newWorld()
	good, err := w.bundle().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := keys.ParseBundle(domain, good)
	if err != nil {
		t.Fatal(err)
	}
	b := keys.NewBundles(nil)
	b.Set(parsed)
	v := keys.NewVerifier(keys.WithBundles(b), keys.WithClock(w.clock.now))
	boundBy(w.root.svid(orders, p256()), orders).mustVerify(t, v)
	audienceBy(w.tokens, orders, "jwt-1").mustVerify(t, v)
	for name, text := range map[string]string{
		"nothing": "", "a list": "[]", "no keys": `{}`, "an empty set": `{"keys":[]}`, "names twice": `{"keys":[],` + string(good[1:]),
		"of another use": strings.ReplaceAll(string(good), "-svid", "-other"), "too long": string(good) + strings.Repeat(" ", 1<<20),
		"something behind it": string(good) + "{}",
	} {
		if _, err := keys.ParseBundle(domain, []byte(text)); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
