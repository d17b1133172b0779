// Package inflate undoes zlib streams (RFC 1950, RFC 1951) up to a bound. It
// stands in for compress/zlib because that links the compressor too, which is
// 0.07 MB of a guest's code; tests hold it against compress/zlib.
package inflate

import (
	"errors"
	"math/bits"
)

// Errors of Zlib.
var (
	ErrFormat = errors.New("inflate: not one whole zlib stream")
	ErrBound  = errors.New("inflate: the stream holds more than the bound")
	ErrBlocks = errors.New("inflate: more blocks than their content is worth")
)

// Zlib returns what a zlib stream holds. More than limit bytes is ErrBound,
// found before they are held; anything but exactly one stream is ErrFormat.
func Zlib(stream []byte, limit int) ([]byte, error) {
	const header, trailer = 2, 4
	if len(stream) < header+trailer || stream[0]&0x0f != 8 || stream[0]>>4 > 7 || stream[1]&0x20 != 0 ||
		(uint(stream[0])<<8|uint(stream[1]))%31 != 0 {
		return nil, ErrFormat
	}
	d := decoder{in: stream[header:], limit: limit}
	for last, blocks := false, 0; !last && d.err == nil; blocks++ {
		if blocks > fewBlocks+len(d.out)/bytesPerBlock {
			return nil, ErrBlocks
		}
		last = d.block()
	}
	if d.err != nil {
		return nil, d.err
	}
	d.align()
	rest := d.in[d.at:]
	if len(rest) != trailer || uint32(rest[0])<<24|uint32(rest[1])<<16|uint32(rest[2])<<8|uint32(rest[3]) != adler32(d.out) {
		return nil, ErrFormat
	}
	return d.out, nil
}

// Each block costs the making of its codes, even one that holds nothing.
// Compressors put tens of thousands of bytes into one.
const (
	fewBlocks     = 16
	bytesPerBlock = 512
)

func adler32(b []byte) uint32 {
	const (
		modulus = 65521
		block   = 5552 // the most bytes whose sums fit in 32 bits
	)
	low, high := uint32(1), uint32(0)
	for len(b) > 0 {
		n := min(block, len(b))
		for _, c := range b[:n] {
			low += uint32(c)
			high += low
		}
		low, high, b = low%modulus, high%modulus, b[n:]
	}
	return high<<16 | low
}

// decoder reads bits, the lowest of each byte first, and keeps the first error.
type decoder struct {
	in    []byte
	at    int // of the next byte to take
	bits  uint32
	have  uint // bits that are taken and not yet used
	out   []byte
	limit int
	err   error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) take(n uint) int {
	for d.have < n {
		if d.at == len(d.in) {
			d.fail(ErrFormat)
			return 0
		}
		d.bits |= uint32(d.in[d.at]) << d.have
		d.at++
		d.have += 8
	}
	v := d.bits & (1<<n - 1)
	d.bits >>= n
	d.have -= n
	return int(v)
}

// fill takes bytes as long as they fit.
func (d *decoder) fill() {
	for d.have <= 24 && d.at < len(d.in) {
		d.bits |= uint32(d.in[d.at]) << d.have
		d.at++
		d.have += 8
	}
}

// align drops the rest of a byte that was begun, and gives whole ones back.
func (d *decoder) align() {
	d.at -= int(d.have / 8)
	d.bits, d.have = 0, 0
}

func (d *decoder) put(c byte) {
	if len(d.out) >= d.limit {
		d.fail(ErrBound)
		return
	}
	d.out = append(d.out, c)
}

func (d *decoder) block() (last bool) {
	last = d.take(1) == 1
	switch d.take(2) {
	case 0:
		d.stored()
	case 1:
		d.compressed(fixedLiterals(), fixedDistances())
	case 2:
		if literals, distances := d.tables(); d.err == nil {
			d.compressed(literals, distances)
		}
	default:
		d.fail(ErrFormat)
	}
	return last
}

func (d *decoder) stored() {
	d.align()
	n, inverse := d.take(16), d.take(16)
	if n != inverse^0xffff || len(d.in)-d.at < n {
		d.fail(ErrFormat)
	}
	for ; n > 0 && d.err == nil; n-- {
		d.put(d.in[d.at])
		d.at++
	}
}

// code is a canonical Huffman code: how many symbols there are of each length,
// and the symbols in order (RFC 1951 section 3.2.2).
type code struct {
	counts  [16]int
	symbols []int
	short   [1 << shortBits]uint16 // by the next bits: symbol<<4 | length, 0 where the code is longer
}

// shortBits is up to which length codes are found in one step.
const shortBits = 9

// newCode makes the code of the lengths; ok is false where they make none. One
// lone code of length 1, or none at all, may be incomplete.
func newCode(lengths []int) (c code, ok bool) {
	for _, n := range lengths {
		c.counts[n]++
	}
	c.counts[0] = 0
	left, used, first := 1, 0, 0
	var next, value [16]int
	for n := 1; n < 16; n++ {
		left = left<<1 - c.counts[n]
		if left < 0 {
			return code{}, false
		}
		next[n] = used
		used += c.counts[n]
		first = (first + c.counts[n-1]) << 1
		value[n] = first
	}
	c.symbols = make([]int, used)
	for symbol, n := range lengths {
		if n > 0 {
			c.symbols[next[n]] = symbol
			next[n]++
			c.enter(symbol, n, value[n])
			value[n]++
		}
	}
	return c, left == 0 || used == 0 || used == 1 && c.counts[1] == 1
}

