package keys_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// What an X.509-SVID may bind, with keys of each kind and chains of each length.
func TestBoundBySVID(t *testing.T) {
	w := newWorld()
	one := w.root.intermediate("one")
	two := one.intermediate("two")
	three := two.intermediate("three")
	for name, d := range map[string]*draft{
		"P-256":                boundBy(w.root.svid(orders, p256()), orders),
		"RSA 2048":             boundBy(w.root.svid(orders, rsa2048()), orders),
		"Ed25519":              boundBy(w.root.svid(orders, ed(1)), orders),
		"one intermediate":     boundBy(one.svid(orders, p256()), orders, one),
		"three intermediates":  boundBy(three.svid(orders, p256()), orders, three, two, one),
		"a DNS name besides":   boundBy(w.root.svid(orders, p256(), func(c *x509.Certificate) { c.DNSNames = []string{"orders.example.org"} }), orders),
		"unknown header":       with(boundBy(w.root.svid(orders, p256()), orders), func(d *draft) { d.header["cty"] = "x" }),
		"exp at the leaf's":    with(boundBy(w.root.svid(orders, p256()), orders), func(d *draft) { d.claims["exp"] = noon.Add(time.Hour).Unix() }),
		"iat within the skew":  with(boundBy(w.root.svid(orders, p256()), orders), func(d *draft) { d.claims["iat"] = noon.Add(30 * time.Second).Unix() }),
		"its key beside it":    with(boundBy(w.root.svid(orders, p256()), orders), func(d *draft) { d.beside = session.public() }),
		"clock behind the CAs": with(boundBy(w.root.svid(orders, p256()), orders), func(d *draft) { d.claims["iat"] = noon.Add(-time.Hour - 20*time.Second).Unix() }),
	} {
		t.Run(name, func(t *testing.T) {
			key := d.mustVerify(t, w.verifier())
			if key.Public.JWK() != session.public().JWK() || key.Revoked {
				t.Errorf("it gives %+v", key)
			}
			if from := d.claims["exp"].(int64); key.NotAfter.Unix() != from {
				t.Errorf("it counts until %v", key.NotAfter)
			}
		})
	}
}

func with(d *draft, change func(*draft)) *draft {
	change(d)
	return d
}

func TestBoundKeyCountsFromIatToExp(t *testing.T) {
	w := newWorld()
	d := boundBy(w.root.svid(orders, p256()), orders)
	key := d.mustVerify(t, w.verifier())
	if !key.NotBefore.Equal(noon.Add(-10*time.Minute)) || !key.NotAfter.Equal(noon.Add(20*time.Minute)) {
		t.Errorf("it counts from %v to %v", key.NotBefore, key.NotAfter)
	}
	d.claims["nbf"] = noon.Add(-5 * time.Minute).Unix()
	if key = d.mustVerify(t, w.verifier()); !key.NotBefore.Equal(noon.Add(-5 * time.Minute)) {
		t.Errorf("with nbf it counts from %v", key.NotBefore)
	}
}

// An expired binding still says for when it counted: an audit needs it.
func TestExpiredBindingStaysTrue(t *testing.T) {
	w := newWorld()
	d := boundBy(w.root.svid(orders, p256()), orders)
	w.clock.move(30 * 24 * time.Hour) // the root has expired too
	if key := d.mustVerify(t, w.verifier()); key.Revoked || !key.NotAfter.Equal(noon.Add(20*time.Minute)) {
		t.Errorf("it gives %+v", key)
	}
}

