package keys_test

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/uuid7"
	"kest.example/kest/kesttest"
	"kest.example/kest/keys"
)

// entry signs a root of the identity's workload at a time.
func entry(t *testing.T, id *kest.Identity, at time.Time) string {
	t.Helper()
	e := &kest.Entry{
		SchemaVersion: "0.3.0", Runtime: kest.Runtime{Name: "kest-go", Version: "0"}, EntryID: must(uuid7.New(at, rand.Reader)), Operation: "x",
		Classification: "system", TrustScore: 10, ParentIDs: []string{"0"}, Labels: map[string]string{"principal": id.WorkloadID}, TimestampMS: at.UnixMilli(),
	}
	compact, err := id.SignEntry(ctx, e, at)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// inlineBy is a workload whose session key is bound inline by a draft.
func inlineBy(d *draft) *kest.Identity {
	id := session.identity(d.principal)
	id.Binding, id.InlineJWK = d.compact(), !d.beside.IsZero()
	return id
}

// direct is a workload that signs with its SVID's own key.
func direct(leaf issued, id string) *kest.Identity {
	identity := leaf.pen.identity(id)
	identity.X5C = []string{leaf.text()}
	return identity
}

// anybody may make the roots of these tests.
var anybody = kest.Authority{{Principal: "**", Origins: []string{"user_input"}, MaxRootTrust: 40}}

// passport asks the root package at run time; reason is "" where it accepts.
func (w *world) passport(t *testing.T, source kest.KeySource, compact string, options ...kest.VerifierOption) kest.Reason {
	t.Helper()
	v, err := kest.NewVerifier(source, anybody, append([]kest.VerifierOption{kest.WithClock(w.clock.now)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(ctx, kest.NewPassport(compact))
	if fault := kest.AsVerificationError(err); fault != nil {
		return fault.Reason
	}
	if err != nil {
		return kest.Reason(err.Error())
	}
	return ""
}

// What the root package writes, a verifier of this package accepts: each kind of
// identity, inline and direct.
func TestPassportsOfEachKind(t *testing.T) {
	w := newWorld()
	bound := func(by *kest.Identity) *kest.Identity {
		b, err := by.BindKey(ctx, session.public(), "j", noon, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		id := session.identity(by.WorkloadID)
		id.Binding, id.NotAfter = b.Binding, b.NotAfter
		return id
	}
	kms := w.kms.identity(role)
	kms.BindingKeyID = "arn:aws:kms:eu-central-1:123456789012:key/1"
	for name, id := range map[string]*kest.Identity{
		"(a) by a P-256 SVID": bound(direct(w.root.svid(orders, p256()), orders)),
		"(a) by an RSA SVID":  bound(direct(w.root.svid(orders, rsa2048()), orders)),
		"(a) by a KMS key":    bound(kms),
		"(a) by a WIT":        inlineBy(with(boundByKey(w.tokens, orders, "jwt-1"), func(d *draft) { d.header["typ"] = "wit+jwt" })),
		"(b) by a JWT-SVID":   inlineBy(audienceBy(w.tokens, orders, "jwt-1")),
		"(b) by OIDC":         inlineBy(oidcToken(w)),
		"direct, P-256":       direct(w.root.svid(orders, p256()), orders),
		"direct, RSA":         direct(w.root.svid(orders, rsa2048()), orders),
		"direct, Ed25519":     direct(w.root.svid(orders, ed(4)), orders),
	} {
		t.Run(name, func(t *testing.T) {
			if reason := w.passport(t, w.verifier(), entry(t, id, noon)); reason != "" {
				t.Errorf("refused: %s", reason)
			}
		})
	}
}

// Each forged variant is refused with the reason of the contract.
func TestForgedPassports(t *testing.T) {
	w := newWorld()
	leaf := w.root.svid(orders, p256())
	good := boundBy(leaf, orders)
	token := audienceBy(w.tokens, orders, "jwt-1")
	evil := ed(66)
	as := func(key pen, workload string, change func(*kest.Identity)) *kest.Identity {
		id := key.identity(workload)
		change(id)
		return id
	}
	for name, c := range map[string]struct {
		id   *kest.Identity
		want kest.Reason
	}{
		"no key at all":                     {evil.identity(orders), kest.ReasonNoKey},
		"a binding of another key":          {as(evil, orders, func(id *kest.Identity) { id.Binding = good.compact() }), kest.ReasonSignature},
		"another principal's binding":       {as(session, audits, func(id *kest.Identity) { id.Binding = good.compact() }), kest.ReasonBinding},
		"a token of another key":            {as(evil, orders, func(id *kest.Identity) { id.Binding, id.InlineJWK = token.compact(), true }), kest.ReasonBinding},
		"another principal's token":         {as(session, audits, func(id *kest.Identity) { id.Binding, id.InlineJWK = token.compact(), true }), kest.ReasonBinding},
		"a token without its key":           {as(session, orders, func(id *kest.Identity) { id.Binding = token.compact() }), kest.ReasonBinding},
		"a binding by the key itself":       {as(evil, orders, func(id *kest.Identity) { id.Binding = boundByKey(evil, orders, evil.public().Thumbprint()).compact() }), kest.ReasonBinding},
		"a binding under a stranger's root": {inlineBy(boundBy(newCA("root", p256()).svid(orders, p256()), orders)), kest.ReasonBinding},
		"an entry as a binding":             {as(session, orders, func(id *kest.Identity) { id.Binding = entry(t, direct(leaf, orders), noon) }), kest.ReasonBinding},
		"a proof of possession for one": {as(session, orders, func(id *kest.Identity) {
			id.Binding = must(direct(leaf, orders).ProveKey(ctx, "j", noon))
		}), kest.ReasonBinding},
		"no token at all":              {as(session, orders, func(id *kest.Identity) { id.Binding = "x" }), kest.ReasonBinding},
		"a binding and a chain":        {as(session, orders, func(id *kest.Identity) { id.Binding, id.X5C = good.compact(), []string{leaf.text()} }), kest.ReasonBinding},
		"the chain of another key":     {as(p256(), orders, func(id *kest.Identity) { id.X5C = []string{leaf.text()} }), kest.ReasonSignature},
		"the chain of another kind":    {as(evil, orders, func(id *kest.Identity) { id.X5C = []string{leaf.text()} }), kest.ReasonAlgorithm},
		"another principal's chain":    {direct(leaf, audits), kest.ReasonBinding},
		"a stranger's chain":           {direct(newCA("root", p256()).svid(orders, p256()), orders), kest.ReasonBinding},
		"a trust domain not trusted":   {direct(w.root.svid(alien, p256()), alien), kest.ReasonBinding},
		"an issuer that is not listed": {inlineBy(with(oidcToken(w), func(d *draft) { d.claims["iss"] = "https://x.example"; d.principal = "https://x.example#ci" })), kest.ReasonBinding},
		"an ended binding":             {inlineBy(with(boundBy(leaf, orders), func(d *draft) { d.claims["exp"] = noon.Add(-time.Minute).Unix() })), kest.ReasonExpired},
		"a binding that is to come":    {inlineBy(with(boundBy(leaf, orders), func(d *draft) { d.claims["nbf"] = noon.Add(time.Minute).Unix() })), kest.ReasonExpired},
		"an ended chain":               {direct(w.root.svid(orders, p256(), expired), orders), kest.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			if reason := w.passport(t, w.verifier(), entry(t, c.id, noon)); reason != c.want {
				t.Errorf("%q, want %s", reason, c.want)
			}
		})
	}
	if reason := w.passport(t, w.verifier(), good.compact()); reason != kest.ReasonMalformed {
		t.Errorf("a binding as an entry: %q", reason)
	}
	if reason := w.passport(t, w.verifier(), token.compact()); reason != kest.ReasonMalformed {
		t.Errorf("a token as an entry: %q", reason)
	}
}

// After its root is revoked an entry is refused at run time, and stays true.
func TestRevokedRootInPassports(t *testing.T) {
	w := newWorld()
	v := w.verifier()
	leaf := w.root.svid(orders, p256())
	for name, id := range map[string]*kest.Identity{
		"bound": inlineBy(boundBy(leaf, orders)), "by a token": inlineBy(audienceBy(w.tokens, orders, "jwt-1")), "direct": direct(leaf, orders),
	} {
		w.bundles.Set(w.bundle())
		before, after := entry(t, id, w.clock.now()), entry(t, id, w.clock.now().Add(2*time.Minute))
		if reason := w.passport(t, v, before); reason != "" {
			t.Fatalf("%s: %s", name, reason)
		}
		w.clock.move(time.Minute)
		w.bundles.Set(bundle(domain, newCA("new", p256())))
		w.clock.move(time.Minute)
		if reason := w.passport(t, v, before); reason != kest.ReasonExpired {
			t.Errorf("%s, at run time: %q", name, reason)
		}
		if reason := w.passport(t, v, before, kest.ForAudit()); reason != "" {
			t.Errorf("%s, audited: %q", name, reason)
		}
		if reason := w.passport(t, v, after, kest.ForAudit()); reason != kest.ReasonExpired {
			t.Errorf("%s, made after the revocation, audited: %q", name, reason)
		}
	}
}

// A bundle that isn't there yet is no refusal.
func TestPassportBeforeTheFirstBundle(t *testing.T) {
	w := newWorld()
	b := keys.NewBundles(w.clock.now)
	b.Expect(domain)
	reason := w.passport(t, keys.NewVerifier(keys.WithBundles(b), keys.WithClock(w.clock.now)), entry(t, inlineBy(boundBy(w.root.svid(orders, p256()), orders)), noon))
	if !strings.Contains(string(reason), kest.ErrUnavailable.Error()) {
		t.Errorf("it says %q", reason)
	}
}

// Only keys that were not verified before count as unknown (CONTRACT 3.1).
func TestUnknownKeysAreBounded(t *testing.T) {
	w := newWorld()
	v := w.verifier()
	list := make([]string, 9)
	for i := range list {
		id := fmt.Sprintf("%s-%d", orders, i)
		list[i] = entry(t, inlineBy(boundBy(w.root.svid(id, p256()), id)), noon)
	}
	root, err := kest.NewVerifier(v, anybody, kest.WithClock(w.clock.now))
	if err != nil {
		t.Fatal(err)
	}
	_, err = root.Verify(ctx, kest.NewPassport(list...))
	if fault := kest.AsVerificationError(err); fault == nil || fault.Reason != kest.ReasonLimit || fault.Index != 8 {
		t.Errorf("nine new keys: %v", err)
	}
	if _, err := root.Verify(ctx, kest.NewPassport(list[:8]...)); err != nil {
		t.Errorf("eight new keys: %v", err)
	}
	if _, err := root.Verify(ctx, kest.NewPassport(list...)); err != nil { // eight of them are known by now
		t.Errorf("one new key: %v", err)
	}
}

// Known says what is answered without work, and means just that request.
func TestKnown(t *testing.T) {
	w := newWorld()
	leaf := w.root.svid(orders, p256())
	d, token := boundBy(leaf, orders), audienceBy(w.tokens, orders, "jwt-1")
	fixed := ed(5)
	v := w.verifier(keys.WithStatic(kest.StaticKeys{orders: {fixed.public()}}), keys.WithCache(8))
	for name, r := range map[string]kest.KeyRequest{
		"(a)":    {Principal: orders, Algorithm: "EdDSA", Binding: d.compact()},
		"(b)":    {Principal: orders, Algorithm: "EdDSA", Binding: token.compact(), JWK: session.public().JWK()},
		"direct": {Principal: orders, Algorithm: "ES256", X5C: []string{leaf.text()}},
	} {
		if v.Known(r) {
			t.Errorf("%s is known before it was asked for", name)
		}
		if list, err := v.Keys(ctx, r); err != nil || len(list) != 1 || !v.Known(r) {
			t.Errorf("%s: %d keys, known %v, %v", name, len(list), v.Known(r), err)
		}
		other := r
		other.Principal = audits
		if v.Known(other) {
			t.Errorf("%s is known for another", name)
		}
		bare := kest.KeyRequest{Principal: audits}
		static := r
		static.KeyID = fixed.public().Thumbprint()
		if list, err := v.Keys(ctx, static); err != nil || len(list) != 1 || list[0].Public.JWK() != fixed.public().JWK() || !v.Known(static) || !v.Known(bare) {
			t.Errorf("%s: a static key that the kid names gives %v, %v", name, list, err)
		}
	}
	bad := kest.KeyRequest{Principal: orders, Binding: "x", JWK: "x"}
	if _, err := v.Keys(ctx, bad); err == nil || v.Known(bad) {
		t.Errorf("what was refused is known: %v", err)
	}
	first := kest.KeyRequest{Principal: orders, Binding: d.compact()}
	for i := range 20 { // more than it remembers
		more := with(boundBy(leaf, orders), func(d *draft) { d.claims["jti"] = fmt.Sprint(i) })
		more.mustVerify(t, v)
	}
	if v.Known(first) {
		t.Error("the memory has no bound")
	}
}

// It is a key source as the root package wants one.
func TestIsKeySource(t *testing.T) {
	w := newWorld()
	fixed := ed(5)
	v := w.verifier(keys.WithStatic(kest.StaticKeys{orders: {fixed.public()}}))
	kesttest.TestKeySource(t, v, kest.KeyRequest{Principal: orders, KeyID: fixed.public().Thumbprint(), Algorithm: "EdDSA"}, fixed.public())
}

func expired(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Minute) }
