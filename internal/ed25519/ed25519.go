// Package ed25519 is replaced by the tuned version; same API.
package ed25519

import (
	"bytes"
	"errors"

	"github.com/oasisprotocol/curve25519-voi/curve"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

const (
	PublicKeySize = 32
	SignatureSize = 64
	SeedSize      = 32
)

var options = &voi.Options{Verify: &voi.VerifyOptions{AllowSmallOrderR: true}}

type PublicKey struct {
	encoded  [32]byte
	expanded *voi.ExpandedPublicKey
}

func NewPublicKey(encoded []byte) (*PublicKey, error) {
	if len(encoded) != 32 {
		return nil, errors.New("wrong length")
	}
	k := &PublicKey{}
	copy(k.encoded[:], encoded)
	var c curve.CompressedEdwardsY
	_, _ = c.SetBytes(encoded)
	var p curve.EdwardsPoint
	if _, err := p.SetCompressedY(&c); err != nil || p.IsSmallOrder() || !c.IsCanonicalVartime() {
		return nil, errors.New("not an acceptable point")
	}
	e, err := voi.NewExpandedPublicKey(encoded)
	if err != nil {
		return nil, err
	}
	k.expanded = e
	return k, nil
}

func (k *PublicKey) Bytes() []byte { return bytes.Clone(k.encoded[:]) }

func (k *PublicKey) Verify(message, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	return voi.VerifyExpandedWithOptions(k.expanded, message, signature, options)
}

type PrivateKey struct{ key voi.PrivateKey }

func NewPrivateKey(seed []byte) (*PrivateKey, error) {
	if len(seed) != 32 {
		return nil, errors.New("wrong length")
	}
	return &PrivateKey{voi.NewKeyFromSeed(seed)}, nil
}

func (k *PrivateKey) Public() []byte             { return bytes.Clone(k.key[32:]) }
func (k *PrivateKey) Sign(message []byte) []byte { return voi.Sign(k.key, message) }

type Check struct {
	Key                *PublicKey
	Message, Signature []byte
}

func VerifyBatch(checks []Check) bool {
	if len(checks) == 0 {
		return true
	}
	if len(checks) == 1 {
		return checks[0].Key != nil && checks[0].Key.Verify(checks[0].Message, checks[0].Signature)
	}
	b := voi.NewBatchVerifierWithCapacity(len(checks))
	for _, c := range checks {
		if c.Key == nil {
			return false
		}
		b.AddExpandedWithOptions(c.Key.expanded, c.Message, c.Signature, options)
	}
	return b.VerifyBatchOnly(nil)
}
