package soft

import "encoding/binary"

// element is a number modulo p = 2^255 - 19: the sum of limb i times 2^(29 i).
//
// A product is tight: its limbs are in [0, 2^29) and the last one in [0, 2^23),
// give or take 2^16. Sums and differences are not carried, so they are looser. mul
// takes two factors of |limb| ≤ 3·2^29 and |limb| ≤ 2^29, and square one of
// |limb| ≤ 2^29, so that no column is over 2^63.
//
// 9 limbs take 81 products and 10 more for what is over 2^255. 5 limbs of 51
// bits would take 25 of 128 bits, which is 100 of 64; 10 limbs of 25.5 bits
// take 110. Karatsuba's way has 64, and is no faster: there are too many sums.
type element [9]int64

const (
	limbBits = 29
	limbMask = 1<<limbBits - 1
	lastBits = 255 - 8*limbBits
	lastMask = 1<<lastBits - 1
	fold     = 19 << (9*limbBits - 255) // 2^261 modulo p
)

func (h *element) add(f, g *element) {
	h[0] = f[0] + g[0]
	h[1] = f[1] + g[1]
	h[2] = f[2] + g[2]
	h[3] = f[3] + g[3]
	h[4] = f[4] + g[4]
	h[5] = f[5] + g[5]
	h[6] = f[6] + g[6]
	h[7] = f[7] + g[7]
	h[8] = f[8] + g[8]
}

func (h *element) sub(f, g *element) {
	h[0] = f[0] - g[0]
	h[1] = f[1] - g[1]
	h[2] = f[2] - g[2]
	h[3] = f[3] - g[3]
	h[4] = f[4] - g[4]
	h[5] = f[5] - g[5]
	h[6] = f[6] - g[6]
	h[7] = f[7] - g[7]
	h[8] = f[8] - g[8]
}

// sumAndDifference sets s to f+g and d to f-g.
func sumAndDifference(s, d, f, g *element) {
	f0, f1, f2, f3, f4, f5, f6, f7, f8 := f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]
	g0, g1, g2, g3, g4, g5, g6, g7, g8 := g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8]
	s[0], d[0] = f0+g0, f0-g0
	s[1], d[1] = f1+g1, f1-g1
	s[2], d[2] = f2+g2, f2-g2
	s[3], d[3] = f3+g3, f3-g3
	s[4], d[4] = f4+g4, f4-g4
	s[5], d[5] = f5+g5, f5-g5
	s[6], d[6] = f6+g6, f6-g6
	s[7], d[7] = f7+g7, f7-g7
	s[8], d[8] = f8+g8, f8-g8
}

// tighten makes a sum or difference of a few tight elements tight.
func (h *element) tighten() {
	h0 := h[0]
	h1 := h[1] + h0>>29
	h2 := h[2] + h1>>29
	h3 := h[3] + h2>>29
	h4 := h[4] + h3>>29
	h5 := h[5] + h4>>29
	h6 := h[6] + h5>>29
	h7 := h[7] + h6>>29
	h8 := h[8] + h7>>29
	h[0] = h0&limbMask + 19*(h8>>lastBits)
	h[1] = h1 & limbMask
	h[2] = h2 & limbMask
	h[3] = h3 & limbMask
	h[4] = h4 & limbMask
	h[5] = h5 & limbMask
	h[6] = h6 & limbMask
	h[7] = h7 & limbMask
	h[8] = h8 & lastMask
}

// negateIf negates h if sign is -1, and does nothing if it is 0.
func (h *element) negateIf(sign int64) {
	h[0] = (h[0] ^ sign) - sign
	h[1] = (h[1] ^ sign) - sign
	h[2] = (h[2] ^ sign) - sign
	h[3] = (h[3] ^ sign) - sign
	h[4] = (h[4] ^ sign) - sign
	h[5] = (h[5] ^ sign) - sign
	h[6] = (h[6] ^ sign) - sign
	h[7] = (h[7] ^ sign) - sign
	h[8] = (h[8] ^ sign) - sign
}

