package proxywasm

import "unsafe"

// maxAllocation bounds what a host may ask for in one piece.
const maxAllocation = 64 << 20

// pinned holds what was allocated for the host and not taken yet, by address,
// so that the garbage collector leaves it alone.
var pinned = make(map[uint32][]byte)

// allocate makes room for the host; 0 is a refusal. A host that asks for no
// bytes gets an address of its own all the same.
func allocate(size uint32) uint32 {
	if size > maxAllocation {
		return 0
	}
	b := make([]byte, max(size, 1))
	address := uint32(uintptr(unsafe.Pointer(&b[0]))) //nolint:gosec // memory ends at 4 GiB
	pinned[address] = b
	return address
}

// take hands over what the host filled. It fails for memory that allocate did
// not give out, or not as much of.
func take(address, size uint32) ([]byte, Status) {
	b := pinned[address]
	delete(pinned, address)
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
	if len(pinned) > 0 {
		clear(pinned)
	}
}