// enter puts a short code into the table, wherever the next bits begin with it.
// Codes stand in the stream with their highest bit first.
func (c *code) enter(symbol, n, value int) {
	if n > shortBits {
		return
	}
	reversed := int(bits.Reverse16(uint16(value)) >> (16 - n)) //nolint:gosec // of at most 9 bits
	for i := reversed; i < len(c.short); i += 1 << n {
		c.short[i] = uint16(symbol<<4 | n) //nolint:gosec // a symbol is below 288
	}
}

func (d *decoder) symbol(c *code) int {
	d.fill()
	if e := c.short[d.bits&(1<<shortBits-1)]; e != 0 && uint(e&15) <= d.have {
		d.bits >>= e & 15
		d.have -= uint(e & 15)
		return int(e >> 4)
	}
	return d.longSymbol(c)
}

// longSymbol reads a code bit by bit.
func (d *decoder) longSymbol(c *code) int {
	value, first, index := 0, 0, 0
	for n := 1; n < 16; n++ {
		value |= d.take(1)
		count := c.counts[n]
		if value-first < count {
			return c.symbols[index+value-first]
		}
		index += count
		first = (first + count) << 1
		value <<= 1
		if d.err != nil {
			return 0
		}
	}
	d.fail(ErrFormat)
	return 0
}

// Bases and extra bits of lengths and distances (RFC 1951 section 3.2.5).
var (
	lengthBase = [29]int{
		3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
	}
	lengthBits   = [29]uint{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase = [30]int{
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
		8193, 12289, 16385, 24577,
	}
	distanceBits = [30]uint{
		0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
	}
)

const endOfBlock = 256

func (d *decoder) compressed(literals, distances code) {
	for d.err == nil {
		switch s := d.symbol(&literals); {
		case d.err != nil || s == endOfBlock:
			return
		case s < endOfBlock:
			d.put(byte(s)) //nolint:gosec // below 256
		default:
			d.copy(s-endOfBlock-1, &distances)
		}
	}
}

func (d *decoder) copy(s int, distances *code) {
	if s >= len(lengthBase) {
		d.fail(ErrFormat)
		return
	}
	length := lengthBase[s] + d.take(lengthBits[s])
	s = d.symbol(distances)
	if d.err != nil || s >= len(distanceBase) {
		d.fail(ErrFormat)
		return
	}
	distance := distanceBase[s] + d.take(distanceBits[s])
	if distance > len(d.out) {
		d.fail(ErrFormat)
		return
	}
	if length > d.limit-len(d.out) {
		d.fail(ErrBound)
		return
	}
	// What is copied may reach into what the copy itself writes: then it is
	// written in pieces of the distance.
	for length > 0 {
		start := len(d.out) - distance
		n := min(length, distance)
		d.out = append(d.out, d.out[start:start+n]...)
		length -= n
		distance += n
	}
}

func fixedLiterals() code {
	lengths := make([]int, 288)
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	c, _ := newCode(lengths)
	return c
}

func fixedDistances() code {
	lengths := make([]int, 32)
	for i := range lengths {
		lengths[i] = 5
	}
	c, _ := newCode(lengths)
	return c
}

// order is how the lengths of the code length code stand (RFC 1951 section 3.2.7).
var order = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (d *decoder) tables() (literals, distances code) {
	nLiterals, nDistances, nLengths := d.take(5)+257, d.take(5)+1, d.take(4)+4
	if nLiterals > 286 || nDistances > 30 {
		d.fail(ErrFormat)
		return
	}
	lengths := make([]int, 19)
	for i := range nLengths {
		lengths[order[i]] = d.take(3)
	}
	meta, ok := newCode(lengths)
	if !ok || d.err != nil {
		d.fail(ErrFormat)
		return
	}
	lengths = d.lengths(&meta, nLiterals+nDistances)
	if d.err != nil {
		return
	}
	literals, ok = newCode(lengths[:nLiterals])
	distances, okDistances := newCode(lengths[nLiterals:])
	if !ok || !okDistances || lengths[endOfBlock] == 0 {
		d.fail(ErrFormat)
	}
	return literals, distances
}

func (d *decoder) lengths(meta *code, n int) []int {
	lengths := make([]int, 0, n)
	for len(lengths) < n && d.err == nil {
		s := d.symbol(meta)
		value, times := s, 1
		switch {
		case s == 16 && len(lengths) == 0:
			d.fail(ErrFormat)
		case s == 16:
			value, times = lengths[len(lengths)-1], 3+d.take(2)
		case s == 17:
			value, times = 0, 3+d.take(3)
		case s == 18:
			value, times = 0, 11+d.take(7)
		}
		for ; times > 0; times-- {
			lengths = append(lengths, value)
		}
	}
	if len(lengths) != n {
		d.fail(ErrFormat)
	}
	return lengths
}
