package soft

import (
	"encoding/binary"
	"math/bits"
)

// sha512Constants are those of FIPS 180-4 section 4.2.3.
var sha512Constants = [80]uint64{
	0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
	0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
	0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
	0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
	0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
	0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
	0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
	0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
	0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
	0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
	0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
	0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
	0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
	0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
	0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
	0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
	0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
	0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
	0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
	0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
}

// sha512State is SHA-512 (FIPS 180-4). In WebAssembly crypto/sha512 takes twice
// the time, which would be a third of a signature's.
type sha512State struct {
	h      [8]uint64
	block  [128]byte
	n      int
	length uint64
}

// SHA512 returns the hash of a, b and c, one after the other.
func SHA512(a, b, c []byte) (digest [64]byte) {
	var s sha512State
	s.reset()
	s.write(a)
	s.write(b)
	s.write(c)
	s.sum(&digest)
	return digest
}

func (s *sha512State) reset() {
	s.h = [8]uint64{
		0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
		0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
	}
	s.n, s.length = 0, 0
}

func (s *sha512State) write(p []byte) {
	s.length += uint64(len(p))
	if s.n > 0 {
		n := copy(s.block[s.n:], p)
		s.n += n
		p = p[n:]
		if s.n < len(s.block) {
			return
		}
		s.compress(&s.block)
	}
	for len(p) >= len(s.block) {
		s.compress((*[128]byte)(p))
		p = p[len(s.block):]
	}
	s.n = copy(s.block[:], p)
}

func (s *sha512State) sum(digest *[64]byte) {
	s.block[s.n] = 0x80
	clear(s.block[s.n+1:])
	if s.n >= 112 {
		s.compress(&s.block)
		clear(s.block[:])
	}
	binary.BigEndian.PutUint64(s.block[112:], s.length>>61)
	binary.BigEndian.PutUint64(s.block[120:], s.length<<3)
	s.compress(&s.block)
	for i, word := range s.h {
		binary.BigEndian.PutUint64(digest[8*i:], word)
	}
}

func (s *sha512State) compress(p *[128]byte) {
	var w [16]uint64
	for i := range w {
		w[i] = binary.BigEndian.Uint64(p[8*i:])
	}
	a, b, c, d, e, f, g, h := s.h[0], s.h[1], s.h[2], s.h[3], s.h[4], s.h[5], s.h[6], s.h[7]
	for i := 0; ; i += 16 {
		k := (*[16]uint64)(sha512Constants[i:])
		d, h = round(a, b, c, d, e, f, g, h+k[0]+w[0])
		c, g = round(h, a, b, c, d, e, f, g+k[1]+w[1])
		b, f = round(g, h, a, b, c, d, e, f+k[2]+w[2])
		a, e = round(f, g, h, a, b, c, d, e+k[3]+w[3])
		h, d = round(e, f, g, h, a, b, c, d+k[4]+w[4])
		g, c = round(d, e, f, g, h, a, b, c+k[5]+w[5])
		f, b = round(c, d, e, f, g, h, a, b+k[6]+w[6])
		e, a = round(b, c, d, e, f, g, h, a+k[7]+w[7])
		d, h = round(a, b, c, d, e, f, g, h+k[8]+w[8])
		c, g = round(h, a, b, c, d, e, f, g+k[9]+w[9])
		b, f = round(g, h, a, b, c, d, e, f+k[10]+w[10])
		a, e = round(f, g, h, a, b, c, d, e+k[11]+w[11])
		h, d = round(e, f, g, h, a, b, c, d+k[12]+w[12])
		g, c = round(d, e, f, g, h, a, b, c+k[13]+w[13])
		f, b = round(c, d, e, f, g, h, a, b+k[14]+w[14])
		e, a = round(b, c, d, e, f, g, h, a+k[15]+w[15])
		if i == 64 {
			break
		}
		w[0] += schedule(w[1], w[9], w[14])
		w[1] += schedule(w[2], w[10], w[15])
		w[2] += schedule(w[3], w[11], w[0])
		w[3] += schedule(w[4], w[12], w[1])
		w[4] += schedule(w[5], w[13], w[2])
		w[5] += schedule(w[6], w[14], w[3])
		w[6] += schedule(w[7], w[15], w[4])
		w[7] += schedule(w[8], w[0], w[5])
		w[8] += schedule(w[9], w[1], w[6])
		w[9] += schedule(w[10], w[2], w[7])
		w[10] += schedule(w[11], w[3], w[8])
		w[11] += schedule(w[12], w[4], w[9])
		w[12] += schedule(w[13], w[5], w[10])
		w[13] += schedule(w[14], w[6], w[11])
		w[14] += schedule(w[15], w[7], w[12])
		w[15] += schedule(w[0], w[8], w[13])
	}
	s.h[0] += a
	s.h[1] += b
	s.h[2] += c
	s.h[3] += d
	s.h[4] += e
	s.h[5] += f
	s.h[6] += g
	s.h[7] += h
}

// round returns the new d and h of FIPS 180-4 section 6.4.2, where h has the
// constant and the word added.
func round(a, b, c, d, e, f, g, h uint64) (uint64, uint64) {
	h += (bits.RotateLeft64(e, -14) ^ bits.RotateLeft64(e, -18) ^ bits.RotateLeft64(e, -41)) + (g ^ e&(f^g))
	return d + h, h + (bits.RotateLeft64(a, -28) ^ bits.RotateLeft64(a, -34) ^ bits.RotateLeft64(a, -39)) + (a&b | c&(a|b))
}

// schedule returns what a word of the next 16 has over that of the last.
func schedule(w1, w9, w14 uint64) uint64 {
	return w9 + (bits.RotateLeft64(w1, -1) ^ bits.RotateLeft64(w1, -8) ^ w1>>7) +
		(bits.RotateLeft64(w14, -19) ^ bits.RotateLeft64(w14, -61) ^ w14>>6)
}
