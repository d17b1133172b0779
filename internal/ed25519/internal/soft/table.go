package soft

import "sync"

// A scalar of 256 bits is cut into blocks, and each block has a table of its
// own. So all need 32 doublings together instead of 256.
//
// With a key's digits one bit wider, its tables would have twice the size, and a
// verification would take a twentieth less time.
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
	s := sum{point: *p}
	s.double(true)
	var twice cached
	twice.set(&s.point)
	s.point = *p
	t[0].set(p)
	for i := range t[1:] {
		s.add(&twice, false, true)
		t[i+1].set(&s.point)
	}
}

// keyTables returns the tables of p, 2^32 p, 2^64 p …
func keyTables(p *point) *[blocks]keyTable {
	tables := new([blocks]keyTable)
	s := sum{point: *p}
	tables[0].set(p)
	for i := range tables[1:] {
		s.doubleN(blockBits)
		tables[i+1].set(&s.point)
	}
	return tables
}

// baseTables holds the same of the base point.
var baseTables = sync.OnceValue(func() *[blocks][baseOdd]packedNiels {
	tables := new([blocks][baseOdd]packedNiels)
	s := sum{point: base}
	for i := range tables {
		if i > 0 {
			s.doubleN(blockBits)
		}
		twice := s
		twice.double(true)
		multiples(tables[i][:], &s.point, &twice.point)
	}
	return tables
})

// multiples sets out to p, p+q, p+2q …
func multiples(out []packedNiels, p, q *point) {
	var step cached
	step.set(q)
	points := make([]point, len(out))
	inverses := make([]element, len(out))
	s := sum{point: *p}
	for i := range points {
		points[i] = s.point
		inverses[i].add(&s.z, &s.z)
		inverses[i].tighten()
		s.add(&step, false, true)
	}
	invertAll(inverses)
	for i := range points {
		out[i].set(&points[i], &inverses[i])
	}
}

// set sets n to p, given 1/w.
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

// invertAll inverts elements for the price of one inversion and three products
// each. None may be 0.
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
