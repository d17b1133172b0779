package aws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math/big"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"kest.example/kest"
	"kest.example/kest/internal/jws"
)

var (
	errUnsupported = errors.New("a key of another spec")
	errPublicKey   = errors.New("it holds no public key")
	errSpec        = errors.New("its public key is not of the spec that it says")
	errSignature   = errors.New("it holds no signature of the message under the key")
)

// publicKey is the public part of a KMS key. How KMS signs under it follows
// from its type.
type publicKey struct {
	public    kest.PublicKey
	native    crypto.PublicKey // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
	algorithm types.SigningAlgorithmSpec
	spec      types.KeySpec
}

// parsePublicKey reads a SubjectPublicKeyInfo (RFC 5280 section 4.1). A spec
// that is said must be the key's; "" says nothing.
func parsePublicKey(der []byte, spec types.KeySpec) (*publicKey, error) {
	native, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if spec != "" && !supported(spec) {
			return nil, errUnsupported // such as secp256k1, which Go can't read either
		}
		return nil, errPublicKey
	}
	k, jwk, err := describe(native)
	switch {
	case err != nil:
		return nil, err
	case spec != "" && k.spec != spec:
		return nil, errSpec
	}
	if k.public, err = kest.ParsePublicKey([]byte(jwk)); err != nil {
		return nil, errPublicKey
	}
	return k, nil
}

func supported(spec types.KeySpec) bool {
	switch spec {
	case types.KeySpecEccNistP256, types.KeySpecEccNistEdwards25519,
		types.KeySpecRsa2048, types.KeySpecRsa3072, types.KeySpecRsa4096:
		return true
	}
	return false
}

// describe finds what Kest needs of a key, and writes its JWK (RFC 7518
// section 6, RFC 8037 section 2).
func describe(native any) (*publicKey, string, error) {
	switch key := native.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4 || X || Y
		if err != nil || key.Curve != elliptic.P256() {
			return nil, "", errUnsupported
		}
		return &publicKey{native: key, algorithm: types.SigningAlgorithmSpecEcdsaSha256, spec: types.KeySpecEccNistP256},
			`{"kty":"EC","crv":"P-256","x":"` + jws.Encode(point[1:33]) + `","y":"` + jws.Encode(point[33:]) + `"}`, nil
	case ed25519.PublicKey:
		return &publicKey{native: key, algorithm: types.SigningAlgorithmSpecEd25519Sha512, spec: types.KeySpecEccNistEdwards25519},
			`{"kty":"OKP","crv":"Ed25519","x":"` + jws.Encode(key) + `"}`, nil
	case *rsa.PublicKey:
		spec, ok := rsaSpecs[key.N.BitLen()]
		if !ok {
			return nil, "", errUnsupported
		}
		return &publicKey{native: key, algorithm: types.SigningAlgorithmSpecRsassaPkcs1V15Sha256, spec: spec},
			`{"kty":"RSA","n":"` + jws.Encode(key.N.Bytes()) + `","e":"` + jws.Encode(big.NewInt(int64(key.E)).Bytes()) + `"}`, nil
	}
	return nil, "", errUnsupported
}

var rsaSpecs = map[int]types.KeySpec{
	2048: types.KeySpecRsa2048, 3072: types.KeySpecRsa3072, 4096: types.KeySpecRsa4096,
}

// raw turns KMS's signature of an input into JWS's (RFC 7518 section 3). A
// signature that doesn't verify is none: what leaves here is good.
func (k *publicKey) raw(input, signature []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := k.native.(type) {
	case *ecdsa.PublicKey:
		if raw := jws.ES256FromDER(signature); raw != nil && ecdsa.VerifyASN1(key, digest[:], signature) {
			return raw, nil
		}
	case ed25519.PublicKey:
		if ed25519.Verify(key, input, signature) {
			return signature, nil
		}
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil {
			return signature, nil
		}
	}
	return nil, errSignature
}
