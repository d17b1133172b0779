package words

import "unsafe"

// Load reads s[i:i+8], which must be in range: it isn't checked here, in the
// loops where every instruction counts. On other processors it panics.
//
// Go makes one load of eight on other processors, and eight here.
func Load(s string, i int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), i))
}

// LoadBytes is Load for bytes.
func LoadBytes(b []byte, i int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))
}

// Store writes b[i:i+8], likewise.
func Store(b []byte, i int, v uint64) {
	*(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i)) = v
}
