package soft

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// A scalar of 256 bits is cut into blocks, and each block has a table of its
// own. So 8 blocks want 32 doublings in all instead of 256.
const (
	blocks    = 8
	blockBits = 256 / blocks

	keyWidth  = 5 // of the digits for a key …
	baseWidth = 7 // … and for the base point
	keyOdd    = 1 << (keyWidth - 2)
	baseOdd   = 1 << (baseWidth - 2)
)

// keyTable holds P, 3P, 5P … of a point.
type keyTable [keyOdd]cached

func (t *keyTable) set(p *point) {
	var step cached
	sum := sum{point: *p}
	sum.double(true)
	step.set(&sum.point)
	sum.point = *p
	for i := range t {
		t[i].set(&sum.point)
		sum.add(&step, false, true)
	}
}

// keyTables returns the tables of p, 2^32 p, 2^64 p …
func keyTables(p *point) *[blocks]keyTable {
	tables := new([blocks]keyTable)
	shifted := sum{point: *p}
	for i := range tables {
		if i > 0 {
			shifted.doubleN(blockBits)
		}
		tables[i].set(&shifted.point)
	}
	return tables
}

// baseTables holds the same of the base point.
var baseTables = sync.OnceValue(func() *[blocks][baseOdd]packedNiels {
	tables := new([blocks][baseOdd]packedNiels)
	start := sum{point: base}
	for i := range tables {
		if i > 0 {
			start.doubleN(blockBits)
		}
		twice := start
		twice.double(true)
		multiples(tables[i][:], &start.point, &twice.point)
	}
	return tables
})

// signTable holds 256^i times 1 to 8 times the base point.
type signTable [32][8]packedNiels

var signTables = sync.OnceValue(func() *signTable {
	tables := new(signTable)
	start := sum{point: base}
	for i := range tables {
		if i > 0 {
			start.doubleN(8)
		}
		multiples(tables[i][:], &start.point, &start.point)
	}
	return tables
})

// multiples sets out to p, p+q, p+2q …, which are not small.
func multiples(out []packedNiels, p, q *point) {
	var step cached
	step.set(q)
	points := make([]point, len(out))
	sum := sum{point: *p}
	for i := range points {
		points[i] = sum.point
		sum.add(&step, false, true)
	}
	inverses := make([]element, len(out))
	for i := range points {
		inverses[i].add(&points[i].z, &points[i].z)
		inverses[i].mul(&inverses[i], &one)
	}
	invertAll(inverses)
	for i := range points {
		out[i].set(&points[i], &inverses[i])
	}
}

// set wants 1/2Z.
func (n *packedNiels) set(p *point, inverse *element) {
	var v element
	v.add(&p.y, &p.x)
	v.mul(&v, inverse)
	v.pack(&n[0])
	v.sub(&p.y, &p.x)
	v.mul(&v, inverse)
	v.pack(&n[1])
	v.mul(&p.t, &twiceD)
	v.mul(&v, inverse)
	v.pack(&n[2])
}

// invertAll inverts elements, none of which is 0, for the price of one
// inversion and three products each.
func invertAll(values []element) {
	products := make([]element, len(values))
	product := one
	for i := range values {
		products[i] = product
		product.mul(&product, &values[i])
	}
	var inverse, next element
	inverse.invert(&product)
	for i := len(values) - 1; i >= 0; i-- {
		next.mul(&inverse, &values[i])
		values[i].mul(&inverse, &products[i])
		inverse = next
	}
}

// mulBase sets p to the sum of 16^i digit[i] times the base point, the digits
// being -8 to 8. Its time and the memory that it reads don't depend on them.
func (p *sum) mulBase(digits *[64]int8) {
	tables := signTables()
	var entry niels
	p.identity()
	for i := 1; i < len(digits); i += 2 {
		entry.find(&tables[i/2], digits[i])
		p.addNiels(&entry, &p.z, false, true)
	}
	p.doubleN(4)
	for i := 0; i < len(digits); i += 2 {
		entry.find(&tables[i/2], digits[i])
		p.addNiels(&entry, &p.z, false, true)
	}
}

// half is 1/2, packed.
var half = packed{1<<64 - 9, 1<<64 - 1, 1<<64 - 1, 1<<62 - 1}

