package soft

import (
	"encoding/binary"
	"math/bits"
)

// mulAdd sets s to a times the tables' point plus b times the base point, both
// less than 2^253. Its time depends on all of them. It leaves s.t undefined.
func (s *sum) mulAdd(a *[32]byte, key *[blocks]keyTable, b *[32]byte) {
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
				s.add(&key[t.block][t.entry], t.negative, next != 0)
			}
		}
	}
}

// plan is a sum of terms: a table's entry times a power of 2.
type plan struct {
	first [blockBits]int // term with the exponent: 1 + index, or 0
	terms [128]term
	n     int
}

type term struct {
	next         int // term with the same exponent: 1 + index, or 0
	block, entry int
	isBase       bool
	negative     bool
}

// add adds a scalar in non-adjacent form: its digits d are odd, |d| is less
// than 2^(width-1), and width-1 zeros or more follow each. So there are 256/width
// digits at most, and 256/(width+1) mostly.
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
		digit := window&(1<<width-1) + carry
		carry = digit >> (width - 1)
		p.put(i, int(digit)-int(carry)<<width, isBase) //nolint:gosec // small
		i += width
	}
}

func (p *plan) put(i, digit int, isBase bool) {
	first := &p.first[i%blockBits]
	p.terms[p.n] = term{
		next:     *first,
		block:    i / blockBits,
		entry:    max(digit, -digit) / 2,
		isBase:   isBase,
		negative: digit < 0,
	}
	p.n++
	*first = p.n
}
