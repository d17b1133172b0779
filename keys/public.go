package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math/big"

	"kest.example/kest"
	"kest.example/kest/internal/jws"
)

// NewPublicKey makes a verification key of one of the standard library's:
// ed25519.PublicKey, *ecdsa.PublicKey on P-256 or *rsa.PublicKey of 2048 bits or
// more. For any other its error wraps kest.ErrConfiguration.
func NewPublicKey(public crypto.PublicKey) (kest.PublicKey, error) {
	jwk, err := jwkOf(public)
	if err != nil {
		return kest.PublicKey{}, err
	}
	key, err := kest.ParsePublicKey([]byte(jwk))
	if err != nil {
		return kest.PublicKey{}, fmt.Errorf("%w: %w", kest.ErrConfiguration, err)
	}
	return key, nil
}

func jwkOf(public crypto.PublicKey) (string, error) {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return `{"kty":"OKP","crv":"Ed25519","x":"` + jws.Encode(key) + `"}`, nil
	case *ecdsa.PublicKey:
		if key == nil || key.Curve != elliptic.P256() {
			return "", unsupported(public)
		}
		point, err := key.Bytes()
		if err != nil {
			return "", fmt.Errorf("%w: %w", kest.ErrConfiguration, err)
		}
		return `{"kty":"EC","crv":"P-256","x":"` + jws.Encode(point[1:33]) + `","y":"` + jws.Encode(point[33:]) + `"}`, nil
	case *rsa.PublicKey:
		if key == nil || key.N == nil {
			return "", unsupported(public)
		}
		e := big.NewInt(int64(key.E)).Bytes()
		return `{"kty":"RSA","n":"` + jws.Encode(key.N.Bytes()) + `","e":"` + jws.Encode(e) + `"}`, nil
	}
	return "", unsupported(public)
}

func unsupported(public crypto.PublicKey) error {
	return fmt.Errorf("keys: a %T of this kind is not supported, only Ed25519, P-256 and RSA: %w", public, kest.ErrConfiguration)
}

// holds reports whether a signature over the input is the key's, under the one
// algorithm that follows from the key.
func holds(key kest.PublicKey, input string, signature []byte) bool {
	return kest.VerifySignatures([]kest.SignatureCheck{{Key: key, Input: []byte(input), Signature: signature}})
}