// find sets n to digit times the table's point, in constant time.
func (n *niels) find(table *[8]packedNiels, digit int8) {
	sign := int64(digit) >> 63
	size := uint64((int64(digit) ^ sign) - sign)
	none := (size - 1) >> 63
	p0, p1, p2, p3 := half[0]&-none, half[1]&-none, half[2]&-none, half[3]&-none
	m0, m1, m2, m3 := p0, p1, p2, p3
	var t0, t1, t2, t3 uint64
	for j := range table {
		entry := &table[j]
		equal := (size ^ uint64(j+1)) - 1
		mask := uint64(int64(equal) >> 63) // all ones if size is j+1
		p0 |= entry[0][0] & mask
		p1 |= entry[0][1] & mask
		p2 |= entry[0][2] & mask
		p3 |= entry[0][3] & mask
		m0 |= entry[1][0] & mask
		m1 |= entry[1][1] & mask
		m2 |= entry[1][2] & mask
		m3 |= entry[1][3] & mask
		t0 |= entry[2][0] & mask
		t1 |= entry[2][1] & mask
		t2 |= entry[2][2] & mask
		t3 |= entry[2][3] & mask
	}
	// -n has the first two exchanged …
	swap0, swap1, swap2, swap3 := (p0^m0)&uint64(sign), (p1^m1)&uint64(sign), (p2^m2)&uint64(sign), (p3^m3)&uint64(sign)
	sum := packedNiels{
		{p0 ^ swap0, p1 ^ swap1, p2 ^ swap2, p3 ^ swap3},
		{m0 ^ swap0, m1 ^ swap1, m2 ^ swap2, m3 ^ swap3},
		{t0, t1, t2, t3},
	}
	n.unpack(&sum)
	for i := range n.td { // … and the third negated
		n.td[i] = (n.td[i] ^ sign) - sign
	}
}

// term is a digit of a scalar that is not 0.
type term struct {
	next     uint8 // 1 + index, or 0
	block    uint8
	entry    uint8
	isBase   bool
	negative bool
}

// plan is a sum of terms times powers of 2.
type plan struct {
	at    [256]uint8 // the exponent's first term: 1 + index, or 0
	terms [160]term
	n     uint8
}

// add adds the digits of a scalar: the width-w non-adjacent form, of odd
// digits less than 2^(w-1) with w-1 zeros between. It is cut into blocks.
func (s *plan) add(scalar *[32]byte, width, span int, isBase bool) {
	var words [6]uint64
	for i := range 4 {
		words[i] = binary.LittleEndian.Uint64(scalar[8*i:])
	}
	carry := uint64(0)
	for i := 0; i < 256; {
		window := words[i>>6]>>(i&63) | words[i>>6+1]<<(64-i&63)
		if zeros := bits.TrailingZeros64(window ^ -carry); zeros > 0 {
			i += zeros
			continue
		}
		digit := int(window&(1<<width-1) + carry)
		carry = uint64(digit >> (width - 1))
		digit -= int(carry << width)
		s.put(i, digit, span, isBase)
		i += width
	}
}

func (s *plan) put(i, digit, span int, isBase bool) {
	t := &s.terms[s.n]
	s.n++
	*t = term{next: s.at[i%span], block: uint8(i / span), isBase: isBase}
	if t.negative = digit < 0; t.negative {
		digit = -digit
	}
	t.entry = uint8(digit / 2)
	s.at[i%span] = s.n
}

// mulAdd sets p to a times the key plus b times the base point, both less than
// 2^253. Its time depends on everything. The tables are those of keyTables, or
// the first of them.
func (p *sum) mulAdd(a *[32]byte, tables []keyTable, b *[32]byte) {
	span := 256 / len(tables)
	baseTables := baseTables()
	var s plan
	s.add(a, keyWidth, span, false)
	s.add(b, baseWidth, span, true)
	p.identity()
	var entry niels
	for i, started := span-1, false; i >= 0; i-- {
		next := s.at[i]
		if started {
			p.double(next != 0)
		}
		for next != 0 {
			t := &s.terms[next-1]
			next = t.next
			withT := next != 0
			if t.isBase {
				entry.unpack(&baseTables[int(t.block)*span/blockBits][t.entry])
				p.addNiels(&entry, &p.z, t.negative, withT)
			} else {
				p.add(&tables[t.block][t.entry], t.negative, withT)
			}
			started = true
		}
	}
}
