package secretscan_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"kest.example/kest"
	"kest.example/kest/internal/secretscan"
)

const password = "hunter2/hunter2+hunter2~hunter2 hunter2"

func randomBytes(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// must fails unless the scanner finds the secret.
func must(t *testing.T, s *secretscan.Scanner, name, what string, text []byte) {
	t.Helper()
	for _, f := range s.Scan(what, text) {
		if f.Secret == name && f.Source == what {
			return
		}
	}
	t.Errorf("%s is not found in %s: %.300q", name, what, text)
}

// spellings are what programs may make of bytes: each of the library's own
// making, not of the scanner's.
func spellings(secret []byte) map[string]string {
	quoted, _ := json.Marshal(string(secret))
	list, _ := json.Marshal(strings.Split(strings.Trim(fmt.Sprintf("%d", secret), "[]"), " "))
	return map[string]string{
		"raw": string(secret), "%v": fmt.Sprintf("%v", secret), "%#v": fmt.Sprintf("%#v", secret), "%q": fmt.Sprintf("%q", secret),
		"%x": fmt.Sprintf("%x", secret), "%X": fmt.Sprintf("%X", secret), "% x": fmt.Sprintf("% x", secret), "%#x": fmt.Sprintf("%#x", secret),
		"colons": strings.ReplaceAll(fmt.Sprintf("% X", secret), " ", ":"), "JSON": string(quoted), "JSON list": strings.ReplaceAll(string(list), `"`, ""),
		"dump": hex.Dump(secret), "query": url.QueryEscape(string(secret)), "path": url.PathEscape(string(secret)),
		"percent": "%" + strings.ReplaceAll(fmt.Sprintf("% X", secret), " ", "%"),
		"std":     base64.StdEncoding.EncodeToString(secret), "raw std": base64.RawStdEncoding.EncodeToString(secret),
		"url": base64.URLEncoding.EncodeToString(secret), "raw url": base64.RawURLEncoding.EncodeToString(secret),
		"after 1": base64.StdEncoding.EncodeToString([]byte("x" + string(secret))), "after 2": base64.URLEncoding.EncodeToString([]byte("xy" + string(secret))),
		"in between": base64.RawURLEncoding.EncodeToString([]byte("\xff\xfe\xfd" + string(secret) + "xy")),
		"twice":      base64.StdEncoding.EncodeToString([]byte(base64.RawURLEncoding.EncodeToString(secret))),
		"in a JWS":   "eyJhbGciOiJFZERTQSJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"d":"`+base64.RawURLEncoding.EncodeToString(secret)+`"}`)) + ".AAAA",
		"in baggage": "kest.passport=" + url.QueryEscape(`["`+base64.RawURLEncoding.EncodeToString(secret)+`"]`),
		"zlib":       base64.RawURLEncoding.EncodeToString(compressed(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, secret)),
		"gzip":       base64.StdEncoding.EncodeToString(compressed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, secret)),
	}
}

