package soft

import (
	"crypto/sha512"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// hundred runs something that takes nanoseconds.
func hundred(b *testing.B, f func()) {
	b.Helper()
	for b.Loop() {
		for range 100 {
			f()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/each")
}

func BenchmarkField(b *testing.B) {
	h, g := base.x, base.y
	b.Run("add", func(b *testing.B) { hundred(b, func() { h.add(&base.x, &g) }) })
	b.Run("mul", func(b *testing.B) { hundred(b, func() { h.mul(&h, &g) }) })
	b.Run("square", func(b *testing.B) { hundred(b, func() { h.square(&h) }) })
}

func BenchmarkInvert(b *testing.B) {
	h := base.x
	b.Run("steps", func(b *testing.B) {
		for b.Loop() {
			h.invert(&h)
		}
	})
	b.Run("power", func(b *testing.B) {
		for b.Loop() {
			h.invertByPower(&h)
		}
	})
}

func BenchmarkPoint(b *testing.B) {
	s := sum{point: base}
	var n niels
	n.find(signTables(), 1, 3)
	var c cached
	c.set(&base)
	b.Run("double", func(b *testing.B) { hundred(b, func() { s.double(true) }) })
	b.Run("addNiels", func(b *testing.B) { hundred(b, func() { s.addNiels(&n, &s.z, false, true) }) })
	b.Run("add", func(b *testing.B) { hundred(b, func() { s.add(&c, false, true) }) })
	b.Run("find", func(b *testing.B) { hundred(b, func() { n.find(signTables(), 1, 3) }) })
	b.Run("tables", func(b *testing.B) {
		for b.Loop() {
			keyTables(&base)
		}
	})
}

func BenchmarkMulBase(b *testing.B) {
	s := scalar.New().Sub(scalar.New(), scalar.NewFromUint64(12345))
	var out [32]byte
	for b.Loop() {
		MulBase(&out, s)
	}
}

func BenchmarkSHA512(b *testing.B) {
	message := make([]byte, 1200)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			SHA512(message, nil, nil)
		}
	})
	b.Run("std", func(b *testing.B) {
		for b.Loop() {
			sha512.Sum512(message)
		}
	})
}
