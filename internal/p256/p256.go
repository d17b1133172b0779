// Package p256 makes the public key of a P-256 private key (FIPS 186-5, SEC 2
// section 2.4.2). A guest needs nothing else of the curve: its host signs and
// verifies. crypto/ecdh would make a guest larger by a tenth.
package p256

import "errors"

// ScalarSize is the size of a private key in bytes.
const ScalarSize = 32

// ErrScalar is returned for a private key that is 0, not below the order, or
// not of 32 bytes.
var ErrScalar = errors.New("p256: not a private key")

// order is the order of the group, least significant word first.
var order = element{0xfc632551, 0xf3b9cac2, 0xa7179e84, 0xbce6faad, 0xffffffff, 0xffffffff, 0x00000000, 0xffffffff}

// PublicKey returns the coordinates of d·G, 32 bytes each, big-endian. Neither
// its time nor what it reads depends on d.
func PublicKey(d []byte) (x, y []byte, err error) {
	if len(d) != ScalarSize {
		return nil, nil, ErrScalar
	}
	var k element
	k.setBytes(d)
	if k.isZero() || !k.below(&order) {
		return nil, nil, ErrScalar
	}
	sum, base := point{y: one}, generator
	for i := 255; i >= 0; i-- {
		var next point
		sum.add(&sum, &sum)
		next.add(&sum, &base)
		sum.choose(&next, k[i/32]>>(i%32)&1)
	}
	return sum.affine()
}

// point is a point in projective coordinates: x = X/Z, y = Y/Z. (0 : 1 : 0) is
// the identity. Coordinates are in Montgomery form.
type point struct{ x, y, z element }

var generator = point{
	x: montgomery("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
	y: montgomery("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
	z: one,
}

var curveB = montgomery("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")

// choose sets p to q where bit is 1, and leaves it where bit is 0.
func (p *point) choose(q *point, bit uint32) {
	p.x.choose(&q.x, bit)
	p.y.choose(&q.y, bit)
	p.z.choose(&q.z, bit)
}

func (p *point) affine() (x, y []byte, err error) {
	var inverse, ax, ay element
	inverse.invert(&p.z)
	ax.mul(&p.x, &inverse)
	ay.mul(&p.y, &inverse)
	return ax.bytes(), ay.bytes(), nil
}

// add sets p to a + b by the complete formula for curves with a = -3, which
// holds for every pair of points (Renes, Costello and Batina 2016, algorithm 4).
func (p *point) add(a, b *point) {
	var t0, t1, t2, t3, t4, x3, y3, z3 element
	t0.mul(&a.x, &b.x)
	t1.mul(&a.y, &b.y)
	t2.mul(&a.z, &b.z)
	t3.mulSums(&a.x, &a.y, &b.x, &b.y)
	t3.sub(&t3, &t0)
	t3.sub(&t3, &t1)
	t4.mulSums(&a.y, &a.z, &b.y, &b.z)
	t4.sub(&t4, &t1)
	t4.sub(&t4, &t2)
	y3.mulSums(&a.x, &a.z, &b.x, &b.z)
	y3.sub(&y3, &t0)
	y3.sub(&y3, &t2)
	z3.mul(&curveB, &t2)
	x3.sub(&y3, &z3)
	x3.triple(&x3)
	z3.sub(&t1, &x3)
	x3.add(&t1, &x3)
	y3.mul(&curveB, &y3)
	t2.triple(&t2)
	y3.sub(&y3, &t2)
	y3.sub(&y3, &t0)
	y3.triple(&y3)
	t0.triple(&t0)
	t0.sub(&t0, &t2)
	t1.mul(&t4, &y3)
	t2.mul(&t0, &y3)
	y3.mul(&x3, &z3)
	y3.add(&y3, &t2)
	x3.mul(&t3, &x3)
	x3.sub(&x3, &t1)
	z3.mul(&t4, &z3)
	t1.mul(&t3, &t0)
	z3.add(&z3, &t1)
	p.x, p.y, p.z = x3, y3, z3
}