func compressed(open func(io.Writer) io.WriteCloser, data []byte) []byte {
	var b bytes.Buffer
	w := open(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// A known secret is found however it is written, whole or cut off.
func TestKnownSecrets(t *testing.T) {
	for name, secret := range map[string][]byte{"text": []byte(password), "bytes": randomBytes(t, 32), "short": []byte("correct-horse"), "long": randomBytes(t, 300)} {
		s := secretscan.New()
		s.Add("it", secret)
		for form, text := range spellings(secret) {
			if form == "dump" && len(secret) > 16 {
				continue // lines of 16 bytes with offsets between them: not looked for
			}
			must(t, s, "it", name+" as "+form, []byte("level=INFO msg="+text+" more\n"))
		}
		for _, f := range secretscan.Forms(secret) {
			must(t, s, "it", name+" in the form "+f.Name, append([]byte("before "), f.Text...))
		}
	}
	s := secretscan.New()
	s.Add("it", []byte(password))
	must(t, s, "it", "the beginning", []byte("token="+password[:24]+"…"))
	must(t, s, "it", "the end", []byte("…"+password[len(password)-24:]))
}

// A private key is found by its numbers in any file format.
func TestKeys(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	seed := ed25519.NewKeyFromSeed(randomBytes(t, 32))
	for _, key := range []crypto.PrivateKey{curve, modulus, seed} {
		s := secretscan.New()
		s.AddKey("it", key)
		what := fmt.Sprintf("%T", key)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{"PKCS#8": der}
		if key == curve {
			if files["SEC 1"], err = x509.MarshalECPrivateKey(curve); err != nil {
				t.Fatal(err)
			}
			files["%v"] = fmt.Appendf(nil, "%+v", curve.D) //nolint:staticcheck // what prints an old-fashioned key
		}
		if key == modulus {
			files["PKCS#1"], files["%v"] = x509.MarshalPKCS1PrivateKey(modulus), fmt.Appendf(nil, "%+v", modulus)
		}
		for format, text := range files {
			block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
			must(t, s, "it", what+" "+format, text)
			must(t, s, "it", what+" "+format+" in PEM", block)
			must(t, s, "it", what+" "+format+" in quoted PEM", fmt.Appendf(nil, "key=%q", block))
			must(t, s, "it", what+" "+format+" in hex", fmt.Appendf(nil, "%x", text))
		}
	}
}

func TestTokens(t *testing.T) {
	token := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9." + base64.RawURLEncoding.EncodeToString(randomBytes(t, 64))
	s := secretscan.New()
	s.AddToken("it", token)
	for form, text := range spellings([]byte(token)) {
		if form != "dump" {
			must(t, s, "it", "a token as "+form, []byte(text))
		}
	}
	if found := s.Scan("half", []byte(token[:strings.LastIndexByte(token, '.')+1])); len(found) > 0 {
		t.Errorf("without its signature it is no secret: %v", found)
	}
}

// A key that only its thumbprint is known of is found, too.
func TestUnknownKeys(t *testing.T) {
	seed, scalar := randomBytes(t, 32), randomBytes(t, 32)
	scalar[0] &= 0x7f
	s := secretscan.New()
	id, err := kest.SeedIdentity("w", seed)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		t.Fatal(err)
	}
	point, err := curve.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`,
		base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:]))
	public, err := kest.ParsePublicKey([]byte(jwk))
	if err != nil {
		t.Fatal(err)
	}
	s.AddKeyID(id.Key.Thumbprint())
	s.AddKeyID(public.Thumbprint())
	other := secretscan.New()
	other.AddKeyID(id.Key.Thumbprint())
	for kid, secret := range map[string][]byte{id.Key.Thumbprint(): seed, public.Thumbprint(): scalar} {
		for form, text := range spellings(secret) {
			if form != "dump" && form != "JSON" { // which loses what is no UTF-8
				must(t, s, "the private key of "+kid, "a key as "+form, []byte("seed "+text+" end"))
			}
		}
		der := append([]byte{0x30, 0x2e, 0x02, 0x01, 0x00, 0x04, 0x22, 0x04, 0x20}, secret...)
		must(t, s, "the private key of "+kid, "a key in DER in PEM", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		session := append(randomBytes(t, 17), append(secret, "a.b.c"...)...)
		must(t, s, "the private key of "+kid, "a key in a record", session)
	}
	if found := other.Scan("another's", []byte(hex.EncodeToString(scalar))); len(found) > 0 {
		t.Errorf("another key is found: %v", found)
	}
	if found := s.Scan("public", []byte(id.Key.JWK()+id.Key.Thumbprint()+jwk)); len(found) > 0 {
		t.Errorf("public keys are found: %v", found)
	}
}

// What holds no secret has no findings, however much it looks like one.
func TestNothing(t *testing.T) {
	s := secretscan.New()
	s.Add("it", []byte(password))
	id, err := kest.SeedIdentity("w", randomBytes(t, 32))
	if err != nil {
		t.Fatal(err)
	}
	s.AddKeyID(id.Key.Thumbprint())
	text := randomBytes(t, 4000)
	for _, data := range [][]byte{text, []byte(hex.EncodeToString(text)), []byte(base64.StdEncoding.EncodeToString(text)), nil, {}, []byte("%"), []byte("%4"), []byte("\x1f")} {
		if found := s.Scan("noise", data); len(found) > 0 {
			t.Error(found)
		}
	}
}

type shy struct{ error }

func (shy) MarshalJSON() ([]byte, error) { return []byte(`"json ` + password + `"`), nil }

// What an error wraps is printed, too, as is what a value says as JSON.
func TestPrinted(t *testing.T) {
	s := secretscan.New()
	s.Add("it", []byte(password))
	inner := errors.New(password)
	for name, v := range map[string]any{
		"a text": password, "bytes": []byte(password), "a member": struct{ secret string }{password},
		"JSON": shy{}, "wrapped": hiding{inner}, "joined": hiding{errors.Join(io.EOF, inner)},
	} {
		must(t, s, "it", name, []byte(secretscan.Printed(v)))
	}
}

// hiding is an error that wraps another one and doesn't tell.
type hiding struct{ inner error }

func (hiding) Error() string                { return "hiding" }
func (hiding) String() string               { return "hiding" }
func (hiding) GoString() string             { return "hiding" }
func (hiding) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, "hiding") }
func (hiding) MarshalJSON() ([]byte, error) { return []byte(`"hiding"`), nil }
func (h hiding) Unwrap() error              { return h.inner }
