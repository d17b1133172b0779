package soft

import (
	"sync"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// MulBase encodes s times the base point. Neither its time nor what it reads
// depends on s.
func MulBase(out *[32]byte, s *scalar.Scalar) {
	digits := s.ToRadix16()
	var p sum
	p.mulBase(&digits)
	var inverse element
	inverse.invert(&p.z)
	p.encode(out, &inverse)
}

// mulBase sets s to the sum of 16^i digit[i] times the base point, the digits
// being -8 to 8. The odd places come first; shifted by 4 bits, they go by the
// tables of the even ones.
func (s *sum) mulBase(digits *[64]int8) {
	tables := signTables()
	var found niels
	s.identity()
	for i := 1; i < len(digits); i += 2 {
		found.find(tables, i/2, digits[i])
		s.addNiels(&found, &s.z, false, true)
	}
	s.doubleN(4)
	for i := 0; i < len(digits); i += 2 {
		found.find(tables, i/2, digits[i])
		s.addNiels(&found, &s.z, false, true)
	}
}

// signTable holds 256^i times 1 to 8 times the base point, the eight side by
// side for each word.
type signTable [32][3][4][8]uint64

var signTables = sync.OnceValue(func() *signTable {
	tables := new(signTable)
	start := sum{point: base}
	for i := range tables {
		if i > 0 {
			start.doubleN(8)
		}
		var row [8]packedNiels
		multiples(row[:], &start.point, &start.point)
		for j := range row {
			tables.put(i, j, &row[j])
		}
	}
	return tables
})

func (t *signTable) put(i, j int, n *packedNiels) {
	for coordinate := range n {
		for word := range n[coordinate] {
			t[i][coordinate][word][j] = n[coordinate][word]
		}
	}
}

// half is 1/2: the identity has Y+X = Y-X = 1, divided by w = 2Z = 2.
var half = packed{1<<64 - 9, 1<<64 - 1, 1<<64 - 1, 1<<62 - 1}

// find sets n to 256^i digit times the base point, in constant time. There are
// no loops: Go compiles a jump backwards to a table of jumps, which costs more
// here than what would be in them.
func (n *niels) find(tables *signTable, i int, digit int8) {
	t := &tables[i]
	sign := int64(digit) >> 63
	size := (int64(digit) ^ sign) - sign
	m1, m2, m3, m4 := mask(size^1), mask(size^2), mask(size^3), mask(size^4)
	m5, m6, m7, m8 := mask(size^5), mask(size^6), mask(size^7), mask(size^8)
	m0 := mask(size)
	p0 := half[0]&m0 | choose(&t[0][0], m1, m2, m3, m4, m5, m6, m7, m8)
	p1 := half[1]&m0 | choose(&t[0][1], m1, m2, m3, m4, m5, m6, m7, m8)
	p2 := half[2]&m0 | choose(&t[0][2], m1, m2, m3, m4, m5, m6, m7, m8)
	p3 := half[3]&m0 | choose(&t[0][3], m1, m2, m3, m4, m5, m6, m7, m8)
	q0 := half[0]&m0 | choose(&t[1][0], m1, m2, m3, m4, m5, m6, m7, m8)
	q1 := half[1]&m0 | choose(&t[1][1], m1, m2, m3, m4, m5, m6, m7, m8)
	q2 := half[2]&m0 | choose(&t[1][2], m1, m2, m3, m4, m5, m6, m7, m8)
	q3 := half[3]&m0 | choose(&t[1][3], m1, m2, m3, m4, m5, m6, m7, m8)
	t0 := choose(&t[2][0], m1, m2, m3, m4, m5, m6, m7, m8)
	t1 := choose(&t[2][1], m1, m2, m3, m4, m5, m6, m7, m8)
	t2 := choose(&t[2][2], m1, m2, m3, m4, m5, m6, m7, m8)
	t3 := choose(&t[2][3], m1, m2, m3, m4, m5, m6, m7, m8)
	negative := uint64(sign) //nolint:gosec // -1 is all ones
	s0, s1, s2, s3 := (p0^q0)&negative, (p1^q1)&negative, (p2^q2)&negative, (p3^q3)&negative
	n.plus.unpack(&packed{p0 ^ s0, p1 ^ s1, p2 ^ s2, p3 ^ s3})
	n.minus.unpack(&packed{q0 ^ s0, q1 ^ s1, q2 ^ s2, q3 ^ s3})
	n.td.unpack(&packed{t0, t1, t2, t3})
	n.td.negateIf(sign)
}

// mask is all ones for 0, and 0 for what is greater.
func mask(x int64) uint64 { return uint64((x - 1) >> 63) } //nolint:gosec // -1 is all ones

func choose(w *[8]uint64, m1, m2, m3, m4, m5, m6, m7, m8 uint64) uint64 {
	return w[0]&m1 | w[1]&m2 | w[2]&m3 | w[3]&m4 | w[4]&m5 | w[5]&m6 | w[6]&m7 | w[7]&m8
}
