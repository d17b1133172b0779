package soft

// point is a point of edwards25519 in extended coordinates (RFC 8032 section
// 5.1.4): x = X/Z, y = Y/Z, xy = T/Z. All coordinates are tight.
type point struct{ x, y, z, t element }

var (
	one       = element{1}
	curveD    = element{0x135978a3, 0x0f5a6e50, 0x10762add, 0x00149a82, 0x1e898007, 0x003cbbbc, 0x19ce331d, 0x1dc56dff, 0x52036c}
	twiceD    = element{0x06b2f159, 0x1eb4dca1, 0x00ec55ba, 0x00293505, 0x1d13000e, 0x00797779, 0x139c663a, 0x1b8adbff, 0x2406d9}
	rootMinus = element{0x0a0ea0b0, 0x0770d93a, 0x0bf91e31, 0x06300d5a, 0x1d7a72f4, 0x004c9efd, 0x1c2cad34, 0x1009f83b, 0x2b8324} // of -1

	base = point{
		x: element{0x0f25d51a, 0x0ab16b04, 0x0969ecb2, 0x198ec12a, 0x0dc5c692, 0x1118feeb, 0x0ffb0293, 0x1a79adca, 0x216936},
		y: element{0x06666658, 0x13333333, 0x19999999, 0x0ccccccc, 0x06666666, 0x13333333, 0x19999999, 0x0ccccccc, 0x666666},
		z: one,
		t: element{0x05b7dda3, 0x0ef4559d, 0x1454bd5b, 0x013f00ee, 0x1e37d20f, 0x07473255, 0x19959ba9, 0x01faf16e, 0x67875f},
	}
)

func (p *point) identity() { *p = point{y: one, z: one} }

// sum is a point to compute with. The room for what comes between is here
// because a local variable would have to be cleared each time.
type sum struct {
	point
	a, b, c, e, f, g, h element
}

// double doubles s (RFC 8032 section 5.1.4, with F, H and all coordinates
// negated, which keeps to mul's bounds). It leaves s.t undefined unless withT:
// neither double nor encode reads it.
func (s *sum) double(withT bool) {
	s.a.square(&s.x)
	s.b.square(&s.y)
	s.c.square(&s.z)
	s.e.add(&s.y, &s.y)
	s.e.mul(&s.e, &s.x)
	sumAndDifference(&s.h, &s.g, &s.b, &s.a)
	s.f.add(&s.c, &s.c)
	s.f.sub(&s.f, &s.g) // |F| < 3·2^29; E is tight, |G| < 2^29, |H| < 2^30
	s.x.mul(&s.f, &s.e)
	s.y.mul(&s.h, &s.g)
	s.z.mul(&s.f, &s.g)
	if withT {
		s.t.mul(&s.h, &s.e)
	}
}

// doubleN doubles s n > 0 times. It sets s.t.
func (s *sum) doubleN(n int) {
	for range n - 1 {
		s.double(false)
	}
	s.double(true)
}

// niels is what an addition wants of a point: (Y+X)/w, (Y-X)/w and 2dT/w for
// some w, all tight.
type niels struct{ plus, minus, td element }

// cached is a point as an addition wants it: w is 1, and z2 is 2Z.
type cached struct {
	niels
	z2 element
}

func (c *cached) set(p *point) {
	sumAndDifference(&c.plus, &c.minus, &p.y, &p.x)
	c.plus.tighten()
	c.minus.tighten()
	c.z2.add(&p.z, &p.z)
	c.z2.tighten()
	c.td.mul(&p.t, &twiceD)
}

// add adds q, or subtracts it.
func (s *sum) add(q *cached, negative, withT bool) {
	s.g.mul(&s.z, &q.z2)
	s.addNiels(&q.niels, &s.g, negative, withT)
}