// Each of these has one defect, and each is refused for its binding's sake.
func TestBoundBySVIDRefused(t *testing.T) {
	w := newWorld()
	leaf := w.root.svid(orders, p256())
	set := func(name string, value any) func(*draft) { return func(d *draft) { d.claims[name] = value } }
	head := func(name string, value any) func(*draft) { return func(d *draft) { d.header[name] = value } }
	lack := func(name string) func(*draft) { return func(d *draft) { delete(d.claims, name) } }
	jwk := func(text string) func(*draft) {
		return set("cnf", map[string]any{"jwk": json.RawMessage(text)})
	}
	sign := func(by pen) func(*draft) { return func(d *draft) { d.pen = by } }
	rewrite := func(f func(string) string) func(*draft) { return func(d *draft) { d.rewrite = f } }
	for name, change := range map[string]func(*draft){
		"typ is an entry's":         head("typ", "JWS"),
		"typ is a session's":        head("typ", "kest-session+jws"),
		"typ is a denial's":         head("typ", "kest-denial+jws"),
		"typ is an access token's":  head("typ", "at+jwt"),
		"typ in capitals":           head("typ", "KEST-BINDING+JWT"),
		"typ of a JWT":              head("typ", "JWT"),
		"typ of a WIT":              head("typ", "wit+jwt"),
		"typ is empty":              head("typ", ""),
		"typ is a number":           head("typ", 1),
		"no typ":                    func(d *draft) { delete(d.header, "typ") },
		"alg none":                  head("alg", "none"),
		"alg HS256":                 head("alg", "HS256"),
		"alg PS256":                 head("alg", "PS256"),
		"alg ES384":                 head("alg", "ES384"),
		"alg of another key":        head("alg", "RS256"),
		"alg EdDSA":                 head("alg", "EdDSA"),
		"no alg":                    func(d *draft) { delete(d.header, "alg") },
		"crit":                      head("crit", []string{"exp"}),
		"an empty crit":             head("crit", []string{}),
		"kid beside x5c":            head("kid", leaf.pen.public().Thumbprint()),
		"a kid that is no text":     head("kid", 7),
		"neither kid nor x5c":       func(d *draft) { delete(d.header, "x5c") },
		"an empty x5c":              head("x5c", []string{}),
		"x5c is a string":           head("x5c", leaf.text()),
		"x5c of numbers":            head("x5c", []int{1}),
		"a name twice in header":    func(d *draft) { d.rawHeader = strings.Replace(d.head(), `{`, `{"typ":"kest-binding+jwt",`, 1) },
		"a name twice in claims":    func(d *draft) { d.rawClaims = strings.Replace(d.body(), `{`, `{"sub":"`+orders+`",`, 1) },
		"claims twice":              func(d *draft) { d.rawClaims = d.body() + d.body() },
		"claims are a list":         func(d *draft) { d.rawClaims = "[" + d.body() + "]" },
		"header is a list":          func(d *draft) { d.rawHeader = "[]" },
		"sub of another":            set("sub", audits),
		"sub is missing":            lack("sub"),
		"sub is a list":             set("sub", []string{orders}),
		"sub with a slash more":     set("sub", orders+"/"),
		"cnf is missing":            lack("cnf"),
		"cnf is a key":              func(d *draft) { d.claims["cnf"] = d.jwk() },
		"cnf has a kid too":         set("cnf", map[string]any{"jwk": json.RawMessage(session.public().JWK()), "kid": "x"}),
		"cnf has no key":            set("cnf", map[string]any{"jkt": session.public().Thumbprint()}),
		"cnf has a list of keys":    set("cnf", map[string]any{"jwk": []json.RawMessage{json.RawMessage(session.public().JWK())}}),
		"cnf has a private key":     jwk(strings.Replace(session.public().JWK(), "{", `{"d":"AA",`, 1)),
		"cnf has a secret":          jwk(`{"kty":"oct","k":"AA"}`),
		"cnf of low order":          jwk(`{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`),
		"cnf off the curve":         jwk(`{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`),
		"cnf of another curve":      jwk(`{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`),
		"cnf for encryption":        jwk(strings.Replace(session.public().JWK(), "{", `{"use":"enc",`, 1)),
		"iat is missing":            lack("iat"),
		"iat in the future":         set("iat", noon.Add(31*time.Second).Unix()),
		"iat is a text":             set("iat", "1"),
		"iat is a fraction":         set("iat", 1700000000.5),
		"iat is negative":           set("iat", -1),
		"iat after exp":             set("exp", noon.Add(-11*time.Minute).Unix()),
		"exp is iat":                set("exp", noon.Add(-10*time.Minute).Unix()),
		"nbf after exp":             set("nbf", noon.Add(21*time.Minute).Unix()),
		"nbf is a text":             set("nbf", "now"),
		"exp is missing":            lack("exp"),
		"exp is null":               set("exp", nil),
		"exp is of no year":         set("exp", 1<<52),
		"exp beyond the leaf's end": set("exp", noon.Add(time.Hour+time.Second).Unix()),
		"jti is missing":            lack("jti"),
		"jti is empty":              set("jti", ""),
		"jti is a number":           set("jti", 1),
		"signed by another key":     sign(p256()),
		"signed by the CA":          sign(w.root.pen),
		"signed by the session key": func(d *draft) { d.pen = session; d.header["alg"] = "EdDSA" },
		"another key beside it":     func(d *draft) { d.beside = ed(8).public() },
		"another's principal":       func(d *draft) { d.principal = audits },
		"no principal":              func(d *draft) { d.principal = "" },
		"the trust domain itself":   func(d *draft) { d.principal = "spiffe://example.org"; d.claims["sub"] = d.principal },
		"iat before the leaf":       set("iat", noon.Add(-time.Hour-31*time.Second).Unix()),
		"over 16 KiB":               set("pad", strings.Repeat("x", 12<<10)),
		"no signature":              rewrite(func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }),
		"two segments":              rewrite(func(s string) string { return s[:strings.LastIndexByte(s, '.')] }),
		"four segments":             rewrite(func(s string) string { return s + ".AA" }),
		"padding":                   rewrite(func(s string) string { return s + "==" }),
		"a line end":                rewrite(func(s string) string { return s + "\n" }),
		"a blank in front":          rewrite(func(s string) string { return " " + s }),
		"a changed signature":       rewrite(func(s string) string { return s[:len(s)-4] + flip(s[len(s)-4:]) }),
		"a changed claim":           rewrite(func(s string) string { return swap(s, 1, `"j-1"`, `"j-2"`) }),
		"a changed header":          rewrite(func(s string) string { return swap(s, 0, `}`, `,"x":1}`) }),
		"a signature in DER":        rewrite(derSignature),
	} {
		t.Run(name, func(t *testing.T) {
			with(boundBy(leaf, orders), change).mustRefuse(t, w.verifier())
		})
	}
}

