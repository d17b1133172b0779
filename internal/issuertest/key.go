package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Key signs tokens.
type Key struct {
	ID        string
	Algorithm string
	private   any // ed25519.PrivateKey, *ecdsa.PrivateKey, *rsa.PrivateKey, or []byte for HS256
}

// NewKey makes a key of EdDSA, ES256 or RS256.
func NewKey(t testing.TB, algorithm, kid string) *Key {
	t.Helper()
	k := &Key{ID: kid, Algorithm: algorithm}
	var err error
	switch algorithm {
	case "EdDSA":
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		t.Fatalf("no key for %s", algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// As is the same key under another algorithm: none, PS256, or HS256 with a
// secret of these bytes.
func (k *Key) As(algorithm string, bytes []byte) *Key {
	other := &Key{ID: k.ID, Algorithm: algorithm, private: k.private}
	if bytes != nil {
		other.private = bytes
	}
	return other
}

// JWK is the public key for a JWKS.
func (k *Key) JWK() map[string]any {
	p, ok := k.private.(public)
	if !ok {
		panic("issuertest: no public key")
	}
	text, err := json.Marshal(jose.JSONWebKey{Key: p.Public(), KeyID: k.ID, Algorithm: k.Algorithm})
	if err != nil {
		panic(err)
	}
	var jwk map[string]any
	if err := json.Unmarshal(text, &jwk); err != nil {
		panic(err)
	}
	return jwk
}

// Sign makes a token of claims under the header alg, kid and typ JWT, with
// changes to it; a nil value takes a member out.
func (k *Key) Sign(header, claims map[string]any) string {
	h := map[string]any{"alg": k.Algorithm, "kid": k.ID, "typ": "JWT"}
	for name, value := range header {
		if h[name] = value; value == nil {
			delete(h, name)
		}
	}
	return k.SignText(text(h), text(claims))
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// SignText makes a token of a header and a payload as they are.
func (k *Key) SignText(header, payload string) string {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	return input + "." + encode(k.signature([]byte(input)))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (k *Key) signature(input []byte) []byte {
	digest := sha256.Sum256(input)
	var signature []byte
	var err error
	switch key := k.private.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, input)
	case *ecdsa.PrivateKey:
		signature, err = k.ecdsa(key, digest[:])
	case *rsa.PrivateKey:
		if k.Algorithm == "PS256" {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], nil)
		} else {
			signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		}
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write(input)
		signature = mac.Sum(nil)
	}
	if err != nil {
		panic(err)
	}
	if k.Algorithm == "none" {
		return nil
	}
	return signature
}

// ecdsa gives R||S (RFC 7518 section 3.4), or DER for the algorithm "DER".
func (k *Key) ecdsa(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	if k.Algorithm == "DER" {
		return key.Sign(rand.Reader, digest, crypto.SHA256)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	return append(fill(r), fill(s)...), nil
}

func fill(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
