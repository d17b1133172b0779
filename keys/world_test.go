package keys_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"kest.example/kest"
	"kest.example/kest/keys"
)

const (
	orders = "spiffe://example.org/orders"
	audits = "spiffe://example.org/audits"
	alien  = "spiffe://other.example/orders"
	role   = "arn:aws:iam::123456789012:role/orders"
	issuer = "https://issuer.example"
)

var (
	domain  = spiffeid.RequireTrustDomainFromString("example.org")
	foreign = spiffeid.RequireTrustDomainFromString("other.example")

	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ctx  = context.Background()
)

// pen is a key that signs JWS, or certificates.
type pen struct{ private crypto.Signer }

func p256() pen {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return pen{must(key, err)}
}

func p384() pen {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	return pen{must(key, err)}
}

func ed(seed byte) pen {
	return pen{ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, ed25519.SeedSize))}
}

// RSA keys take long to make: one of a size is enough.
var (
	rsa2048 = sync.OnceValue(func() pen { return pen{must(rsa.GenerateKey(rand.Reader, 2048))} })
	rsa1024 = sync.OnceValue(func() pen { return pen{must(rsa.GenerateKey(rand.Reader, 1024))} })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (p pen) algorithm() string {
	switch p.private.(type) {
	case *ecdsa.PrivateKey:
		return "ES256"
	case *rsa.PrivateKey:
		return "RS256"
	}
	return "EdDSA"
}

func (p pen) public() kest.PublicKey { return must(keys.NewPublicKey(p.private.Public())) }

// Sign makes a raw signature, as kest.Signer wants it.
func (p pen) Sign(_ context.Context, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := p.private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		size := key.Curve.Params().BitSize / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	}
	return p.private.Sign(nil, input, crypto.Hash(0))
}

// identity is a workload that signs entries with this key.
func (p pen) identity(workload string) *kest.Identity {
	return must(kest.NewIdentity(workload, []byte(p.public().JWK()), p))
}

// issued is a certificate and the key in it.
type issued struct {
	cert *x509.Certificate
	pen  pen
}

func (c issued) text() string { return base64.StdEncoding.EncodeToString(c.cert.Raw) }

func template(name string, change func(*x509.Certificate)) *x509.Certificate {
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), BasicConstraintsValid: true,
	}
	if change != nil {
		change(cert)
	}
	return cert
}

// newCA makes a root of its own.
func newCA(name string, key pen, change ...func(*x509.Certificate)) issued {
	cert := template(name, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		c.NotBefore, c.NotAfter = noon.Add(-24*time.Hour), noon.Add(24*time.Hour)
		for _, f := range change {
			f(c)
		}
	})
	der := must(x509.CreateCertificate(rand.Reader, cert, cert, key.private.Public(), key.private))
	return issued{must(x509.ParseCertificate(der)), key}
}

// issue makes a certificate under this one.
func (c issued) issue(name string, key pen, change func(*x509.Certificate)) issued {
	der := must(x509.CreateCertificate(rand.Reader, template(name, change), c.cert, key.private.Public(), c.pen.private))
	return issued{must(x509.ParseCertificate(der)), key}
}

// intermediate makes a CA under this one.
func (c issued) intermediate(name string) issued {
	return c.issue(name, p256(), func(cert *x509.Certificate) {
		cert.IsCA, cert.KeyUsage = true, x509.KeyUsageCertSign
	})
}

// svid makes an X.509-SVID of a workload, changed where a test wants a defect.
func (c issued) svid(id string, key pen, change ...func(*x509.Certificate)) issued {
	return c.issue("", key, func(cert *x509.Certificate) {
		cert.KeyUsage = x509.KeyUsageDigitalSignature
		cert.URIs = []*url.URL{must(url.Parse(id))}
		for _, f := range change {
			f(cert)
		}
	})
}

// draft is a token before it is signed. A test changes one thing in it.
type draft struct {
	header, claims map[string]any
	pen            pen
	beside         kest.PublicKey // the key that goes along, form (b)
	principal      string
	rewrite        func(compact string) string
	rawHeader      string // in the place of header
	rawClaims      string // in the place of claims
}

func (d *draft) jwk() json.RawMessage {
	return d.claims["cnf"].(map[string]any)["jwk"].(json.RawMessage)
}

func (d *draft) compact() string {
	header, claims := d.rawHeader, d.rawClaims
	if header == "" {
		header = string(must(json.Marshal(d.header)))
	}
	if claims == "" {
		claims = string(must(json.Marshal(d.claims)))
	}
	enc := base64.RawURLEncoding
	input := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(claims))
	compact := input + "." + enc.EncodeToString(must(d.pen.Sign(ctx, []byte(input))))
	if d.rewrite != nil {
		compact = d.rewrite(compact)
	}
	return compact
}

// boundBy is a good binding of form (a) by X.509-SVID; the session key is Ed25519.
func boundBy(leaf issued, id string, between ...issued) *draft {
	x5c := []string{leaf.text()}
	for _, c := range between {
		x5c = append(x5c, c.text())
	}
	d := boundByKey(leaf.pen, id, "")
	delete(d.header, "kid")
	d.header["x5c"] = x5c
	return d
}