func (h *element) mul(f, g *element) {
	f0, f1, f2, f3, f4, f5, f6, f7, f8 := f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]
	g0, g1, g2, g3, g4, g5, g6, g7, g8 := g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8]
	h9 := f1*g8 + f2*g7 + f3*g6 + f4*g5 + f5*g4 + f6*g3 + f7*g2 + f8*g1
	h10 := f2*g8 + f3*g7 + f4*g6 + f5*g5 + f6*g4 + f7*g3 + f8*g2 + h9>>29
	h11 := f3*g8 + f4*g7 + f5*g6 + f6*g5 + f7*g4 + f8*g3 + h10>>29
	h12 := f4*g8 + f5*g7 + f6*g6 + f7*g5 + f8*g4 + h11>>29
	h13 := f5*g8 + f6*g7 + f7*g6 + f8*g5 + h12>>29
	h14 := f6*g8 + f7*g7 + f8*g6 + h13>>29
	h15 := f7*g8 + f8*g7 + h14>>29
	h16 := f8*g8 + h15>>29
	h0 := f0*g0 + fold*(h9&limbMask)
	h1 := f0*g1 + f1*g0 + fold*(h10&limbMask) + h0>>29
	h2 := f0*g2 + f1*g1 + f2*g0 + fold*(h11&limbMask) + h1>>29
	h3 := f0*g3 + f1*g2 + f2*g1 + f3*g0 + fold*(h12&limbMask) + h2>>29
	h4 := f0*g4 + f1*g3 + f2*g2 + f3*g1 + f4*g0 + fold*(h13&limbMask) + h3>>29
	h5 := f0*g5 + f1*g4 + f2*g3 + f3*g2 + f4*g1 + f5*g0 + fold*(h14&limbMask) + h4>>29
	h6 := f0*g6 + f1*g5 + f2*g4 + f3*g3 + f4*g2 + f5*g1 + f6*g0 + fold*(h15&limbMask) + h5>>29
	h7 := f0*g7 + f1*g6 + f2*g5 + f3*g4 + f4*g3 + f5*g2 + f6*g1 + f7*g0 + fold*(h16&limbMask) + h6>>29
	h8 := f0*g8 + f1*g7 + f2*g6 + f3*g5 + f4*g4 + f5*g3 + f6*g2 + f7*g1 + f8*g0 + fold*(h16>>29) + h7>>29
	t := h0&limbMask + 19*(h8>>lastBits)
	h[0] = t & limbMask
	h[1] = h1&limbMask + t>>29
	h[2] = h2 & limbMask
	h[3] = h3 & limbMask
	h[4] = h4 & limbMask
	h[5] = h5 & limbMask
	h[6] = h6 & limbMask
	h[7] = h7 & limbMask
	h[8] = h8 & lastMask
}

func (h *element) square(f *element) {
	f0, f1, f2, f3, f4, f5, f6, f7, f8 := f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]
	h9 := 2 * (f1*f8 + f2*f7 + f3*f6 + f4*f5)
	h10 := 2*(f2*f8+f3*f7+f4*f6) + f5*f5 + h9>>29
	h11 := 2*(f3*f8+f4*f7+f5*f6) + h10>>29
	h12 := 2*(f4*f8+f5*f7) + f6*f6 + h11>>29
	h13 := 2*(f5*f8+f6*f7) + h12>>29
	h14 := 2*(f6*f8) + f7*f7 + h13>>29
	h15 := 2*(f7*f8) + h14>>29
	h16 := f8*f8 + h15>>29
	h0 := f0*f0 + fold*(h9&limbMask)
	h1 := 2*(f0*f1) + fold*(h10&limbMask) + h0>>29
	h2 := 2*(f0*f2) + f1*f1 + fold*(h11&limbMask) + h1>>29
	h3 := 2*(f0*f3+f1*f2) + fold*(h12&limbMask) + h2>>29
	h4 := 2*(f0*f4+f1*f3) + f2*f2 + fold*(h13&limbMask) + h3>>29
	h5 := 2*(f0*f5+f1*f4+f2*f3) + fold*(h14&limbMask) + h4>>29
	h6 := 2*(f0*f6+f1*f5+f2*f4) + f3*f3 + fold*(h15&limbMask) + h5>>29
	h7 := 2*(f0*f7+f1*f6+f2*f5+f3*f4) + fold*(h16&limbMask) + h6>>29
	h8 := 2*(f0*f8+f1*f7+f2*f6+f3*f5) + f4*f4 + fold*(h16>>29) + h7>>29
	t := h0&limbMask + 19*(h8>>lastBits)
	h[0] = t & limbMask
	h[1] = h1&limbMask + t>>29
	h[2] = h2 & limbMask
	h[3] = h3 & limbMask
	h[4] = h4 & limbMask
	h[5] = h5 & limbMask
	h[6] = h6 & limbMask
	h[7] = h7 & limbMask
	h[8] = h8 & lastMask
}

