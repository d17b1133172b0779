package keys_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// What a JWT-SVID may bind.
func TestBoundByJWTSVID(t *testing.T) {
	w := newWorld()
	for name, change := range map[string]func(*draft){
		"typ JWT":           func(*draft) {},
		"typ JOSE":          func(d *draft) { d.header["typ"] = "JOSE" },
		"no typ":            func(d *draft) { delete(d.header, "typ") },
		"aud as one string": func(d *draft) { d.claims["aud"] = session.public().ThumbprintURI() },
		"no iat":            func(d *draft) { delete(d.claims, "iat") },
		"over an hour":      func(d *draft) { d.claims["exp"] = noon.Add(24 * time.Hour).Unix() },
		"more claims":       func(d *draft) { d.claims["iss"] = "https://spire.example.org" },
	} {
		t.Run(name, func(t *testing.T) {
			d := with(audienceBy(w.tokens, orders, "jwt-1"), change)
			key := d.mustVerify(t, w.verifier())
			if key.Public.JWK() != session.public().JWK() || key.Revoked || key.NotAfter.Unix() != d.claims["exp"].(int64) {
				t.Errorf("it gives %+v", key)
			}
		})
	}
}

// Another implementation's JWT-SVID, as SPIRE makes them, binds a key.
func TestJWTSVIDOfAnotherImplementation(t *testing.T) {
	w := newWorld()
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: w.tokens.private, KeyID: "jwt-1"}},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jwt.Signed(signer).Claims(jwt.Claims{
		Subject: orders, Audience: jwt.Audience{session.public().ThumbprintURI()},
		IssuedAt: jwt.NewNumericDate(noon), Expiry: jwt.NewNumericDate(noon.Add(5 * time.Minute)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.verifier().Binding(ctx, orders, compact, session.public())
	if err != nil || key.Public.JWK() != session.public().JWK() || key.Binding != compact {
		t.Errorf("it gives %s, %v", jwkOf(key), err)
	}
}

// What an OIDC issuer may bind.
func TestBoundByOIDC(t *testing.T) {
	w := newWorld()
	d := oidcToken(w)
	key := d.mustVerify(t, w.verifier())
	if key.Public.JWK() != session.public().JWK() || key.Revoked || !key.NotBefore.Equal(noon.Add(-10*time.Minute)) || !key.NotAfter.Equal(noon.Add(20*time.Minute)) {
		t.Errorf("it gives %+v", key)
	}
	d.claims["exp"] = noon.Add(50 * time.Minute).Unix() // an hour, to the second
	d.mustVerify(t, w.verifier())
}

func oidcToken(w *world) *draft {
	d := audienceBy(w.oidc, "ci", "oidc-1")
	d.claims["iss"], d.principal = issuer, issuer+"#ci"
	return d
}

// Each of these has one defect, whoever signed the token.
func TestAudienceBoundRefused(t *testing.T) {
	w := newWorld()
	set := func(name string, value any) func(*draft) { return func(d *draft) { d.claims[name] = value } }
	head := func(name string, value any) func(*draft) { return func(d *draft) { d.header[name] = value } }
	lack := func(name string) func(*draft) { return func(d *draft) { delete(d.claims, name) } }
	uri := session.public().ThumbprintURI()
	for name, change := range map[string]func(*draft){
		"typ of ours":           head("typ", "kest-binding+jwt"),
		"typ of a WIT":          head("typ", "wit+jwt"),
		"typ of an entry":       head("typ", "JWS"),
		"typ in small letters":  head("typ", "jwt"),
		"typ is a media type":   head("typ", "application/jwt"),
		"crit":                  head("crit", []string{"b64"}),
		"alg none":              head("alg", "none"),
		"alg HS256":             head("alg", "HS256"),
		"alg of another key":    head("alg", "RS256"),
		"no kid":                func(d *draft) { delete(d.header, "kid") },
		"an unknown kid":        head("kid", "k2"),
		"aud is missing":        lack("aud"),
		"aud is empty":          set("aud", []string{}),
		"aud of another key":    set("aud", []string{ed(8).public().ThumbprintURI()}),
		"two audiences":         set("aud", []string{uri, "https://elsewhere.example"}),
		"the same twice":        set("aud", []string{uri, uri}),
		"aud in a list":         set("aud", [][]string{{uri}}),
		"aud is the thumbprint": set("aud", session.public().Thumbprint()),
		"aud of another hash":   set("aud", strings.Replace(uri, "sha-256", "sha-512", 1)),
		"aud with more":         set("aud", uri+"="),
		"no key beside it":      func(d *draft) { d.beside = kest.PublicKey{} },
		"another key beside it": func(d *draft) { d.beside = ed(8).public() },
		"exp is missing":        lack("exp"),
		"exp is a text":         set("exp", "1"),
		"exp before iat":        set("exp", noon.Add(-time.Hour).Unix()),
		"iat in the future":     set("iat", noon.Add(31*time.Second).Unix()),
		"iat is a text":         set("iat", "1"),
		"nbf after exp":         set("nbf", noon.Add(time.Hour).Unix()),
		"sub is missing":        lack("sub"),
		"sub of another":        set("sub", "other"),
		"sub is a list":         set("sub", []string{orders}),
		"by another key":        func(d *draft) { d.pen = p256() },
		"for another principal": func(d *draft) { d.principal += "2" },
		"a name twice":          func(d *draft) { d.rawClaims = strings.Replace(d.body(), "{", `{"sub":"x",`, 1) },
		"a changed claim": func(d *draft) {
			d.claims["x"] = "1"
			d.rewrite = func(s string) string { return swap(s, 1, `"x":"1"`, `"x":"2"`) }
		},
		"over 16 KiB": set("pad", strings.Repeat("x", 16<<10)),
		"from a JWK of its own": func(d *draft) {
			d.pen = ed(9)
			d.header["jwk"] = json.RawMessage(ed(9).public().JWK())
			d.header["alg"] = "EdDSA"
		},
		"under an SVID of its own": func(d *draft) {
			leaf := w.root.svid(orders, p256())
			d.pen, d.header["x5c"] = leaf.pen, []string{leaf.text()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(audienceBy(w.tokens, orders, "jwt-1"), change).mustRefuse(t, w.verifier())
			with(oidcToken(w), change).mustRefuse(t, w.verifier())
		})
	}
	for name, change := range map[string]func(*draft){
		"iss is missing":            lack("iss"),
		"iss of another":            set("iss", "https://elsewhere.example"),
		"iss with a slash":          set("iss", issuer+"/"),
		"iat is missing":            lack("iat"),
		"an hour and a second":      set("exp", noon.Add(50*time.Minute+time.Second).Unix()),
		"of a subject not listed":   func(d *draft) { d.claims["sub"] = "team/ci"; d.principal = issuer + "#team/ci" },
		"of an issuer not listed":   func(d *draft) { d.claims["iss"] = "https://x.example"; d.principal = "https://x.example#ci" },
		"a SPIFFE id for a subject": func(d *draft) { d.claims["sub"], d.principal = orders, orders },
		"the cut at another place":  func(d *draft) { d.claims["iss"] = issuer + "#c"; d.claims["sub"] = "i"; d.principal = issuer + "#c#i" },
	} {
		t.Run("OIDC: "+name, func(t *testing.T) { with(oidcToken(w), change).mustRefuse(t, w.verifier()) })
	}
}

// In an entry's header the kid, the audience and the key beside the token are
// one and the same (IDENTITY, Bindings).
func TestKidIsTheBoundKey(t *testing.T) {
	w := newWorld()
	d := audienceBy(w.tokens, orders, "jwt-1")
	request := kest.KeyRequest{
		Principal: orders, KeyID: session.public().Thumbprint(), Algorithm: "EdDSA", Binding: d.compact(), JWK: session.public().JWK(),
	}
	v := w.verifier()
	if found, err := v.Keys(ctx, request); err != nil || len(found) != 1 || found[0].Public.JWK() != session.public().JWK() {
		t.Fatalf("it gives %v, %v", found, err)
	}
	for name, change := range map[string]func(*kest.KeyRequest){
		"another kid":       func(r *kest.KeyRequest) { r.KeyID = ed(8).public().Thumbprint() },
		"a workload's id":   func(r *kest.KeyRequest) { r.KeyID = orders },
		"no key":            func(r *kest.KeyRequest) { r.JWK = "" },
		"another key":       func(r *kest.KeyRequest) { r.JWK = ed(8).public().JWK() },
		"a broken key":      func(r *kest.KeyRequest) { r.JWK = "{}" },
		"a key far too big": func(r *kest.KeyRequest) { r.JWK = `{"x":"` + strings.Repeat("x", 17<<10) + `"}` },
		"a chain besides":   func(r *kest.KeyRequest) { r.X5C = []string{w.root.svid(orders, p256()).text()} },
	} {
		changed := request
		change(&changed)
		if found, err := v.Keys(ctx, changed); !refusedBinding(err) || found != nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// A KMS key binds keys of the principals that it is listed for, by form (a).
func TestBoundByKMS(t *testing.T) {
	w := newWorld()
	const arn = "arn:aws:kms:eu-central-1:123456789012:key/1"
	boundByKey(w.kms, role, arn).mustVerify(t, w.verifier())
	boundByKey(w.kms, role, w.kms.public().Thumbprint()).mustVerify(t, w.verifier())
	with(boundByKey(w.kms, role, arn), func(d *draft) { d.claims["exp"] = noon.Add(50 * time.Minute).Unix() }).mustVerify(t, w.verifier())
	for name, d := range map[string]*draft{
		"an hour and a second":         with(boundByKey(w.kms, role, arn), func(d *draft) { d.claims["exp"] = noon.Add(50*time.Minute + time.Second).Unix() }),
		"another account's":            boundByKey(w.kms, "arn:aws:iam::999999999999:role/orders", arn),
		"a role with a path":           boundByKey(w.kms, "arn:aws:iam::123456789012:role/x/orders", arn),
		"a SPIFFE id":                  boundByKey(w.kms, orders, arn),
		"under another key":            boundByKey(p256(), role, arn),
		"no kid":                       with(boundByKey(w.kms, role, arn), func(d *draft) { delete(d.header, "kid") }),
		"by an issuer's key":           boundByKey(w.oidc, issuer+"#ci", "oidc-1"),
		"by a trust domain's":          boundByKey(w.tokens, role, "jwt-1"),
		"by an SVID":                   with(boundBy(w.root.svid(orders, p256()), orders), func(d *draft) { d.principal, d.claims["sub"] = role, role }),
		"audience-bound":               audienceBy(w.kms, role, arn),
		"audience-bound, of no issuer": with(audienceBy(w.kms, role, arn), func(d *draft) { d.claims["iss"] = "" }),
	} {
		t.Run(name, func(t *testing.T) { d.mustRefuse(t, w.verifier()) })
	}
}

// A signer speaks for SPIFFE ids only where its pattern names their trust domain.
func TestSignersOfSPIFFEIDs(t *testing.T) {
	local := ed(3)
	const id = "spiffe://kest.internal/local-workload"
	ask := func(pattern kest.Pattern, principal string) error {
		v := keys.NewVerifier(
			keys.WithSigners(keys.Signer{Principals: []kest.Pattern{pattern}, Keys: []kest.PublicKey{local.public()}}), keys.WithClock(newClock().now),
		)
		_, err := boundByKey(local, principal, local.public().Thumbprint()).verify(t, v)
		return err
	}
	for pattern, good := range map[kest.Pattern]bool{
		id: true, "spiffe://kest.internal/*": true, "spiffe://kest.internal/**": true,
		"**": false, "*": false, "spiffe:**": false, "spiffe://**": false, "spiffe://*/local-workload": false, "spiffe://kest.*/local-workload": false,
		"*://kest.internal/local-workload": false, "spiffe://kest.internal**": false,
	} {
		if err := ask(pattern, id); (err == nil) != good || !good && !refusedBinding(err) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if err := ask("**", "SPIFFE://kest.internal/local-workload"); !refusedBinding(err) {
		t.Errorf("an id in capitals: %v", err)
	}
	if err := ask("**", "anybody/else"); err != nil {
		t.Errorf("another name: %v", err)
	}
}

// While an issuer's keys can't be had nobody can tell, and an answer is 503.
func TestSignerUnavailable(t *testing.T) {
	w := newWorld()
	away, err := keys.OpenJWKS("http://127.0.0.1:1/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close() //nolint:errcheck // always nil
	signers := w.signers()
	both := append(signers[:len(signers):len(signers)], keys.Signer{Principals: signers[1].Principals, Issuer: issuer, JWKS: away})
	v := keys.NewVerifier(keys.WithSigners(both...), keys.WithClock(w.clock.now))
	oidcToken(w).mustVerify(t, v) // one who can tell is enough
	_, err = with(oidcToken(w), func(d *draft) { d.pen = p256() }).verify(t, v)
	if !errors.Is(err, kest.ErrUnavailable) || kest.AsVerificationError(err) != nil {
		t.Errorf("it says %v", err)
	}
}
