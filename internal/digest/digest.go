// Package digest is SHA-256 of an entry's text: the standard library's
// natively, and in guests, where that takes twice the time, one of this
// package's own, or the host's. The hashes of a passport are a tenth of a
// guest's work.
package digest

import "kest.example/kest/internal/words"

// Size is the size of a sum in bytes.
const Size = 32

// Hex writes a sum in lower case.
func Hex(sum [Size]byte) string {
	var text [2 * Size]byte
	for i := 0; i < Size; i += 4 {
		four := sum[i : i+4]
		v := uint64(four[0]) | uint64(four[1])<<16 | uint64(four[2])<<32 | uint64(four[3])<<48
		v = v>>4&0x000f000f000f000f | v&0x000f000f000f000f<<8 // a digit in each byte
		letters := (v + 6*words.Ones) >> 4 & words.Ones
		words.Store(text[:], 2*i, v+'0'*words.Ones+letters*('a'-10-'0'))
	}
	return string(text[:])
}

// Host makes a sum at native speed; ok is false where it can't.
type Host func(text string) (sum [Size]byte, ok bool)
