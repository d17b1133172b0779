package soft

import (
	"bytes"
	std "crypto/ed25519"
	"crypto/rand"
	"testing"
)

var msg = make([]byte, 1200)

func BenchmarkMulBase(b *testing.B) {
	k := NewPrivateKey((*[32]byte)(msg))
	var p sum
	d := k.secret.ToRadix16()
	for b.Loop() {
		p.mulBase(&d)
	}
}
func BenchmarkFind(b *testing.B) {
	t := signTables()
	var n niels
	for b.Loop() {
		for range 100 {
			n.find(t, 3, -3)
		}
	}
}
func BenchmarkAddNiels(b *testing.B) {
	t := signTables()
	var n niels
	n.find(t, 3, -3)
	p := sum{point: base}
	for b.Loop() {
		for range 100 {
			p.addNiels(&n, &p.z, false, true)
		}
	}
}
func BenchmarkAddCached(b *testing.B) {
	var n cached
	n.set(&base)
	p := sum{point: base}
	for b.Loop() {
		for range 100 {
			p.add(&n, false, true)
		}
	}
}
func BenchmarkDouble(b *testing.B) {
	p := sum{point: base}
	for b.Loop() {
		for range 100 {
			p.double(true)
		}
	}
}
func BenchmarkMul(b *testing.B) {
	p := sum{point: base}
	for b.Loop() {
		for range 100 {
			p.x.mul(&p.x, &p.y)
		}
	}
}
func BenchmarkSquare(b *testing.B) {
	p := sum{point: base}
	for b.Loop() {
		for range 100 {
			p.x.square(&p.x)
		}
	}
}
func BenchmarkAdd(b *testing.B) {
	p := sum{point: base}
	for b.Loop() {
		for range 100 {
			p.x.add(&p.y, &p.z)
		}
	}
}
func BenchmarkInvert(b *testing.B) {
	p := sum{point: base}
	for b.Loop() {
		p.x.invert(&p.x)
	}
}
func BenchmarkDecode(b *testing.B) {
	k := NewPrivateKey((*[32]byte)(msg))
	pub := k.Public()
	for b.Loop() {
		var p PublicKey
		p.Decode(&pub)
	}
}
func BenchmarkExpand(b *testing.B) {
	k := NewPrivateKey((*[32]byte)(msg))
	pub := k.Public()
	var p PublicKey
	p.Decode(&pub)
	for b.Loop() {
		keyTables(&p.negative)
	}
}
func BenchmarkVerifyFirst(b *testing.B) {
	k := NewPrivateKey((*[32]byte)(msg))
	pub := k.Public()
	sig := k.Sign(msg)
	for b.Loop() {
		var p PublicKey
		p.Decode(&pub)
		if !p.Verify(msg, sig[:]) {
			b.Fatal()
		}
	}
}
func BenchmarkVerify(b *testing.B) {
	k := NewPrivateKey((*[32]byte)(msg))
	pub := k.Public()
	sig := k.Sign(msg)
	var p PublicKey
	p.Decode(&pub)
	for b.Loop() {
		if !p.Verify(msg, sig[:]) {
			b.Fatal()
		}
	}
}
func BenchmarkBatch3(b *testing.B) {
	k := NewPrivateKey((*[32]byte)(msg))
	pub := k.Public()
	sig := k.Sign(msg)
	var p PublicKey
	p.Decode(&pub)
	for b.Loop() {
		var s Batch
		for range 3 {
			s.Add(&p, msg, sig[:])
		}
		if !s.Verify() {
			b.Fatal()
		}
	}
}
