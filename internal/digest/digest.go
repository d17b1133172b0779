// Package digest is SHA-256 of an entry's text: the standard library's
// natively, and in guests, where that takes twice the time, one of this
// package's own, or the host's. The hashes of a passport are a tenth of a
// guest's work.
package digest

import "encoding/hex"

// Size is the size of a sum in bytes.
const Size = 32

// Hex writes a sum in lower case.
func Hex(sum [Size]byte) string {
	var text [2 * Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// Host makes a sum at native speed; ok is false where it can't.
type Host func(text string) (sum [Size]byte, ok bool)
