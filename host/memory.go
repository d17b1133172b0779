package host

import (
	"bytes"

	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/plugin/proxywasm"
)

// read copies n bytes of the guest's memory: what wazero gives is a view,
// which moves when the memory grows.
func (i *instance) read(address, n uint32) ([]byte, bool) {
	if n == 0 {
		return nil, true
	}
	view, ok := i.memory.Read(address, n)
	return bytes.Clone(view), ok
}

func (i *instance) readString(address, n uint32) (string, bool) {
	if n == 0 {
		return "", true
	}
	view, ok := i.memory.Read(address, n)
	return string(view), ok
}

// readPairs reads a serialised header map.
func (i *instance) readPairs(address, n uint32) ([]proxywasm.Pair, proxywasm.Status) {
	b, ok := i.read(address, n)
	if !ok {
		return nil, proxywasm.InvalidMemoryAccess
	}
	pairs, err := proxywasm.ParsePairs(b)
	if err != nil {
		return nil, proxywasm.BadArgument
	}
	return pairs, proxywasm.OK
}

func (i *instance) writeUint32(address, v uint32) proxywasm.Status {
	if !i.memory.WriteUint32Le(address, v) {
		return proxywasm.InvalidMemoryAccess
	}
	return proxywasm.OK
}

// giveBytes returns a buffer to the guest: in memory that the guest allocates,
// its address and size written where the guest said. No bytes are address 0.
//
//	addressAt ─▶ [address] ─▶ b …      sizeAt ─▶ [len(b)]
func (i *instance) giveBytes(b []byte, addressAt, sizeAt uint32) proxywasm.Status {
	address := uint32(0)
	if len(b) > 0 {
		address = i.allocate(uint32(len(b))) //nolint:gosec // all that is given is bounded far below
		if address == 0 {
			return proxywasm.InternalFailure
		}
		if !i.memory.Write(address, b) {
			return proxywasm.InvalidMemoryAccess
		}
	}
	if s := i.writeUint32(addressAt, address); s != proxywasm.OK {
		return s
	}
	return i.writeUint32(sizeAt, uint32(len(b))) //nolint:gosec // see above
}

// allocate asks the guest for memory, in the middle of its own call. 0 is a no.
func (i *instance) allocate(size uint32) uint32 {
	if i.allocator == nil {
		return 0
	}
	i.allocatorStack[0] = uint64(size)
	if err := i.allocator.CallWithStack(i.ctx, i.allocatorStack[:]); err != nil {
		panic(err) // ends the outer call too, and with it the instance
	}
	return api.DecodeU32(i.allocatorStack[0])
}
