package words

import "unsafe"

// Load reads s[i:i+8]. It panics where that is out of range.
//
// Go makes one load of eight on other processors, and eight here.
func Load(s string, i int) uint64 {
	s = s[i : i+8]
	return *(*uint64)(unsafe.Pointer(unsafe.StringData(s)))
}

// LoadBytes is Load for bytes.
func LoadBytes(b []byte, i int) uint64 {
	b = b[i : i+8]
	return *(*uint64)(unsafe.Pointer(unsafe.SliceData(b)))
}

// Store writes b[i:i+8]. It panics where that is out of range.
func Store(b []byte, i int, v uint64) {
	b = b[i : i+8]
	*(*uint64)(unsafe.Pointer(unsafe.SliceData(b))) = v
}
