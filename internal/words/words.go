// Package words reads and writes 8 bytes at a time, little-endian, for loops
// that look at each byte of a text with the arithmetic of 64 bits.
package words

// Ones has a 1 in each byte, and High the highest bit of each.
const (
	Ones = 0x0101010101010101
	High = 0x8080808080808080
)
