package proxywasm

import (
	"slices"
	"unsafe"
)

// maxAllocation bounds what a host may ask for in one piece.
const maxAllocation = 64 << 20

// pinned holds what was allocated for the host and not taken yet, so that the
// garbage collector leaves it alone. It is mostly one piece, or two.
var pinned [][]byte

func addressOf(b []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) //nolint:gosec // memory ends at 4 GiB
}

// allocate makes room for the host; 0 is a refusal. A host that asks for no
// bytes gets an address of its own all the same.
func allocate(size uint32) uint32 {
	if size > maxAllocation {
		return 0
	}
	b := make([]byte, max(size, 1))
	pinned = append(pinned, b)
	return addressOf(b)
}

// take hands over what the host filled. It fails for memory that allocate did
// not give out, or not as much of.
func take(address, size uint32) ([]byte, Status) {
	b := unpin(address)
	if size == 0 {
		return nil, OK
	}
	if uint64(size) > uint64(len(b)) {
		return nil, InvalidMemoryAccess
	}
	return b[:size:size], OK
}

// releaseRest frees what the host allocated and never handed over, as after a
// function that failed. It runs after each callback.
func releaseRest() {
	clear(pinned)
	pinned = pinned[:0]
}

// unpin takes out what is at an address; nil where nothing is.
func unpin(address uint32) []byte {
	for i, b := range slices.Backward(pinned) {
		if addressOf(b) == address {
			pinned = slices.Delete(pinned, i, i+1)
			return b
		}
	}
	return nil
}
