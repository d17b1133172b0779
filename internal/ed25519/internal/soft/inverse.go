package soft

// Inversion is by the division steps of Bernstein and Yang, "Fast constant-time
// gcd computation and modular inversion", 2019, https://gcd.cr.yp.to/papers.html.
// A step takes an odd f and a g to
//
//	g, (g-f)/2  if g is odd and delta > 0, and delta to 1-delta,
//	f, (g+f)/2  if g is odd, and
//	f, g/2      if it is even, and delta to 1+delta in both cases.
//
// In the end g is 0, and f is 1 or -1. The low n bits of f and g say what n steps
// will do, which is a matrix over 2^n. Times the same matrices modulo p, 0 and 1
// stay f/z and g/z.
//
// From f = p, g in [0, p) and delta = 1/2, 588 steps are enough: n steps are for
// all f up to 2^b when 9437 b + 1 ≤ 4096 n, which HOL Light proves in
// Divstep/divstep_bounds.ml. This takes 19·31 = 589, whatever z is.
const (
	stepBits    = 31
	stepMask    = 1<<stepBits - 1
	stepBatches = 19

	inverse19 = 0x286bca1b // modulo 2^31
)

// wide is a number: the sum of limb i times 2^(31 i). The limbs are in [0, 2^31),
// but for the last one, which has the sign.
type wide [9]int64

// invert sets h to 1/z, and to 0 when z is 0. z may be a sum or difference of a
// few tight elements; h is tight. Neither the time nor what is read depends on z.
func (h *element) invert(z *element) {
	f := wide{-19, 0, 0, 0, 0, 0, 0, 0, 1 << (255 - 8*stepBits)}
	e := wide{1}
	var g, d wide
	g.set(z)
	var m transition
	zeta := int64(-1)
	for range stepBatches {
		zeta = m.find(zeta, f[0], g[0])
		m.apply(&f, &g)
		m.applyModulo(&d, &e)
	}
	for i, limb := range d {
		h[i] = limb << (i * (stepBits - limbBits))
	}
	h.negateIf(f[8] >> 63)
	h.tighten()
}

// set gives z its least value that isn't negative: the steps are enough for
// that one.
func (w *wide) set(z *element) {
	var r packed
	z.pack(&r)
	a, b, c, d := r[0], r[1], r[2], r[3]
	w[0] = int64(a & stepMask)
	w[1] = int64(a >> 31 & stepMask)
	w[2] = int64((a>>62 | b<<2) & stepMask)
	w[3] = int64(b >> 29 & stepMask)
	w[4] = int64((b>>60 | c<<4) & stepMask)
	w[5] = int64(c >> 27 & stepMask)
	w[6] = int64((c>>58 | d<<6) & stepMask)
	w[7] = int64(d >> 25 & stepMask)
	w[8] = int64(d >> 56)
}

// transition is what 31 steps do: f becomes (u f + v g)/2^31, and g becomes
// (q f + r g)/2^31. |u|+|v| and |q|+|r| are 2^31 at most.
type transition struct {
	u, v, q, r int64
}

// find sets m to the steps for numbers with the low limbs f and g. zeta is
// -1/2 - delta; it returns the next one. With 15 or 16 steps at a time, divstep
// has everything in two words.
func (m *transition) find(zeta, f, g int64) int64 {
	zeta, x, y := divsteps(zeta, f&(1<<16-1), g&(1<<16-1), 16)
	u, v, q, r := rowU(x), rowV(x), rowU(y), rowV(y)
	f, g = (u*f+v*g)>>16, (q*f+r*g)>>16
	zeta, x, y = divsteps(zeta, f&(1<<15-1), g&(1<<15-1), 15)
	a, b, c, d := rowU(x), rowV(x), rowU(y), rowV(y)
	m.u, m.v = a*u+b*q, a*v+b*r
	m.q, m.r = c*u+d*q, c*v+d*r
	return zeta
}

// A row is f + 2^17 u + 2^35 v, or the same of g, q and r. After n ≤ 16 steps
// |f| < 2^16, and |u| and |v| are 2^n at most; before, they are 2^n times what
// they are of, so that every halving is exact.
const (
	uShift = 17
	vShift = 35
)

func rowU(row int64) int64 {
	return (row + 1<<(uShift-1)) << (64 - vShift) >> (64 - vShift + uShift)
}

func rowV(row int64) int64 { return (row + 1<<(vShift-1)) >> vShift }