// squareN squares n > 0 times.
func (h *element) squareN(f *element, n int) {
	h.square(f)
	for range n - 1 {
		h.square(h)
	}
}

// pow22501 sets h to z^(2^250 - 1).
func (h *element) pow22501(z *element) {
	var t0, t1, t2 element
	t0.square(z)        // 2
	t1.squareN(&t0, 2)  // 8
	t1.mul(&t1, z)      // 9
	t0.mul(&t0, &t1)    // 11
	t0.square(&t0)      // 22
	t0.mul(&t0, &t1)    // 2^5 - 1
	t1.squareN(&t0, 5)  //
	t0.mul(&t1, &t0)    // 2^10 - 1
	t1.squareN(&t0, 10) //
	t1.mul(&t1, &t0)    // 2^20 - 1
	t2.squareN(&t1, 20) //
	t1.mul(&t2, &t1)    // 2^40 - 1
	t1.squareN(&t1, 10) //
	t0.mul(&t1, &t0)    // 2^50 - 1
	t1.squareN(&t0, 50) //
	t1.mul(&t1, &t0)    // 2^100 - 1
	t2.squareN(&t1, 100)
	t1.mul(&t2, &t1) // 2^200 - 1
	t1.squareN(&t1, 50)
	h.mul(&t1, &t0)
}

// pow58 sets h to z^((p-5)/8).
func (h *element) pow58(z *element) {
	var t element
	t.pow22501(z)
	t.squareN(&t, 2)
	h.mul(&t, z) // 2^252 - 3
}

// packed is an element in canonical form: little endian, less than p.
type packed [4]uint64

// carry leaves what is over 29 bits, or negative, in the last limb alone.
func (h *element) carry() {
	for i := range 8 {
		h[i+1] += h[i] >> limbBits
		h[i] &= limbMask
	}
}

// wrap carries from the last limb to the first.
func (h *element) wrap() {
	h[0] += 19 * (h[8] >> lastBits)
	h[8] &= lastMask
}

// pack reduces a tight element, or a sum or difference of a few. Its time does
// not depend on the value.
func (h *element) pack(r *packed) {
	t := *h
	t.carry()
	t.wrap() // now less than 2^32 from [0, 2^255) …
	t.carry()
	t.wrap() // … and now within
	over := int64(19)
	for _, limb := range t[:8] {
		over = (limb + over) >> limbBits
	}
	t[0] += 19 * ((t[8] + over) >> lastBits) // subtracts p by dropping bit 255
	t.carry()
	t[8] &= lastMask
	a, b, c, d, e, f, g, i, j := uint64(t[0]), uint64(t[1]), uint64(t[2]), uint64(t[3]), uint64(t[4]), uint64(t[5]), uint64(t[6]), uint64(t[7]), uint64(t[8]) //nolint:gosec // not negative
	r[0] = a | b<<29 | c<<58
	r[1] = c>>6 | d<<23 | e<<52
	r[2] = e>>12 | f<<17 | g<<46
	r[3] = g>>18 | i<<11 | j<<40
}

// unpack ignores bit 255.
func (h *element) unpack(r *packed) {
	a, b, c, d := r[0], r[1], r[2], r[3]
	h[0] = int64(a & limbMask)
	h[1] = int64(a >> 29 & limbMask)
	h[2] = int64((a>>58 | b<<6) & limbMask)
	h[3] = int64(b >> 23 & limbMask)
	h[4] = int64((b>>52 | c<<12) & limbMask)
	h[5] = int64(c >> 17 & limbMask)
	h[6] = int64((c>>46 | d<<18) & limbMask)
	h[7] = int64(d >> 11 & limbMask)
	h[8] = int64(d >> 40 & lastMask)
}

func (r *packed) bytes(out *[32]byte) {
	for i, word := range r {
		binary.LittleEndian.PutUint64(out[8*i:], word)
	}
}

func (r *packed) setBytes(in *[32]byte) {
	for i := range r {
		r[i] = binary.LittleEndian.Uint64(in[8*i:])
	}
}

func (h *element) isZero() bool {
	var r packed
	h.pack(&r)
	return r == packed{}
}
