//go:build !wasm

package ed25519

import (
	stdsha512 "crypto/sha512"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// rule is this package's, in voi's words: with the cofactor, canonical A, R and
// S, no A of small order. voi's default is the same, but is a variable.
var rule = &voi.Options{Verify: &voi.VerifyOptions{AllowSmallOrderR: true}}

type point = voi.ExpandedPublicKey

func newPoint(encoded *[PublicKeySize]byte) (*point, error) {
	var p curve.EdwardsPoint
	y := curve.CompressedEdwardsY(*encoded)
	switch _, err := p.SetCompressedY(&y); {
	case err != nil || !y.IsCanonicalVartime():
		return nil, errEncoding
	case p.IsSmallOrder():
		return nil, errSmallOrder
	}
	return voi.NewExpandedPublicKey(encoded[:])
}

func (k *PublicKey) verify(message, signature []byte) bool {
	return voi.VerifyExpandedWithOptions(k.point, message, signature, rule)
}

// minBatch is from how many signatures on a batch is faster.
const minBatch = 3

func verifyBatch(checks []Check) bool {
	if len(checks) < minBatch {
		return verifyEach(checks)
	}
	batch := voi.NewBatchVerifierWithCapacity(len(checks))
	for i := range checks {
		c := &checks[i]
		batch.AddExpandedWithOptions(c.Key.point, c.Message, c.Signature, rule)
	}
	return batch.VerifyBatchOnly(nil) // its factors come from crypto/rand, by one read
}

func mulBase(out *[PublicKeySize]byte, s *scalar.Scalar) {
	var p curve.EdwardsPoint
	var y curve.CompressedEdwardsY
	y.SetEdwardsPoint(p.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, s))
	*out = y
}

func sha512(a, b, c []byte) (digest [64]byte) {
	h := stdsha512.New()
	h.Write(a)
	h.Write(b)
	h.Write(c)
	h.Sum(digest[:0])
	return digest
}