// divsteps takes n ≤ 16 steps from the low n bits of f and g.
func divsteps(zeta, f, g int64, n int) (nextZeta, rowF, rowG int64) {
	f += 1 << (uShift + n)
	g += 1 << (vShift + n)
	for range n {
		zeta, f, g = divstep(zeta, f, g)
	}
	return zeta, f, g
}

// divstep has masks where the definition has conditions: f and g may be secret.
func divstep(zeta, f, g int64) (nextZeta, nextF, nextG int64) {
	positive := zeta >> 63 // delta is
	odd := -(g & 1)
	swap := odd & positive
	g += ((f ^ positive) - positive) & odd
	return (zeta ^ swap) - 1, f + g&swap, g >> 1
}

// apply takes the steps. |f| and |g| don't grow.
func (m *transition) apply(f, g *wide) {
	u, v, q, r := m.u, m.v, m.q, m.r
	x, y := u*f[0]+v*g[0], q*f[0]+r*g[0]
	x, y = x>>31+u*f[1]+v*g[1], y>>31+q*f[1]+r*g[1]
	f[0], g[0] = x&stepMask, y&stepMask
	x, y = x>>31+u*f[2]+v*g[2], y>>31+q*f[2]+r*g[2]
	f[1], g[1] = x&stepMask, y&stepMask
	x, y = x>>31+u*f[3]+v*g[3], y>>31+q*f[3]+r*g[3]
	f[2], g[2] = x&stepMask, y&stepMask
	x, y = x>>31+u*f[4]+v*g[4], y>>31+q*f[4]+r*g[4]
	f[3], g[3] = x&stepMask, y&stepMask
	x, y = x>>31+u*f[5]+v*g[5], y>>31+q*f[5]+r*g[5]
	f[4], g[4] = x&stepMask, y&stepMask
	x, y = x>>31+u*f[6]+v*g[6], y>>31+q*f[6]+r*g[6]
	f[5], g[5] = x&stepMask, y&stepMask
	x, y = x>>31+u*f[7]+v*g[7], y>>31+q*f[7]+r*g[7]
	f[6], g[6] = x&stepMask, y&stepMask
	x, y = x>>31+u*f[8]+v*g[8], y>>31+q*f[8]+r*g[8]
	f[7], g[7] = x&stepMask, y&stepMask
	f[8], g[8] = x>>31, y>>31
}

// applyModulo takes the steps modulo p: it adds the multiple of p, between
// -2^30 p and 2^30 p, that makes the low limb 0 before the division. So |d| and
// |e| grow by p/2 at most each time, to less than 11 p. Nothing is over 2^63.
func (m *transition) applyModulo(d, e *wide) {
	u, v, q, r := m.u, m.v, m.q, m.r
	x, y := u*d[0]+v*e[0], q*d[0]+r*e[0]
	k, l := over19(x), over19(y)
	x, y = (x-19*k)>>31+u*d[1]+v*e[1], (y-19*l)>>31+q*d[1]+r*e[1]
	d[0], e[0] = x&stepMask, y&stepMask
	x, y = x>>31+u*d[2]+v*e[2], y>>31+q*d[2]+r*e[2]
	d[1], e[1] = x&stepMask, y&stepMask
	x, y = x>>31+u*d[3]+v*e[3], y>>31+q*d[3]+r*e[3]
	d[2], e[2] = x&stepMask, y&stepMask
	x, y = x>>31+u*d[4]+v*e[4], y>>31+q*d[4]+r*e[4]
	d[3], e[3] = x&stepMask, y&stepMask
	x, y = x>>31+u*d[5]+v*e[5], y>>31+q*d[5]+r*e[5]
	d[4], e[4] = x&stepMask, y&stepMask
	x, y = x>>31+u*d[6]+v*e[6], y>>31+q*d[6]+r*e[6]
	d[5], e[5] = x&stepMask, y&stepMask
	x, y = x>>31+u*d[7]+v*e[7], y>>31+q*d[7]+r*e[7]
	d[6], e[6] = x&stepMask, y&stepMask
	x, y = x>>31+u*d[8]+v*e[8], y>>31+q*d[8]+r*e[8]
	x, y = x+k<<(255-8*stepBits), y+l<<(255-8*stepBits)
	d[7], e[7] = x&stepMask, y&stepMask
	d[8], e[8] = x>>31, y>>31
}

// over19 returns x/19 modulo 2^31, in [-2^30, 2^30).
func over19(x int64) int64 {
	return x * inverse19 << (64 - stepBits) >> (64 - stepBits)
}
