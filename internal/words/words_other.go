//go:build !wasm

package words

import "encoding/binary"

// Load reads s[i:i+8], which must be in range. Here it panics otherwise.
func Load(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// LoadBytes is Load for bytes.
func LoadBytes(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// Store writes b[i:i+8], likewise.
func Store(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8], v) }
