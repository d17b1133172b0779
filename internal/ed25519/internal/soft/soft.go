// Package soft has the points of edwards25519, and SHA-512, for a machine that
// multiplies 64 by 64 bits to 64 and no wider: WebAssembly. In V8 it takes a
// third of the time of curve25519-voi, and it is smaller. Package ed25519 has
// the rule and the reasons.
//
// What takes a scalar to sign with, MulBase, does not branch on it and reads the
// same memory for each. What verifies does, and reads other memory.
package soft

import (
	"errors"
	"sync/atomic"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// These are the reasons for which a public key is refused.
var (
	ErrEncoding   = errors.New("soft: not the canonical encoding of a point")
	ErrSmallOrder = errors.New("soft: a point of small order")
)

// PublicKey verifies. Goroutines may share it once it is decoded.
type PublicKey struct {
	encoded  [32]byte
	negative point // -A
	tables   atomic.Pointer[[blocks]keyTable]
}

// Decode makes k the key.
func (k *PublicKey) Decode(encoded *[32]byte) error {
	var a point
	if !a.decode(encoded) {
		return ErrEncoding
	}
	if a.isSmallOrder() {
		return ErrSmallOrder
	}
	k.encoded = *encoded
	k.negative = a
	k.negative.x.negateIf(-1)
	k.negative.t.negateIf(-1)
	baseTables() // now rather than at the first verification
	return nil
}

// expanded returns the key's tables. They cost as much as two verifications, so
// that they wait for the first.
func (k *PublicKey) expanded() *[blocks]keyTable {
	tables := k.tables.Load()
	if tables == nil {
		tables = keyTables(&k.negative)
		k.tables.Store(tables) // at worst over the same of another goroutine
	}
	return tables
}

// Verify reports whether a signature is good.
func (k *PublicKey) Verify(message, signature []byte) bool {
	var q sum
	if !k.equation(&q, message, signature) {
		return false
	}
	var inverse element
	inverse.invert(&q.z)
	return q.matches((*[32]byte)(signature), &inverse)
}

// equation sets q to [S]B - [k]A. It is false for a signature of another size
// and for S ≥ L.
func (k *PublicKey) equation(q *sum, message, signature []byte) bool {
	if len(signature) != 64 || !scalar.ScMinimalVartime(signature[32:]) {
		return false
	}
	digest := SHA512(signature[:32], k.encoded[:], message)
	var reduced scalar.Scalar
	var encoded [32]byte
	_, _ = reduced.SetBytesModOrderWide(digest[:]) // refuses other sizes, no values
	_ = reduced.ToBytes(encoded[:])
	q.mulAdd(&encoded, k.expanded(), (*[32]byte)(signature[32:]))
	return true
}

// matches reports whether r is canonical and [8]R is [8]p, given 1/Z of p. It
// does not need p.t.
func (p *point) matches(r *[32]byte, inverse *element) bool {
	var encoded [32]byte
	if p.encode(&encoded, inverse); encoded == *r {
		return true
	}
	// A bad signature, or one with a component of small order.
	var other point
	if !other.decode(r) {
		return false
	}
	var negative cached
	negative.set(&other)
	s := sum{point: *p}
	s.t.mul(&s.x, &s.y)
	s.t.mul(&s.t, inverse)
	s.add(&negative, true, true)
	return s.isSmallOrder()
}

// Batch verifies signatures together, which share an inversion and nothing else.
// With tables for every key, an equation over all with random factors would win
// nothing for any size: it has to decode each R, and to multiply it.
type Batch struct {
	points     []point
	signatures [][]byte
}

// Add adds a signature, which it keeps. It is false for one that cannot be good.
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
		if !b.points[i].matches((*[32]byte)(b.signatures[i]), &inverses[i]) {
			return false
		}
	}
	return true
}
