package ed25519

import (
	"errors"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"kest.example/kest/internal/ed25519/internal/soft"
)

type point = soft.PublicKey

func newPoint(encoded *[PublicKeySize]byte) (*point, error) {
	p := new(point)
	switch err := p.Decode(encoded); {
	case errors.Is(err, soft.ErrSmallOrder):
		return nil, errSmallOrder
	case err != nil:
		return nil, errEncoding
	}
	return p, nil
}

func (k *PublicKey) verify(message, signature []byte) bool {
	return k.point.Verify(message, signature)
}

func verifyBatch(checks []Check) bool {
	if len(checks) < 2 {
		return verifyEach(checks)
	}
	var batch soft.Batch
	for i := range checks {
		if c := &checks[i]; !batch.Add(c.Key.point, c.Message, c.Signature) {
			return false
		}
	}
	return batch.Verify()
}

func mulBase(out *[PublicKeySize]byte, s *scalar.Scalar) { soft.MulBase(out, s) }

func sha512(a, b, c []byte) [64]byte { return soft.SHA512(a, b, c) }
