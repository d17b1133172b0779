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

	keyWidth  = 4 // of the digits for a key …
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

// signTable holds 256^i times 1 to 8 times the base point. The eight are side
// by side, word for word.
type signTable [32]signRow

type signRow [3][4][8]uint64

func (r *signRow) put(j int, n *packedNiels) {
	for i := range n {
		for k := range n[i] {
			r[i][k][j] = n[i][k]
		}
	}
}

var signTables = sync.OnceValue(func() *signTable {
	tables := new(signTable)
	start := sum{point: base}
	var row [8]packedNiels
	for i := range tables {
		if i > 0 {
			start.doubleN(8)
		}
		multiples(row[:], &start.point, &start.point)
		for j := range row {
			tables[i].put(j, &row[j])
		}
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
		inverses[i].tighten()
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
		entry.find(tables, i/2, digits[i])
		p.addNiels(&entry, &p.z, false, true)
	}
	p.doubleN(4)
	for i := 0; i < len(digits); i += 2 {
		entry.find(tables, i/2, digits[i])
		p.addNiels(&entry, &p.z, false, true)
	}
}

// half is 1/2, packed.
var half = packed{1<<64 - 9, 1<<64 - 1, 1<<64 - 1, 1<<62 - 1}

// find sets n to digit times the table's point, in constant time. (A loop costs
// more than what is in it: Go compiles a jump backwards to a table of jumps.)
func (n *niels) find(table *signTable, i int, digit int8) {
	row := &table[i]
	sign := int64(digit) >> 63
	size := (int64(digit) ^ sign) - sign
	m1, m2, m3, m4 := mask(size^1), mask(size^2), mask(size^3), mask(size^4)
	m5, m6, m7, m8 := mask(size^5), mask(size^6), mask(size^7), mask(size^8)
	m0 := mask(size)
	p0 := half[0]&m0 | choose(&row[0][0], m1, m2, m3, m4, m5, m6, m7, m8)
	p1 := half[1]&m0 | choose(&row[0][1], m1, m2, m3, m4, m5, m6, m7, m8)
	p2 := half[2]&m0 | choose(&row[0][2], m1, m2, m3, m4, m5, m6, m7, m8)
	p3 := half[3]&m0 | choose(&row[0][3], m1, m2, m3, m4, m5, m6, m7, m8)
	q0 := half[0]&m0 | choose(&row[1][0], m1, m2, m3, m4, m5, m6, m7, m8)
	q1 := half[1]&m0 | choose(&row[1][1], m1, m2, m3, m4, m5, m6, m7, m8)
	q2 := half[2]&m0 | choose(&row[1][2], m1, m2, m3, m4, m5, m6, m7, m8)
	q3 := half[3]&m0 | choose(&row[1][3], m1, m2, m3, m4, m5, m6, m7, m8)
	t0 := choose(&row[2][0], m1, m2, m3, m4, m5, m6, m7, m8)
	t1 := choose(&row[2][1], m1, m2, m3, m4, m5, m6, m7, m8)
	t2 := choose(&row[2][2], m1, m2, m3, m4, m5, m6, m7, m8)
	t3 := choose(&row[2][3], m1, m2, m3, m4, m5, m6, m7, m8)
	swap := uint64(sign) // -n has the first two exchanged …
	s0 := (p0 ^ q0) & swap
	s1 := (p1 ^ q1) & swap
	s2 := (p2 ^ q2) & swap
	s3 := (p3 ^ q3) & swap
	n.plus.unpack(&packed{p0 ^ s0, p1 ^ s1, p2 ^ s2, p3 ^ s3})
	n.minus.unpack(&packed{q0 ^ s0, q1 ^ s1, q2 ^ s2, q3 ^ s3})
	n.td.unpack(&packed{t0, t1, t2, t3})
	n.td.negateIf(sign) // … and the third negated
}

// mask is all ones for 0, and 0 for 1 to 2^63.
func mask(x int64) uint64 { return uint64((x - 1) >> 63) }

func choose(w *[8]uint64, m1, m2, m3, m4, m5, m6, m7, m8 uint64) uint64 {
	return w[0]&m1 | w[1]&m2 | w[2]&m3 | w[3]&m4 | w[4]&m5 | w[5]&m6 | w[6]&m7 | w[7]&m8
}

// term is a digit of a scalar that is not 0.
type term struct {
	next     uint8 // of the same exponent: 1 + index, or 0
	block    uint8
	entry    uint8
	isBase   bool
	negative bool
}

// plan is a sum of terms times powers of 2.
type plan struct {
	first [blockBits]uint8 // of an exponent: 1 + index, or 0
	terms [128]term
	n     uint8
}

// add adds a scalar as its non-adjacent form of a width: odd digits d with
// |d| < 2^(width-1), and width-1 zeros or more after each.
func (p *plan) add(scalar *[32]byte, width int, isBase bool) {
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
		p.put(i, digit-int(carry<<width), isBase)
		i += width
	}
}

func (p *plan) put(i, digit int, isBase bool) {
	exponent := i % blockBits
	t := &p.terms[p.n]
	p.n++
	*t = term{next: p.first[exponent], block: uint8(i / blockBits), isBase: isBase, negative: digit < 0}
	if digit < 0 {
		digit = -digit
	}
	t.entry = uint8(digit / 2)
	p.first[exponent] = p.n
}

// mulAdd sets s to a times the tables' point plus b times the base point, both
// less than 2^253. Its time depends on everything.
func (s *sum) mulAdd(a *[32]byte, tables *[blocks]keyTable, b *[32]byte) {
	base := baseTables()
	var p plan
	p.add(a, keyWidth, false)
	p.add(b, baseWidth, true)
	s.identity()
	var entry niels
	for i := blockBits - 1; i >= 0; i-- {
		next := p.first[i]
		s.double(next != 0)
		for next != 0 {
			t := &p.terms[next-1]
			next = t.next
			if t.isBase {
				entry.unpack(&base[t.block][t.entry])
				s.addNiels(&entry, &s.z, t.negative, next != 0)
			} else {
				s.add(&tables[t.block][t.entry], t.negative, next != 0)
			}
		}
	}
}