func (d *draft) head() string { return string(must(json.Marshal(d.header))) }
func (d *draft) body() string { return string(must(json.Marshal(d.claims))) }

// flip changes the first letter, staying in base64url.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// swap replaces a text in a segment and leaves the signature as it is.
func swap(compact string, segment int, old, text string) string {
	parts := strings.Split(compact, ".")
	plain := string(must(base64.RawURLEncoding.DecodeString(parts[segment])))
	parts[segment] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(plain, old, text, 1)))
	return strings.Join(parts, ".")
}

func derSignature(compact string) string {
	cut := strings.LastIndexByte(compact, '.') + 1
	raw := must(base64.RawURLEncoding.DecodeString(compact[cut:]))
	der := must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])}))
	return compact[:cut] + base64.RawURLEncoding.EncodeToString(der)
}

// Each of these chains has one defect; the token under it is good. A direct
// entry under the same chain is refused as well.
func TestChainsRefused(t *testing.T) {
	w := newWorld()
	usage := func(u x509.KeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage = u }
	}
	uris := func(ids ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.URIs = nil
			for _, id := range ids {
				c.URIs = append(c.URIs, must(url.Parse(id)))
			}
		}
	}
	good := w.root.svid(orders, p256())
	padded := good
	for !strings.HasSuffix(padded.text(), "=") {
		padded = w.root.svid(orders, good.pen, func(c *x509.Certificate) {
			c.Subject.CommonName = strings.Repeat("x", len(padded.cert.Subject.CommonName)+1)
		})
	}
	one := w.root.intermediate("one")
	two := one.intermediate("two")
	noCA := w.root.issue("no CA", p256(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	mayNotIssue := w.root.issue("may not issue", p256(), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCRLSign })
	ended := w.root.issue("ended", p256(), func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.NotAfter = true, x509.KeyUsageCertSign, noon.Add(-30*time.Minute)
	})
	confined := w.root.issue("confined", p256(), func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.PermittedURIDomains, c.PermittedDNSDomainsCritical = true, x509.KeyUsageCertSign, []string{"elsewhere.example"}, true
	})
	weakCA := w.root.issue("weak", rsa1024(), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	deep := two.intermediate("three").intermediate("four")
	stranger := newCA("root", p256()) // of the same name
	big := w.root.svid(orders, p256(), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 17<<10)}}
	})
	raw := func(x5c ...string) chained { return chained{good.pen, x5c} }
	for name, c := range map[string]chained{
		"a CA":                       of(w.root.svid(orders, p256(), func(c *x509.Certificate) { c.IsCA = true })),
		"may sign certificates":      of(w.root.svid(orders, p256(), usage(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign))),
		"may sign revocation lists":  of(w.root.svid(orders, p256(), usage(x509.KeyUsageDigitalSignature|x509.KeyUsageCRLSign))),
		"may not sign":               of(w.root.svid(orders, p256(), usage(x509.KeyUsageKeyEncipherment))),
		"no key usage":               of(w.root.svid(orders, p256(), usage(0))),
		"two ids":                    of(w.root.svid(orders, p256(), uris(orders, audits))),
		"its id and another URI":     of(w.root.svid(orders, p256(), uris(orders, "https://example.org/"))),
		"no id":                      of(w.root.svid(orders, p256(), uris())),
		"another id":                 of(w.root.svid(audits, p256())),
		"the id in other letters":    of(w.root.svid(orders, p256(), uris("spiffe://example.org/Orders"))),
		"an escaped id":              of(w.root.svid(orders, p256(), uris("spiffe://example.org/%6frders"))),
		"an id with a query":         of(w.root.svid(orders, p256(), uris(orders+"?x"))),
		"a P-384 key":                of(w.root.svid(orders, p384())),
		"an RSA key of 1024 bits":    of(w.root.svid(orders, rsa1024())),
		"an unknown critical":        of(w.root.svid(orders, p256(), critical)),
		"of an unknown root":         of(stranger.svid(orders, p256())),
		"the root besides":           of(good, w.root),
		"a stranger's root besides":  of(stranger.svid(orders, p256()), stranger),
		"another leaf besides":       of(good, w.root.svid(audits, p256())),
		"the intermediate left out":  of(one.svid(orders, p256())),
		"one certificate too many":   of(good, one),
		"in the wrong order":         of(two.svid(orders, p256()), one, two),
		"root first":                 of(one, one.svid(orders, p256())),
		"five certificates":          of(deep.svid(orders, p256()), deep, two, one, one),
		"under no CA":                of(noCA.svid(orders, p256()), noCA),
		"under one that may not":     of(mayNotIssue.svid(orders, p256()), mayNotIssue),
		"under an expired one":       of(ended.svid(orders, p256()), ended),
		"under another domain's":     of(confined.svid(orders, p256()), confined),
		"under a weak key":           of(weakCA.svid(orders, p256()), weakCA),
		"under a leaf":               of(good.svid(orders, p256()), good),
		"over 16 KiB":                of(big),
		"no base64":                  raw("not base64!"),
		"base64url":                  raw(base64.URLEncoding.EncodeToString(good.cert.Raw)),
		"without its padding":        raw(strings.TrimRight(padded.text(), "=")),
		"a line end":                 raw(good.text()[:64] + "\n" + good.text()[64:]),
		"no certificate":             raw("MAA="),
		"an empty one":               raw(""),
		"something behind it":        raw(base64.StdEncoding.EncodeToString(append(slices.Clone(good.cert.Raw), 0))),
		"two in one":                 raw(base64.StdEncoding.EncodeToString(slices.Concat(good.cert.Raw, one.cert.Raw))),
		"a key for a certificate":    raw(base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(good.pen.private.Public())))),
		"a changed one":              raw(changed(good)),
		"a self-signed leaf":         of(selfSigned(orders)),
		"another's, of the same key": of(stranger.svid(orders, w.root.pen)),
	} {
		t.Run(name, func(t *testing.T) {
			d := boundBy(good, orders)
			d.header["x5c"], d.header["alg"], d.pen = c.x5c, c.by.algorithm(), c.by
			d.mustRefuse(t, w.verifier())
			if key, err := w.verifier().Chain(ctx, orders, c.x5c); !refusedBinding(err) {
				t.Errorf("directly: accepted as %s, error %v; want a refused binding", jwkOf(key), err)
			}
		})
	}
	late := boundBy(w.root.svid(orders, p256(), func(c *x509.Certificate) { c.NotBefore = noon.Add(-5 * time.Minute) }), orders)
	late.mustRefuse(t, w.verifier()) // signed before its chain counted; an entry under the chain is good now
}

