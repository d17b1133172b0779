// Package soft has the points of edwards25519, and SHA-512, for a machine that
// multiplies 64 by 64 bits to 64 and no wider: WebAssembly. Package ed25519
// has the rule.
package soft

import (
	"errors"
	"sync/atomic"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// These are the reasons for which a public key is refused.
var (
	ErrEncoding   = errors.New("ed25519: not the canonical encoding of a point")
	ErrSmallOrder = errors.New("ed25519: the point is of small order")
)

// PublicKey verifies. Several goroutines may share it.
type PublicKey struct {
	encoded  [32]byte
	negative point // -A
	tables   atomic.Pointer[[blocks]keyTable]
}

// Decode sets a new key.
func (k *PublicKey) Decode(encoded *[32]byte) error {
	var a point
	if !a.decode(encoded) {
		return ErrEncoding
	}
	if a.isSmallOrder() {
		return ErrSmallOrder
	}
	k.encoded = *encoded
	var zero element
	k.negative = a
	k.negative.x.sub(&zero, &a.x)
	k.negative.t.sub(&zero, &a.t)
	return nil
}

// equation sets q to [S]B - [k]A. It is false for a malformed signature.
func (k *PublicKey) equation(q *sum, message, signature []byte) bool {
	if len(signature) != 64 || !scalar.ScMinimalVartime(signature[32:]) {
		return false
	}
	digest := SHA512(signature[:32], k.encoded[:], message)
	var scalarK scalar.Scalar
	var h [32]byte
	_, _ = scalarK.SetBytesModOrderWide(digest[:]) // refuses other sizes, no values
	_ = scalarK.ToBytes(h[:])
	q.mulAdd(&h, k.expanded(), (*[32]byte)(signature[32:]))
	return true
}

// expanded returns the tables. They cost as much as a verification and a half,
// so they wait for the first one.
func (k *PublicKey) expanded() *[blocks]keyTable {
	tables := k.tables.Load()
	if tables == nil {
		tables = keyTables(&k.negative)
		k.tables.Store(tables) // the same as what another goroutine may have stored
	}
	return tables
}

// Verify reports whether the signature is good.
func (k *PublicKey) Verify(message, signature []byte) bool {
	var q sum
	if !k.equation(&q, message, signature) {
		return false
	}
	var inverse element
	inverse.invert(&q.z)
	return q.equals((*[32]byte)(signature), &inverse)
}

// equals reports whether [8]p is [8]R, given 1/Z of p.
func (p *point) equals(r *[32]byte, inverse *element) bool {
	var encoded [32]byte
	if p.encode(&encoded, inverse); encoded == *r {
		return true
	}
	// What is left is a bad signature, or one with a component of small order.
	var other point
	if !other.decode(r) {
		return false
	}
	var step cached
	step.set(&other)
	sum := sum{point: *p}
	sum.t.mul(&p.x, &p.y)
	sum.t.mul(&sum.t, inverse)
	sum.add(&step, true, true)
	return sum.isSmallOrder()
}

// Batch verifies several signatures. Their keys are expanded and their messages
// hashed one by one; an inversion is all that they share. That leaves nothing
// for a batch equation with random factors to win.
type Batch struct {
	points     []point
	signatures [][]byte
}

// Add adds a signature. It is false where that is malformed.
func (b *Batch) Add(k *PublicKey, message, signature []byte) bool {
	var q sum
	if !k.equation(&q, message, signature) {
		return false
	}
	b.points = append(b.points, q.point)
	b.signatures = append(b.signatures, signature)
	return true
}

// Verify reports whether every signature that was added is good.
func (b *Batch) Verify() bool {
	inverses := make([]element, len(b.points))
	for i := range inverses {
		inverses[i] = b.points[i].z
	}
	invertAll(inverses)
	for i := range inverses {
		if !b.points[i].equals((*[32]byte)(b.signatures[i]), &inverses[i]) {
			return false
		}
	}
	return true
}

// MulBase encodes s times the base point. Its time does not depend on s.
func MulBase(out *[32]byte, s *scalar.Scalar) {
	digits := s.ToRadix16()
	var p sum
	p.mulBase(&digits)
	var inverse element
	inverse.invert(&p.z)
	p.encode(out, &inverse)
}

// SHA512 returns the hash of a, b and c one after the other.
func SHA512(a, b, c []byte) (digest [64]byte) {
	var s sha512State
	s.reset()
	s.write(a)
	s.write(b)
	s.write(c)
	s.sum(&digest)
	return digest
}