// addNiels adds q, or subtracts it, where z is 2Z(s)Z(q)/w. It leaves s.t
// undefined unless withT.
//
// The point -q is q with Y+X and Y-X exchanged and T negated. With X(s)-Y(s)
// for Y(s)-X(s) throughout, that comes to the same as X and Y exchanged, in s
// and in the result. The formulas are those of RFC 8032 section 5.1.4; with
// this sign of A, each product has a sum for one factor and a difference, which
// is smaller, for the other.
func (s *sum) addNiels(q *niels, z *element, negative, withT bool) {
	x, y, plus, minus := &s.x, &s.y, &q.plus, &q.minus
	if negative {
		x, y, plus, minus = y, x, minus, plus
	}
	sumAndDifference(&s.b, &s.a, x, y)
	s.a.mul(&s.a, minus)
	s.b.mul(&s.b, plus)
	s.c.mul(&s.t, &q.td)
	sumAndDifference(&s.e, &s.h, &s.b, &s.a)
	sumAndDifference(&s.g, &s.f, z, &s.c)
	x.mul(&s.e, &s.f)
	y.mul(&s.g, &s.h)
	s.z.mul(&s.g, &s.f)
	if withT {
		s.t.mul(&s.e, &s.h)
	}
}

// packedNiels is a niels of w = 2Z in canonical form, so that z is Z(p). It is
// half the size, which a search in constant time has to read.
type packedNiels [3]packed

func (n *niels) unpack(p *packedNiels) {
	n.plus.unpack(&p[0])
	n.minus.unpack(&p[1])
	n.td.unpack(&p[2])
}

// isSmallOrder reports whether 8p is the identity.
func (p *point) isSmallOrder() bool {
	q := sum{point: *p}
	q.doubleN(3)
	q.y.sub(&q.y, &q.z)
	return q.x.isZero() && q.y.isZero()
}

// encode writes p as RFC 8032 section 5.1.2 has it, given 1/Z. Its time does
// not depend on p.
func (p *point) encode(out *[32]byte, inverse *element) {
	var x, y element
	var packX, packY packed
	x.mul(&p.x, inverse)
	y.mul(&p.y, inverse)
	x.pack(&packX)
	y.pack(&packY)
	packY[3] |= packX[0] << 63
	packY.bytes(out)
}

// decode reads a point as RFC 8032 section 5.1.3 has it, and so refuses y ≥ p
// and an x of 0 with a sign. Its time depends on the point.
func (p *point) decode(in *[32]byte) bool {
	var y packed
	y.setBytes(in)
	negative := y[3]>>63 == 1
	y[3] &= 1<<63 - 1
	if p.y.unpack(&y); !p.y.is(&y) {
		return false
	}
	var u, v element
	u.square(&p.y)
	v.mul(&u, &curveD)
	u.sub(&u, &one)
	v.add(&v, &one)
	var x packed
	if !p.x.root(&u, &v) {
		return false
	}
	p.x.pack(&x)
	if x == (packed{}) && negative {
		return false
	}
	if x[0]&1 == 1 != negative {
		var zero element
		p.x.sub(&zero, &p.x)
		p.x.pack(&x)
	}
	p.x.unpack(&x)
	p.z = one
	p.t.mul(&p.x, &p.y)
	return true
}

func (h *element) is(want *packed) bool {
	var p packed
	h.pack(&p)
	return p == *want
}

// root sets h to a root of u/v (RFC 8032 section 5.1.3 step 3), if there is one.
func (h *element) root(u, v *element) bool {
	var v3, r, check element
	v3.square(v)
	v3.mul(&v3, v)
	r.square(&v3)
	r.mul(&r, v)
	r.mul(u, &r) // u v^7
	r.pow58(&r)
	r.mul(&r, &v3)
	r.mul(u, &r) // u v^3 (u v^7)^((p-5)/8)
	check.square(&r)
	check.mul(v, &check) // ±u, or ±u times a root of -1
	*h = r
	var sum, difference element
	difference.sub(&check, u)
	if difference.isZero() {
		return true
	}
	h.mul(&r, &rootMinus)
	sum.add(&check, u)
	return sum.isZero()
}
