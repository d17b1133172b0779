package jws

import "math/bits"

// p256Order is the order of P-256 as four words, most significant first
// (SEC 2 section 2.4.2), and p256Half the half of it, rounded down.
var (
	p256Order = [4]uint64{0xffffffff00000000, 0xffffffffffffffff, 0xbce6faada7179e84, 0xf3b9cac2fc632551}
	p256Half  = [4]uint64{0x7fffffff80000000, 0x7fffffffffffffff, 0xde737d56d38bcf42, 0x79dce5617e3192a8}
)

// ES256Size is the size of an ES256 signature, R||S (RFC 7518 section 3.4).
const ES256Size = 64

func scalar(b []byte) (words [4]uint64) {
	for i := range words {
		for _, c := range b[8*i : 8*i+8] {
			words[i] = words[i]<<8 | uint64(c)
		}
	}
	return words
}

// IsLowS reports whether s of an ES256 signature lies in the lower half of the
// order: of the two signatures that verify alike, the one that we write.
func IsLowS(signature []byte) bool {
	if len(signature) != ES256Size {
		return false
	}
	return !greater(scalar(signature[32:]), p256Half)
}

func greater(a, b [4]uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}

// LowS returns the same ES256 signature with a low s.
func LowS(signature []byte) []byte {
	if len(signature) != ES256Size || IsLowS(signature) {
		return signature
	}
	s := scalar(signature[32:])
	if greater(s, p256Order) {
		return signature // none at all; it verifies nowhere
	}
	low := append([]byte(nil), signature...)
	borrow := uint64(0)
	for i := 3; i >= 0; i-- {
		var word uint64
		word, borrow = bits.Sub64(p256Order[i], s[i], borrow)
		for j := 7; j >= 0; j-- {
			low[32+8*i+j] = byte(word)
			word >>= 8
		}
	}
	return low
}
