package digest

import (
	"encoding/binary"
	"math/bits"
)

// constants are those of FIPS 180-4 section 4.2.2.
var constants = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}

// soft is SHA-256 (FIPS 180-4 section 6.2) of a whole text.
func soft(text string) (sum [Size]byte) {
	h := [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}
	var block [64]byte
	rest := text
	for len(rest) >= len(block) {
		copy(block[:], rest)
		compress(&h, &block)
		rest = rest[len(block):]
	}
	n := copy(block[:], rest)
	block[n] = 0x80
	clear(block[n+1:])
	if n >= 56 {
		compress(&h, &block)
		clear(block[:])
	}
	binary.BigEndian.PutUint64(block[56:], uint64(len(text))<<3)
	compress(&h, &block)
	for i, word := range h {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}

func round(a, b, c, d, e, f, g, t uint32) (newD, newH uint32) {
	t += (bits.RotateLeft32(e, 26) ^ bits.RotateLeft32(e, 21) ^ bits.RotateLeft32(e, 7)) + (g ^ e&(f^g))
	return d + t, t + (bits.RotateLeft32(a, 30) ^ bits.RotateLeft32(a, 19) ^ bits.RotateLeft32(a, 10)) + (a&b | c&(a|b))
}

func schedule(w1, w9, w14 uint32) uint32 {
	return w9 + (bits.RotateLeft32(w1, 25) ^ bits.RotateLeft32(w1, 14) ^ w1>>3) +
		(bits.RotateLeft32(w14, 15) ^ bits.RotateLeft32(w14, 13) ^ w14>>10)
}

func compress(state *[8]uint32, p *[64]byte) {
	var w [16]uint32
	for i := range w {
		w[i] = binary.BigEndian.Uint32(p[4*i:])
	}
	a, b, c, d, e, f, g, h := state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
	for i := 0; ; i += 16 {
		k := (*[16]uint32)(constants[i:])
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
		if i == 48 {
			break
		}
		for j := range w {
			w[j] += schedule(w[(j+1)&15], w[(j+9)&15], w[(j+14)&15])
		}
	}
	state[0] += a
	state[1] += b
	state[2] += c
	state[3] += d
	state[4] += e
	state[5] += f
	state[6] += g
	state[7] += h
}
