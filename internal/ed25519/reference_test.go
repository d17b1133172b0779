package ed25519_test

import (
	"crypto/sha512"
	"encoding/hex"
	"math/big"
	"slices"
)

// This is the rule of the package's documentation over math/big, as it is
// defined and not as anything fast would have it.

var (
	one    = big.NewInt(1)
	prime  = minus(power(2, 255), big.NewInt(19))
	order  = plus(power(2, 252), decimal("27742317777372353535851937790883648493"))
	curveD = quotient(big.NewInt(-121665), big.NewInt(121666))

	basePoint = refDecode(littleEndian(quotient(big.NewInt(4), big.NewInt(5))))

	// torsion are the multiples of a point of order 8.
	torsion = func() (points [8]*refPoint) {
		generator := refDecode(unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
		points[0] = &refPoint{new(big.Int), one}
		for i := range points[1:] {
			points[i+1] = points[i].add(generator)
		}
		return points
	}()
)

func plus(a, b *big.Int) *big.Int  { return new(big.Int).Add(a, b) }
func minus(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
func times(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
func modP(a *big.Int) *big.Int     { return new(big.Int).Mod(a, prime) }
func modL(a *big.Int) *big.Int     { return new(big.Int).Mod(a, order) }
func power(a, n int64) *big.Int    { return new(big.Int).Exp(big.NewInt(a), big.NewInt(n), nil) }

func quotient(a, b *big.Int) *big.Int {
	return modP(times(a, new(big.Int).ModInverse(modP(b), prime)))
}

func decimal(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic(s)
	}
	return n
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// littleEndian returns 32 bytes.
func littleEndian(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

func integer(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

type refPoint struct{ x, y *big.Int }

// refDecode is RFC 8032 section 5.1.3, or nil.
func refDecode(encoded []byte) *refPoint {
	n := integer(encoded)
	sign := n.Bit(255)
	y := n.SetBit(n, 255, 0)
	if y.Cmp(prime) >= 0 {
		return nil
	}
	yy := times(y, y)
	xx := quotient(minus(yy, one), plus(times(curveD, yy), one))
	x := new(big.Int).ModSqrt(xx, prime)
	if x == nil || x.Sign() == 0 && sign == 1 {
		return nil
	}
	if x.Bit(0) != sign {
		x = minus(prime, x)
	}
	return &refPoint{x, y}
}

// encode is section 5.1.2.
func (p *refPoint) encode() []byte {
	return littleEndian(new(big.Int).SetBit(p.y, 255, p.x.Bit(0)))
}

// add is the affine law of section 5.1, which holds for all points.
func (p *refPoint) add(q *refPoint) *refPoint {
	return p.projective().add(q.projective()).affine()
}

func (p *refPoint) negative() *refPoint { return &refPoint{modP(new(big.Int).Neg(p.x)), p.y} }

func (p *refPoint) mul(n *big.Int) *refPoint {
	sum := identity()
	q := p.projective()
	for i := n.BitLen() - 1; i >= 0; i-- {
		if sum = sum.add(sum); n.Bit(i) == 1 {
			sum = sum.add(q)
		}
	}
	return sum.affine()
}

func (p *refPoint) isIdentity() bool { return p.x.Sign() == 0 && p.y.Cmp(one) == 0 }

func (p *refPoint) isSmallOrder() bool { return p.mul(big.NewInt(8)).isIdentity() }

// refProjective puts off the law's divisions.
type refProjective struct{ x, y, z *big.Int }

func identity() *refProjective { return &refProjective{new(big.Int), one, one} }

func (p *refPoint) projective() *refProjective { return &refProjective{p.x, p.y, one} }

func (p *refProjective) affine() *refPoint {
	return &refPoint{quotient(p.x, p.z), quotient(p.y, p.z)}
}

// add is x = (x1 y2 + x2 y1) / (1 + d x1 x2 y1 y2),
// y = (y1 y2 + x1 x2) / (1 - d x1 x2 y1 y2), with all over z1 z2.
func (p *refProjective) add(q *refProjective) *refProjective {
	z := modP(times(p.z, q.z))
	zz := times(z, z)
	xx, yy := modP(times(p.x, q.x)), modP(times(p.y, q.y))
	xy := plus(times(p.x, q.y), times(p.y, q.x))
	d := times(curveD, modP(times(xx, yy)))
	upper, lower := modP(plus(zz, d)), modP(minus(zz, d))
	return &refProjective{
		modP(times(modP(times(z, xy)), lower)),
		modP(times(modP(times(z, plus(yy, xx))), upper)),
		modP(times(upper, lower)),
	}
}

// refKey reports whether a public key is good.
func refKey(encoded []byte) bool {
	if len(encoded) != 32 {
		return false
	}
	a := refDecode(encoded)
	return a != nil && !a.isSmallOrder()
}

// refVerify reports whether a signature is good.
func refVerify(key, message, signature []byte) bool {
	if !refKey(key) || len(signature) != 64 {
		return false
	}
	r, s := refDecode(signature[:32]), integer(signature[32:])
	if r == nil || s.Cmp(order) >= 0 {
		return false
	}
	right := r.add(refDecode(key).mul(refHash(signature[:32], key, message)))
	return basePoint.mul(s).add(right.negative()).isSmallOrder()
}

// refHash is not reduced: the definition does not do it.
func refHash(parts ...[]byte) *big.Int {
	digest := sha512.Sum512(slices.Concat(parts...))
	return integer(digest[:])
}
