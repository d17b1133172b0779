//go:build !wasip1

package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

func (k *PublicKey) makeEC(x, y []byte) error {
	point := append(append([]byte{4}, x...), y...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return badKey("x and y are no point of P-256")
	}
	k.native = key
	return nil
}

func (k *PublicKey) makeRSA(n, e []byte) error {
	exponent := 0
	for _, b := range e {
		exponent = exponent<<8 | int(b)
	}
	k.native = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}
	return nil
}

// verifyNative checks an ES256 signature, R||S of 64 bytes and never DER
// (RFC 7518 section 3.4), or an RS256 one (section 3.3).
func (k *PublicKey) verifyNative(input, signature []byte) bool {
	digest := sha256.Sum256(input)
	switch key := k.native.(type) {
	case *ecdsa.PublicKey:
		if len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest[:], r, s)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}
