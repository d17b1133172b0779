package host

import "encoding/binary"

// reader takes apart the binary format. After a fault bad is set and all it
// returns is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	b := r.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) skip(n uint64) { r.take(n) }

// uint reads an unsigned LEB128 of at most 32 bits.
func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// block reads a length and as many bytes.
func (r *reader) block() []byte { return r.take(r.uint()) }

// imports counts what an import section brings in front of the module's own.
func (r *reader) imports() (functions, globals uint64) {
	for n := r.uint(); n > 0 && !r.bad; n-- {
		r.block()
		r.block()
		switch r.byte() {
		case 0:
			functions++
			r.uint()
		case 3:
			globals++
			r.skip(2)
		default: // a table or a memory: none that this host could give
			r.bad = true
		}
	}
	return functions, globals
}

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendBlock(b, block []byte) []byte {
	return append(appendUint(b, uint64(len(block))), block...)
}

// appendInt writes a signed LEB128 of a number that is not negative.
func appendInt(b []byte, v uint64) []byte {
	for ; v >= 0x40; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}