// chained is a chain and the key that its leaf has.
type chained struct {
	by  pen
	x5c []string
}

func of(leaf issued, more ...issued) chained {
	c := chained{leaf.pen, []string{leaf.text()}}
	for _, m := range more {
		c.x5c = append(c.x5c, m.text())
	}
	return c
}

func critical(c *x509.Certificate) {
	c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
}

func changed(c issued) string {
	der := slices.Clone(c.cert.Raw)
	der[len(der)-3] ^= 1
	return base64.StdEncoding.EncodeToString(der)
}

// selfSigned is a leaf that vouches for itself.
func selfSigned(id string) issued {
	key := p256()
	self := newCA("self", key)
	return issued{self.cert, key}.svid(id, key, func(c *x509.Certificate) { c.Subject = self.cert.Subject })
}

// What a principal says of itself counts, whatever text it has.
func TestStrangePrincipals(t *testing.T) {
	w := newWorld()
	for _, id := range []string{
		"spiffe://example.org", "spiffe://example.org/", "spiffe:///orders", "SPIFFE://example.org/orders", "spiffe://EXAMPLE.org/orders",
		"spiffe://example.org/orders/", "spiffe://example.org//orders", "spiffe://example.org/../orders", "spiffe://example.org/orders#x",
		"spiffe://example.org:443/orders", "spiffe://user@example.org/orders", "spiffe:orders", "spiffe", " ", "\x00", "spiffe://example.org/\xff",
		"spiffe://example.org/" + strings.Repeat("x", 3000),
	} {
		d := boundBy(w.root.svid(orders, p256()), id)
		if key, err := w.verifier().Binding(ctx, id, d.compact(), kest.PublicKey{}); !refusedBinding(err) {
			t.Errorf("%q: accepted as %s, %v", id, jwkOf(key), err)
		}
	}
}

