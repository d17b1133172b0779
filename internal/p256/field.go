package p256

// element is a number below p = 2^256 - 2^224 + 2^192 + 2^96 - 1, in words of 32
// bits, the least significant first. WebAssembly multiplies 32 by 32 bits to
// 64, and nothing wider.
type element [8]uint32

var (
	prime = element{0xffffffff, 0xffffffff, 0xffffffff, 0, 0, 0, 1, 0xffffffff}
	one   = element{1, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0xfffffffe, 0} // 2^256 modulo p
	// square2 is 2^512 modulo p, which brings a number into Montgomery form.
	square2 = element{3, 0, 0xffffffff, 0xfffffffb, 0xfffffffe, 0xffffffff, 0xfffffffd, 4}
)

// montgomery reads hexadecimal text of 64 digits.
func montgomery(digits string) (h element) {
	for i := range len(digits) {
		c := uint32(digits[i]) - '0'
		if c > 9 {
			c -= 'a' - '0' - 10
		}
		h[7-i/8] = h[7-i/8]<<4 | c
	}
	h.mul(&h, &square2)
	return h
}

func (h *element) setBytes(b []byte) {
	for i := range h {
		w := b[28-4*i:]
		h[i] = uint32(w[0])<<24 | uint32(w[1])<<16 | uint32(w[2])<<8 | uint32(w[3])
	}
}

// bytes leaves Montgomery form.
func (h *element) bytes() []byte {
	var plain element
	plain.mul(h, &element{1})
	b := make([]byte, 32)
	for i, w := range plain {
		b[28-4*i], b[29-4*i], b[30-4*i], b[31-4*i] = byte(w>>24), byte(w>>16), byte(w>>8), byte(w) //nolint:gosec // byte by byte
	}
	return b
}

func (h *element) isZero() bool {
	var bits uint32
	for _, w := range h {
		bits |= w
	}
	return bits == 0
}

// below reports whether h is less than limit.
func (h *element) below(limit *element) bool {
	var difference element
	return difference.subtract(h, limit) == 1
}

// subtract sets h to a - b and returns the borrow.
func (h *element) subtract(a, b *element) (borrow uint32) {
	for i := range h {
		d := uint64(a[i]) - uint64(b[i]) - uint64(borrow)
		h[i], borrow = uint32(d), uint32(d>>63) //nolint:gosec // the low word
	}
	return borrow
}

// choose sets h to f where bit is 1.
func (h *element) choose(f *element, bit uint32) {
	mask := -bit
	for i := range h {
		h[i] ^= (h[i] ^ f[i]) & mask
	}
}

// reduce takes away p once where carry or h itself is over it.
func (h *element) reduce(carry uint32) {
	var less element
	borrow := less.subtract(h, &prime)
	h.choose(&less, carry|(1-borrow))
}

func (h *element) add(f, g *element) {
	var carry uint64
	for i := range h {
		carry += uint64(f[i]) + uint64(g[i])
		h[i] = uint32(carry) //nolint:gosec // the low word
		carry >>= 32
	}
	h.reduce(uint32(carry))
}

func (h *element) sub(f, g *element) {
	mask := -uint64(h.subtract(f, g))
	var carry uint64
	for i := range h {
		carry += uint64(h[i]) + uint64(prime[i])&mask
		h[i] = uint32(carry) //nolint:gosec // the low word
		carry >>= 32
	}
}

func (h *element) triple(f *element) {
	var twice element
	twice.add(f, f)
	h.add(&twice, f)
}

// mulSums sets h to (a+b)·(c+d).
func (h *element) mulSums(a, b, c, d *element) {
	var left, right element
	left.add(a, b)
	right.add(c, d)
	h.mul(&left, &right)
}

// mul sets h to f·g/2^256 modulo p (Montgomery 1985). -1/p modulo 2^32 is 1, so
// that each round's factor is its lowest word.
func (h *element) mul(f, g *element) {
	var t [10]uint32
	for i := range f {
		addProduct(&t, f[i], g)
		addProduct(&t, t[0], &prime)
		copy(t[:], t[1:])
		t[9] = 0
	}
	*h = element(t[:8])
	h.reduce(t[8])
}

// addProduct adds w·g to t.
func addProduct(t *[10]uint32, w uint32, g *element) {
	var carry uint64
	for i := range g {
		carry += uint64(t[i]) + uint64(w)*uint64(g[i])
		t[i] = uint32(carry) //nolint:gosec // the low word
		carry >>= 32
	}
	carry += uint64(t[8])
	t[8] = uint32(carry) //nolint:gosec // the low word
	t[9] += uint32(carry >> 32)
}

// invert sets h to 1/f (Fermat), or 0 for 0.
func (h *element) invert(f *element) {
	exponent := prime
	exponent[0] -= 2
	result := one
	for i := 255; i >= 0; i-- {
		result.mul(&result, &result)
		if exponent[i/32]>>(i%32)&1 == 1 {
			result.mul(&result, f)
		}
	}
	*h = result
}
