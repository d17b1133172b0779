package jws_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

func key(t *testing.T, jwk string) *jws.PublicKey {
	t.Helper()
	v, err := jcs.ParseString(jwk)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jws.ParseJWK(v)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func segment(t *testing.T, s string) []byte {
	t.Helper()
	b, err := jws.Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// published are the examples of RFC 8037 A.4, RFC 7515 A.3 and A.2. Their
// headers have no typ, so that only keys and signatures can be taken of them.
var published = []struct{ jwk, thumbprint, algorithm, compact string }{
	{
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "EdDSA",
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
	},
	{
		`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
		"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", "ES256",
		"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
	},
	{
		`{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`,
		"", "RS256",
		"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
	},
}

func TestPublishedSignatures(t *testing.T) {
	var all []jws.Check
	for _, p := range published {
		k := key(t, p.jwk)
		if k.Algorithm() != p.algorithm || p.thumbprint != "" && k.Thumbprint() != p.thumbprint {
			t.Errorf("%s under %s", k.Algorithm(), k.Thumbprint())
		}
		cut := strings.LastIndexByte(p.compact, '.')
		c := jws.Check{Key: k, Input: []byte(p.compact[:cut]), Signature: segment(t, p.compact[cut+1:])}
		all = append(all, c)
		if !jws.VerifyAll([]jws.Check{c}) {
			t.Errorf("%s: the published signature does not hold", p.algorithm)
		}
		for _, change := range []func(*jws.Check){
			func(c *jws.Check) { c.Input = append(bytes.Clone(c.Input), 'x') },
			func(c *jws.Check) { c.Signature = append(bytes.Clone(c.Signature), 0) },
			func(c *jws.Check) { c.Signature = c.Signature[:len(c.Signature)-1] },
			func(c *jws.Check) { c.Signature = nil },
			func(c *jws.Check) { c.Signature = bytes.Clone(c.Signature); c.Signature[7] ^= 1 },
			func(c *jws.Check) { c.Key = nil },
		} {
			bad := c
			change(&bad)
			if jws.VerifyAll([]jws.Check{bad}) {
				t.Errorf("%s: a changed one holds", p.algorithm)
			}
		}
	}
	if !jws.VerifyAll(all) || !jws.VerifyAll(nil) {
		t.Error("all together do not hold")
	}
	for i := range all {
		bad := append([]jws.Check(nil), all...)
		bad[i].Input = []byte("x")
		if jws.VerifyAll(bad) {
			t.Errorf("one bad signature at %d among good ones holds", i)
		}
		swapped := append([]jws.Check(nil), all...)
		swapped[i].Key = all[(i+1)%len(all)].Key
		if jws.VerifyAll(swapped) {
			t.Errorf("a signature holds under a key of another type at %d", i)
		}
	}
}

// The DER that a host is given is what the standard library writes.
func TestDER(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	big3 := *r
	big3.E = 3
	enc := base64.RawURLEncoding.EncodeToString
	for _, c := range []struct {
		jwk    string
		public any
	}{
		{`{"kty":"EC","crv":"P-256","x":"` + enc(point[1:33]) + `","y":"` + enc(point[33:]) + `"}`, &ec.PublicKey},
		{`{"kty":"RSA","n":"` + enc(r.N.Bytes()) + `","e":"AQAB"}`, &r.PublicKey},
		{`{"kty":"RSA","n":"` + enc(r.N.Bytes()) + `","e":"Aw"}`, &big3.PublicKey},
		{`{"kty":"RSA","n":"` + enc(r.N.Bytes()) + `","e":"` + enc(big.NewInt(0x7fffffff).Bytes()) + `"}`, &rsa.PublicKey{N: r.N, E: 0x7fffffff}},
	} {
		want, err := x509.MarshalPKIXPublicKey(c.public)
		if err != nil {
			t.Fatal(err)
		}
		if got := key(t, c.jwk).DER(); !bytes.Equal(got, want) {
			t.Errorf("%s:\n%x, want\n%x", c.jwk, got, want)
		}
	}
	if der := key(t, published[0].jwk).DER(); der != nil {
		t.Errorf("an Ed25519 key has DER %x", der)
	}
}

// Signatures that the standard library makes hold, all three kinds together.
func TestFreshSignatures(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := jws.NewEd25519(public)
	if err != nil || !bytes.Equal(ed.Ed25519().Bytes(), public) {
		t.Fatal(err)
	}
	rs := key(t, `{"kty":"RSA","n":"`+jws.Encode(r.N.Bytes())+`","e":"AQAB"}`)
	var checks []jws.Check
	for i := range 20 {
		input := bytes.Repeat([]byte{byte(i)}, i*50)
		checks = append(checks, jws.Check{Key: ed, Input: input, Signature: ed25519.Sign(private, input)})
		digest := sha256.Sum256(input)
		signature, err := rsa.SignPKCS1v15(nil, r, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		checks = append(checks, jws.Check{Key: rs, Input: input, Signature: signature})
		pss, err := rsa.SignPSS(rand.Reader, r, crypto.SHA256, digest[:], nil)
		if err != nil {
			t.Fatal(err)
		}
		if jws.VerifyAll([]jws.Check{{Key: rs, Input: input, Signature: pss}}) {
			t.Error("a PSS signature holds as RS256")
		}
	}
	if !jws.VerifyAll(checks) {
		t.Error("good signatures do not hold")
	}
}

// What is written is read back, and written the same way again.
func TestInputComesBack(t *testing.T) {
	jwk, err := jcs.ParseString(published[0].jwk)
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]jws.Header{
		"usual":   {Algorithm: "EdDSA", KeyID: "k", Type: "JWS"},
		"binding": {Algorithm: "ES256", KeyID: "k", Type: "JWS", Binding: "a.b.c", JWK: jwk},
		"x5c":     {Algorithm: "RS256", Type: "kest-denial+jws", X5C: []string{"AA==", "BB=="}},
	} {
		compact := jws.Compact(jws.Input(h, []byte(`{"a":1}`)), []byte("signature"))
		m, err := jws.Parse(compact, h.Type)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Header.Algorithm != h.Algorithm || m.Header.KeyID != h.KeyID || m.Header.Binding != h.Binding || len(m.Header.X5C) != len(h.X5C) || (m.Header.JWK == nil) != (h.JWK == nil) {
			t.Errorf("%s: came back as %+v", name, m.Header)
		}
		if again := jws.Compact(jws.Input(m.Header, m.Payload), m.Signature); again != compact {
			t.Errorf("%s: written again as %s, was %s", name, again, compact)
		}
	}
	if head, _, _ := strings.Cut(string(jws.Input(jws.Header{Algorithm: "EdDSA", KeyID: "k", Type: "JWS"}, nil)), "."); string(segment(t, head)) != `{"alg":"EdDSA","kid":"k","typ":"JWS"}` {
		t.Errorf("the header is %s", segment(t, head)) // CONTRACT 2
	}
}

func TestParseRefuses(t *testing.T) {
	payload, signature := jws.Encode([]byte("{}")), jws.Encode(make([]byte, 64))
	with := func(header string) string { return jws.Encode([]byte(header)) + "." + payload + "." + signature }
	for name, compact := range map[string]string{
		"nothing": "", "one segment": "a", "no typ": with(`{"alg":"EdDSA"}`), "another typ": with(`{"alg":"EdDSA","typ":"JWT"}`),
		"crit": with(`{"alg":"EdDSA","typ":"JWS","crit":[]}`), "crit null": with(`{"alg":"EdDSA","typ":"JWS","crit":null}`),
		"empty kid": with(`{"alg":"EdDSA","typ":"JWS","kid":""}`), "kid number": with(`{"alg":"EdDSA","typ":"JWS","kid":1}`),
		"jwk text": with(`{"alg":"EdDSA","typ":"JWS","jwk":"x"}`), "x5c text": with(`{"alg":"EdDSA","typ":"JWS","x5c":"x"}`),
		"x5c empty": with(`{"alg":"EdDSA","typ":"JWS","x5c":[]}`), "binding object": with(`{"alg":"EdDSA","typ":"JWS","binding":{}}`),
		"an array": with("[]"), "alg twice": with(`{"alg":"EdDSA","alg":"EdDSA","typ":"JWS"}`),
	} {
		var e *jws.Error
		if m, err := jws.Parse(compact, jws.TypeEntry); !errors.As(err, &e) || m.Payload != nil || errors.Is(err, jws.ErrAlgorithm) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	for _, alg := range []string{"none", "HS256", "PS256", "ES384", "Ed25519", "eddsa", " EdDSA", "RS1"} {
		if _, err := jws.Parse(with(`{"alg":"`+alg+`","typ":"JWS"}`), jws.TypeEntry); !errors.Is(err, jws.ErrAlgorithm) {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestDecodeIsStrict(t *testing.T) {
	for n := range 100 {
		b := bytes.Repeat([]byte{0xfb}, n)
		if got, err := jws.Decode(jws.Encode(b)); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %x, %v", n, got, err)
		}
	}
	for _, s := range []string{"A", "AA=", "AA==", "AB", "AAB", "AA\n", "A\r\nA", "\nAA", "AA ", " AA", "A+A", "A/A", "AAAA\n", "ÄA", "AA\x00", "AAAAA"} {
		if b, err := jws.Decode(s); err == nil {
			t.Errorf("%q was read as %x", s, b)
		}
	}
}

// Decode takes what the standard library's strict decoder takes, but line ends.
func TestDecodeAgainstTheStandardLibrary(t *testing.T) {
	check := func(s string) {
		want, err := base64.RawURLEncoding.Strict().DecodeString(s)
		good := err == nil && !strings.ContainsAny(s, "\r\n")
		if got, err := jws.Decode(s); (err == nil) != good || good && !bytes.Equal(got, want) {
			t.Fatalf("%q: %x, %v; want %x, %v", s, got, err, want, good)
		}
	}
	for a := range 256 {
		for b := range 256 {
			s := string([]byte{byte(a), byte(b)})
			check(s)
			check("Q" + s)
			check(s + "Q")
			check("QU" + s)
			check(s + "QU")
			check("QUFB" + s)
		}
	}
}

// What parses encodes to the same string again: one signature has one text.
func FuzzCompact(f *testing.F) {
	paths, err := filepath.Glob("../../test/vectors/verify/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var v struct {
			Passport string `json:"passport"`
		}
		if err := json.Unmarshal(text, &v); err != nil {
			f.Fatal(err)
		}
		var entries []string
		if json.Unmarshal([]byte(v.Passport), &entries) != nil {
			continue
		}
		for _, e := range entries {
			f.Add(e)
		}
	}
	f.Fuzz(func(t *testing.T, compact string) {
		m, err := jws.Parse(compact, jws.TypeEntry)
		if err != nil {
			if m.Payload != nil || m.Signature != nil || m.Input != "" {
				t.Fatalf("half a message came with %v", err)
			}
			return
		}
		head, rest, _ := strings.Cut(compact, ".")
		header, err := jws.Decode(head)
		if err != nil {
			t.Fatal(err)
		}
		if again := jws.Encode(header) + "." + jws.Encode(m.Payload) + "." + jws.Encode(m.Signature); again != compact || m.Input+"."+jws.Encode(m.Signature) != compact {
			t.Fatalf("%q is written as %q", compact, again)
		}
		if m.Header.Type != jws.TypeEntry || m.Header.Algorithm == "" || rest == "" {
			t.Fatalf("header %+v", m.Header)
		}
		again, err := jws.Parse(jws.Compact(jws.Input(m.Header, m.Payload), m.Signature), jws.TypeEntry)
		if err != nil || !bytes.Equal(again.Payload, m.Payload) || again.Header.KeyID != m.Header.KeyID || again.Header.Binding != m.Header.Binding {
			t.Fatalf("what we write of %q is read as %+v: %v", compact, again.Header, err)
		}
	})
}

// Whatever else is wrong with it, other than three segments is said first.
func TestOtherThanThreeSegments(t *testing.T) {
	for _, header := range []string{`{"alg":"EdDSA","typ":"JWS"}`, `{"alg":"none","typ":"JWS"}`, `{"alg":`} {
		head := jws.Encode([]byte(header))
		for _, compact := range []string{head, head + ".e30", head + ".e30.e30.AA", head + ".e30..AA", head + ".e30.AA.", "." + head + ".e30.AA", "..." + head} {
			_, err := jws.Parse(compact, jws.TypeEntry)
			var e *jws.Error
			if !errors.As(err, &e) || errors.Is(err, jws.ErrAlgorithm) || e.Detail != "not three segments" {
				t.Errorf("%s: %v", compact, err)
			}
		}
	}
}

// A dot where the last segment of most tokens begins is one of three, of two or
// of more.
func TestSegmentsOfAnySize(t *testing.T) {
	head := jws.Encode([]byte(`{"alg":"EdDSA","typ":"JWS"}`))
	for size := range 200 {
		payload := make([]byte, size)
		for length := range 140 {
			signature := bytes.Repeat([]byte{1}, length)
			compact := head + "." + jws.Encode(payload) + "." + jws.Encode(signature)
			m, err := jws.Parse(compact, jws.TypeEntry)
			if err != nil || !bytes.Equal(m.Payload, payload) || !bytes.Equal(m.Signature, signature) {
				t.Fatalf("%s: %+v, %v", compact, m, err)
			}
			if _, err := jws.Parse(compact+"."+jws.Encode(signature), jws.TypeEntry); err == nil {
				t.Fatalf("%s: four segments are taken", compact)
			}
		}
	}
}