// A wit+jwt of the same shape counts only where the trust domain signed it.
func TestWIT(t *testing.T) {
	w := newWorld()
	wit := p256()
	b := w.bundle()
	if err := b.AddWITAuthority("wit-1", wit.private.Public()); err != nil {
		t.Fatal(err)
	}
	w.bundles.Set(b)
	draftOf := func(by pen, kid string, change func(*draft)) *draft {
		d := boundByKey(by, orders, kid)
		d.header["typ"] = "wit+jwt"
		change(d)
		return d
	}
	keep := func(*draft) {}
	draftOf(w.tokens, "jwt-1", keep).mustVerify(t, w.verifier())
	draftOf(wit, "wit-1", keep).mustVerify(t, w.verifier())
	listed := keys.WithSigners(keys.Signer{Principals: []kest.Pattern{orders}, Keys: []kest.PublicKey{w.kms.public()}})
	for name, d := range map[string]*draft{
		"by a listed key":     draftOf(w.kms, w.kms.public().Thumbprint(), keep),
		"by an unknown kid":   draftOf(w.tokens, "jwt-2", keep),
		"by another's key":    draftOf(p256(), "jwt-1", keep),
		"for another domain":  draftOf(w.tokens, "jwt-1", func(d *draft) { d.principal, d.claims["sub"] = alien, alien }),
		"without jti":         draftOf(w.tokens, "jwt-1", func(d *draft) { delete(d.claims, "jti") }),
		"without iat":         draftOf(w.tokens, "jwt-1", func(d *draft) { delete(d.claims, "iat") }),
		"without cnf":         draftOf(w.tokens, "jwt-1", func(d *draft) { delete(d.claims, "cnf") }),
		"without kid":         draftOf(w.tokens, "jwt-1", func(d *draft) { delete(d.header, "kid") }),
		"of another subject":  draftOf(w.tokens, "jwt-1", func(d *draft) { d.claims["sub"] = audits }),
		"in other letters":    draftOf(w.tokens, "jwt-1", func(d *draft) { d.header["typ"] = "WIT+JWT" }),
		"as our own binding":  draftOf(w.tokens, "jwt-1", func(d *draft) { d.header["typ"] = "kest-binding+jwt" }),
		"under an SVID":       with(boundBy(w.root.svid(orders, p256()), orders), func(d *draft) { d.header["typ"] = "wit+jwt" }),
		"with an SVID, a kid": draftOf(w.tokens, "jwt-1", func(d *draft) { d.header["x5c"] = []string{w.root.svid(orders, p256()).text()} }),
	} {
		t.Run(name, func(t *testing.T) { d.mustRefuse(t, w.verifier(listed)) })
	}
	asSVID := audienceBy(wit, orders, "wit-1")
	asSVID.mustRefuse(t, w.verifier()) // a WIT authority signs no JWT-SVIDs
}
