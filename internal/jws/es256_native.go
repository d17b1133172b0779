//go:build !wasip1

package jws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
)

// SignES256 signs with a P-256 private key of 32 bytes: R||S with a low s. In a
// guest there is no such function: its host signs.
func SignES256(d, input []byte) ([]byte, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		return nil, badKey("no private key of P-256")
	}
	digest := sha256.Sum256(input)
	der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	return LowS(ES256FromDER(der)), nil
}
