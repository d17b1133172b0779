package keys_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"testing"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// fuzzWorld has Ed25519 keys alone, so that its tokens are the same in every process.
func fuzzWorld() *world {
	w := &world{clock: newClock(), tokens: ed(20), kms: ed(21), oidc: ed(22)}
	w.root = newCA("root", ed(23), func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} })
	w.bundles = keys.NewBundles(w.clock.now)
	w.bundles.Set(w.bundle())
	return w
}

// FuzzBinding: nothing panics; what is accepted is accepted again by a verifier
// that remembers nothing, and for no other principal.
func FuzzBinding(f *testing.F) {
	w := fuzzWorld()
	for _, d := range []*draft{
		boundBy(w.root.svid(orders, ed(24)), orders), audienceBy(w.tokens, orders, "jwt-1"), oidcToken(w), boundByKey(w.kms, role, "arn"),
		with(boundByKey(w.tokens, orders, "jwt-1"), func(d *draft) { d.header["typ"] = "wit+jwt" }),
	} {
		if _, err := w.verifier().Binding(ctx, d.principal, d.compact(), d.beside); err != nil {
			f.Fatal(err)
		}
		f.Add(d.head(), d.body(), d.principal, !d.beside.IsZero())
		f.Add(d.compact(), "", d.principal, true)
	}
	pens := map[string]pen{"jwt-1": w.tokens, "oidc-1": w.oidc, "arn": w.kms}
	f.Fuzz(func(t *testing.T, header, claims, principal string, beside bool) {
		compacts := []string{header + claims}
		for _, by := range pens {
			if header != "" && claims != "" {
				compacts = append(compacts, (&draft{rawHeader: header, rawClaims: claims, pen: by}).compact())
			}
		}
		jwk := kest.PublicKey{}
		if beside {
			jwk = session.public()
		}
		for _, compact := range compacts {
			key, err := w.verifier().Binding(ctx, principal, compact, jwk)
			switch {
			case err != nil && !refusedBinding(err):
				t.Fatalf("it says %v", err)
			case err != nil:
				continue
			}
			again, err := w.verifier(keys.WithCache(0)).Binding(ctx, principal, compact, jwk)
			if err != nil || again.Public.JWK() != key.Public.JWK() || !key.NotBefore.Before(key.NotAfter) || key.Binding != compact {
				t.Fatalf("accepted as %+v, then %+v, %v", key, again, err)
			}
			if other, err := w.verifier().Binding(ctx, principal+"x", compact, jwk); err == nil {
				t.Fatalf("accepted for another, as %+v", other)
			}
		}
	})
}

// FuzzChain: nothing panics, whatever the certificates.
func FuzzChain(f *testing.F) {
	w := fuzzWorld()
	one := w.root.issue("one", ed(25), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	f.Add(w.root.svid(orders, ed(24)).text(), "", orders)
	f.Add(one.svid(orders, ed(24)).text(), one.text(), orders)
	f.Fuzz(func(t *testing.T, leaf, next, principal string) {
		x5c := []string{leaf}
		if next != "" {
			x5c = append(x5c, next)
		}
		key, err := w.verifier().Chain(ctx, principal, x5c)
		if err != nil && !refusedBinding(err) || err == nil && (key.Public.IsZero() || principal == "") {
			t.Fatalf("%+v, %v", key, err)
		}
	})
}

// noServer answers nobody: fuzzing asks no server.
type noServer struct{}

func (noServer) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no server") }

// FuzzParseSigners: nothing panics; an error is one of configuration, and what
// is accepted lists principals and keys.
func FuzzParseSigners(f *testing.F) {
	jwk := ed(1).public().JWK()
	f.Add([]byte(`{"signers":[{"principals":["arn:x/*"],"jwk":` + jwk + `}],"static":[{"principal":"a","jwk":[` + jwk + `]}]}`))
	f.Add([]byte(`{"signers":[{"principals":["https://i#*"],"issuer":"https://i","jwks":` + jwks(named("k", ed(1))) + `}]}`))
	f.Add([]byte(`{"signers":[{"principals":["x"],"jwks":"https://127.0.0.1/"},{"principals":["x"],"jwks":"nowhere"}]}`))
	client := &http.Client{Transport: noServer{}}
	f.Fuzz(func(t *testing.T, text []byte) {
		trusted, err := keys.ParseSigners(text, keys.WithHTTPClient(client))
		if err != nil {
			if !errors.Is(err, kest.ErrConfiguration) {
				t.Fatalf("it says %v", err)
			}
			return
		}
		defer trusted.Close() //nolint:errcheck // always nil
		for _, s := range trusted.Signers {
			if len(s.Principals) == 0 || (len(s.Keys) == 0) == (s.JWKS == nil) {
				t.Fatalf("a signer %+v", s)
			}
		}
	})
}