// session is the key that drafts bind.
var session = ed(7)

// boundByKey is a good binding of form (a) under a key that kid names.
func boundByKey(by pen, id, kid string) *draft {
	return &draft{
		header: map[string]any{"alg": by.algorithm(), "typ": "kest-binding+jwt", "kid": kid},
		claims: map[string]any{
			"sub": id, "cnf": map[string]any{"jwk": json.RawMessage(session.public().JWK())},
			"iat": noon.Add(-10 * time.Minute).Unix(), "exp": noon.Add(20 * time.Minute).Unix(), "jti": "j-1",
		},
		pen: by, principal: id,
	}
}

// audienceBy is a good audience-bound token, form (b).
func audienceBy(by pen, sub, kid string) *draft {
	return &draft{
		header: map[string]any{"alg": by.algorithm(), "typ": "JWT", "kid": kid},
		claims: map[string]any{
			"sub": sub, "aud": []string{session.public().ThumbprintURI()},
			"iat": noon.Add(-10 * time.Minute).Unix(), "exp": noon.Add(20 * time.Minute).Unix(),
		},
		pen: by, principal: sub, beside: session.public(),
	}
}

// verify asks a verifier about a draft, and once more: an answer from
// memory is the same one.
func (d *draft) verify(t *testing.T, v *keys.Verifier) (kest.Key, error) {
	t.Helper()
	compact := d.compact()
	key, err := v.Binding(ctx, d.principal, compact, d.beside)
	again, errAgain := v.Binding(ctx, d.principal, compact, d.beside)
	if (err == nil) != (errAgain == nil) || err == nil && (again.Public.JWK() != key.Public.JWK() || again.Revoked != key.Revoked) {
		t.Errorf("asked again it answers otherwise: %v, then %v", err, errAgain)
	}
	return key, err
}

func (d *draft) mustVerify(t *testing.T, v *keys.Verifier) kest.Key {
	t.Helper()
	key, err := d.verify(t, v)
	if err != nil {
		t.Fatalf("a good binding of %s: %v", d.principal, err)
	}
	if key.Binding != d.compact() && d.pen.algorithm() != "ES256" {
		t.Error("the key does not name its binding")
	}
	return key
}

// refusedBinding reports whether an error is a refusal for the binding's sake.
func refusedBinding(err error) bool {
	fault := kest.AsVerificationError(err)
	return fault != nil && fault.Reason == kest.ReasonBinding && fault.Index == -1 && !errors.Is(err, kest.ErrUnavailable)
}

func (d *draft) mustRefuse(t *testing.T, v *keys.Verifier) {
	t.Helper()
	if key, err := d.verify(t, v); !refusedBinding(err) {
		t.Errorf("accepted as %s, error %v; want a refused binding", jwkOf(key), err)
	}
}

func jwkOf(key kest.Key) string {
	if key.Public.IsZero() {
		return "no key"
	}
	return key.Public.JWK()
}

// bundle makes the bundle of a trust domain.
func bundle(td spiffeid.TrustDomain, roots ...issued) *spiffebundle.Bundle {
	b := spiffebundle.New(td)
	for _, r := range roots {
		b.AddX509Authority(r.cert)
	}
	return b
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: noon} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a verifier at noon that trusts one root of the trust domain.
type world struct {
	clock   *clock
	root    issued
	tokens  pen // the JWT authority, kid "jwt-1"
	bundles *keys.Bundles
	kms     pen // speaks for role
	oidc    pen // speaks for issuer#anybody, kid "oidc-1"
}

func newWorld() *world {
	w := &world{clock: newClock(), root: newCA("root", p256()), tokens: p256(), kms: p256(), oidc: p256()}
	w.bundles = keys.NewBundles(w.clock.now)
	w.bundles.Set(w.bundle())
	return w
}

func (w *world) bundle() *spiffebundle.Bundle {
	b := bundle(domain, w.root)
	if err := b.AddJWTAuthority("jwt-1", w.tokens.private.Public()); err != nil {
		panic(err)
	}
	return b
}

func (w *world) signers() []keys.Signer {
	return []keys.Signer{
		{Principals: []kest.Pattern{"arn:aws:iam::123456789012:role/*"}, Keys: []kest.PublicKey{w.kms.public()}},
		{
			Principals: []kest.Pattern{issuer + "#*"}, Issuer: issuer,
			JWKS: must(keys.NewStaticJWKS([]byte(jwks(named("oidc-1", w.oidc))))),
		},
	}
}

func (w *world) verifier(options ...keys.Option) *keys.Verifier {
	return keys.NewVerifier(append([]keys.Option{
		keys.WithBundles(w.bundles), keys.WithSigners(w.signers()...), keys.WithClock(w.clock.now),
	}, options...)...)
}

// named is a JWK with a kid, and members that are put before it.
func named(kid string, key pen, members ...string) string {
	text := "{"
	for _, m := range members {
		text += m + ","
	}
	return text + `"kid":"` + kid + `",` + key.public().JWK()[1:]
}

func jwks(list ...string) string {
	text := `{"keys":[`
	for i, k := range list {
		if i > 0 {
			text += ","
		}
		text += k
	}
	return text + "]}"
}
