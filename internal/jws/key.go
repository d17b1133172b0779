package jws

import (
	"crypto/sha256"
	"errors"

	"kest.example/kest/internal/ed25519"
	"kest.example/kest/internal/jcs"
)

// ErrKey is wrapped by every error about a JWK.
var ErrKey = errors.New("jws: not an acceptable public JWK")

// PublicKey is a verification key: Ed25519, P-256 or RSA. Its algorithm
// follows from its type. Make one with ParseJWK.
type PublicKey struct {
	algorithm  string
	thumbprint string
	jwk        string // canonical
	ed         *ed25519.PublicKey
	native     any // *ecdsa.PublicKey or *rsa.PublicKey outside guests
	der        []byte
}

// Algorithm returns the one JWS algorithm that the key verifies.
func (k *PublicKey) Algorithm() string { return k.algorithm }

// Thumbprint returns the RFC 7638 thumbprint, base64url of SHA-256.
func (k *PublicKey) Thumbprint() string { return k.thumbprint }

// JWK returns the public key's required members in canonical form.
func (k *PublicKey) JWK() string { return k.jwk }

// Ed25519 returns the key as Ed25519's, or nil when it is another kind.
func (k *PublicKey) Ed25519() *ed25519.PublicKey { return k.ed }

// DER returns the SubjectPublicKeyInfo of a P-256 or RSA key (RFC 5480, RFC 8017).
func (k *PublicKey) DER() []byte { return k.der }

// NewEd25519 makes the key of an encoded Ed25519 public key, 32 bytes.
func NewEd25519(encoded []byte) (*PublicKey, error) {
	ed, err := ed25519.NewPublicKey(encoded)
	if err != nil {
		return nil, &Error{Detail: "x: " + err.Error(), Err: ErrKey}
	}
	k := &PublicKey{algorithm: EdDSA, ed: ed}
	k.name(`{"crv":"Ed25519","kty":"OKP","x":"` + Encode(encoded) + `"}`)
	return k, nil
}

// name sets the canonical JWK, whose members are just those of RFC 7638.
func (k *PublicKey) name(jwk string) {
	sum := sha256.Sum256([]byte(jwk))
	k.jwk, k.thumbprint = jwk, Encode(sum[:])
}

// ParseJWK reads a public JWK (RFC 7517, 7518, 8037). A private key is
// refused: it has no business where verification keys stand.
func ParseJWK(v *jcs.Value) (*PublicKey, error) {
	if v.Kind() != jcs.Object {
		return nil, badKey("it is " + v.Kind().String())
	}
	for _, private := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if v.Get(private).Kind() != jcs.Invalid {
			return nil, badKey("it holds the private member " + private)
		}
	}
	k, err := parseByType(v)
	if err != nil {
		return nil, err
	}
	if alg := v.Get("alg"); alg.Kind() != jcs.Invalid && alg.Str() != k.algorithm {
		return nil, badKey("its alg is not " + k.algorithm)
	}
	if use := v.Get("use"); use.Kind() != jcs.Invalid && use.Str() != "sig" {
		return nil, badKey("its use is not sig")
	}
	return k, nil
}

func parseByType(v *jcs.Value) (*PublicKey, error) {
	switch kty, crv := v.Get("kty").Str(), v.Get("crv").Str(); {
	case kty == "OKP" && crv == "Ed25519":
		x, err := part(v, "x", 32)
		if err != nil {
			return nil, err
		}
		return NewEd25519(x)
	case kty == "EC" && crv == "P-256":
		return parseEC(v)
	case kty == "RSA":
		return parseRSA(v)
	default:
		return nil, badKey("kty " + kty + " " + crv + " is not supported")
	}
}

func badKey(detail string) error { return &Error{Detail: detail, Err: ErrKey} }

// part decodes one base64url member; size 0 takes any length.
func part(v *jcs.Value, name string, size int) ([]byte, error) {
	b, err := Decode(v.Get(name).Str())
	if err != nil || len(b) == 0 || size > 0 && len(b) != size {
		return nil, badKey(name + " is no base64url of the right length")
	}
	return b, nil
}

func parseEC(v *jcs.Value) (*PublicKey, error) {
	x, err := part(v, "x", 32)
	if err != nil {
		return nil, err
	}
	y, err := part(v, "y", 32)
	if err != nil {
		return nil, err
	}
	return NewP256(x, y)
}

// NewP256 makes the key of a point of P-256, given by its coordinates of 32
// bytes each. In a guest the host checks the point, at each signature.
func NewP256(x, y []byte) (*PublicKey, error) {
	k := &PublicKey{algorithm: ES256}
	k.name(`{"crv":"P-256","kty":"EC","x":"` + Encode(x) + `","y":"` + Encode(y) + `"}`)
	k.der = append(append(append([]byte(nil), p256Prefix...), x...), y...)
	if err := k.makeEC(x, y); err != nil {
		return nil, err
	}
	return k, nil
}

// p256Prefix is the DER before X and Y in the SubjectPublicKeyInfo of a P-256
// key with an uncompressed point (RFC 5480 section 2).
var p256Prefix = []byte{
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
}

func parseRSA(v *jcs.Value) (*PublicKey, error) {
	n, err := part(v, "n", 0)
	if err != nil {
		return nil, err
	}
	e, err := part(v, "e", 0)
	if err != nil {
		return nil, err
	}
	if n[0] == 0 || len(n) < 256 || len(n) > 1024 {
		return nil, badKey("the modulus is not of 2048 to 8192 bits")
	}
	if e[0] == 0 || len(e) > 4 || e[len(e)-1]&1 == 0 {
		return nil, badKey("the exponent is not odd or too long")
	}
	k := &PublicKey{algorithm: RS256, der: rsaDER(n, e)}
	k.name(`{"e":"` + Encode(e) + `","kty":"RSA","n":"` + Encode(n) + `"}`)
	return k, k.makeRSA(n, e)
}

// rsaDER builds the SubjectPublicKeyInfo of an RSA key (RFC 3279 section 2.3.1).
func rsaDER(n, e []byte) []byte {
	key := derTLV(0x30, append(derInt(n), derInt(e)...))
	oid := []byte{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00}
	return derTLV(0x30, append(oid, derTLV(0x03, append([]byte{0}, key...))...))
}

func derInt(b []byte) []byte {
	if b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return derTLV(0x02, b)
}

func derTLV(tag byte, b []byte) []byte {
	n := len(b)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, b...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, b...)
	}
	return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, b...) //nolint:gosec // n < 64 KiB by parseRSA
}
