package wasmbin

import "fmt"

// Reader takes apart the binary format and keeps its first error.
type Reader struct {
	b   []byte
	at  int
	err error
}

// NewReader reads b, which must not change meanwhile.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Fail records an error at the present position, unless there is one already,
// and goes to the end.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed("at byte %d: %s", r.at, fmt.Sprintf(format, args...))
	}
	r.at = len(r.b)
}

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Done reports whether all is read.
func (r *Reader) Done() bool { return r.at >= len(r.b) }

// At is how many bytes are read.
func (r *Reader) At() int { return r.at }

// Rest returns what is not read yet.
func (r *Reader) Rest() []byte { return r.b[r.at:] }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.Done() {
		r.Fail("the end comes too early")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

// LEB steps over an integer of up to ten bytes and returns its low bits, unsigned.
func (r *Reader) LEB() (v uint64) {
	for shift := 0; shift < 70; shift += 7 {
		c := r.Byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.Fail("an integer is too long")
	return 0
}

// Uint reads an unsigned integer of 32 bits.
func (r *Reader) Uint() uint32 {
	start := r.at
	v := r.LEB()
	if v > 1<<32-1 || r.at-start > 5 {
		r.Fail("an integer has more than 32 bits")
		return 0
	}
	return uint32(v)
}

// Int reads a signed integer of up to 64 bits.
func (r *Reader) Int() (v int64) {
	for shift := 0; shift < 70; shift += 7 {
		c := r.Byte()
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if shift < 57 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.Fail("an integer is too long")
	return 0
}

// Bytes reads n bytes. They are not copied.
func (r *Reader) Bytes(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)-r.at) { //nolint:gosec // at is at most len(b)
		r.Fail("the end comes too early")
		return nil
	}
	start := r.at
	r.at += int(n) //nolint:gosec // not above len(r.b)
	return r.b[start:r.at:r.at]
}

// Block reads a length and that many bytes.
func (r *Reader) Block() []byte { return r.Bytes(uint64(r.Uint())) }

// vector reads a count and has each element read.
func (r *Reader) vector(element func()) {
	for n := r.Uint(); n > 0 && r.err == nil; n-- {
		element()
	}
}
