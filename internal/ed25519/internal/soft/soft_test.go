package soft

import (
	"bytes"
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// This compares with curve25519-voi, which guests could use as well. The rule
// and its vectors are tested in package ed25519, which runs its tests on this
// package in WebAssembly.

var order = func() *big.Int {
	n, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	return n
}()

// scalars returns some, with those at the ends and with long runs of bits.
func scalars(r *rand.Rand, n int) (out []*scalar.Scalar) {
	add := func(v *big.Int) {
		b := new(big.Int).Mod(v, order).FillBytes(make([]byte, 32))
		slices.Reverse(b)
		s, err := scalar.NewFromCanonicalBytes(b)
		if err != nil {
			panic(err)
		}
		out = append(out, s)
	}
	for i := int64(-40); i < 40; i++ {
		add(big.NewInt(i))
	}
	for shift := range uint(253) {
		add(new(big.Int).Lsh(big.NewInt(1), shift))
		add(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), shift), big.NewInt(1)))
	}
	for _, pattern := range []byte{0x11, 0x55, 0x88, 0x77, 0xf0, 0x7f, 0x80} {
		add(new(big.Int).SetBytes(bytes.Repeat([]byte{pattern}, 31)))
	}
	for range n {
		var b [64]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		add(new(big.Int).SetBytes(b[:]))
	}
	return out
}

func encodeVoi(p *curve.EdwardsPoint) [32]byte {
	var c curve.CompressedEdwardsY
	c.SetEdwardsPoint(p)
	return c
}

func (p *point) encoded() (out [32]byte) {
	var inverse element
	inverse.invert(&p.z)
	p.encode(&out, &inverse)
	return out
}

// wantWellFormed checks that xy = zt.
func wantWellFormed(t *testing.T, p *point) {
	t.Helper()
	var a, b element
	a.mul(&p.x, &p.y)
	b.mul(&p.z, &p.t)
	if a.sub(&a, &b); !a.isZero() {
		t.Fatal("T is wrong")
	}
	for _, h := range []*element{&p.x, &p.y, &p.z, &p.t} {
		wantTight(t, h)
	}
}

func TestMulBase(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	all := scalars(r, 200)
	clamped, err := scalar.New().SetBits(bytes.Repeat([]byte{0xff}, 32)) // not reduced
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range append(all, clamped) {
		var want curve.EdwardsPoint
		want.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, s)
		var got [32]byte
		if MulBase(&got, s); got != encodeVoi(&want) {
			t.Fatalf("%d: %x, want %x", i, got, encodeVoi(&want))
		}
	}
}

func TestFind(t *testing.T) {
	for block := range signTables() {
		for digit := -8; digit <= 8; digit++ {
			var n niels
			n.find(signTables(), block, int8(digit))
			var got sum
			got.identity()
			got.addNiels(&n, &got.z, false, true)
			wantWellFormed(t, &got.point)
			s := scalar.NewFromUint64(uint64(max(digit, -digit)))
			for range block {
				s.Mul(s, scalar.NewFromUint64(256))
			}
			if digit < 0 {
				s.Neg(s)
			}
			var want curve.EdwardsPoint
			want.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, s)
			if got.encoded() != encodeVoi(&want) {
				t.Fatalf("block %d, digit %d", block, digit)
			}
		}
	}
}

// torsion are the encodings of the points of order 8 and less.
var torsion = func() (points []curve.EdwardsPoint) {
	var p, sum curve.EdwardsPoint
	y := curve.CompressedEdwardsY{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	}
	if _, err := p.SetCompressedY(&y); err != nil {
		panic(err)
	}
	sum.Identity()
	for range 8 {
		points = append(points, sum)
		sum.Add(&sum, &p)
	}
	return points
}()

func TestMulAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	as, bs := scalars(r, 500), scalars(r, 500)
	slices.Reverse(as[:300])
	for i := range as {
		var theirs curve.EdwardsPoint
		theirs.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, as[r.IntN(len(as))])
		theirs.Add(&theirs, &torsion[i%8])
		encoded := encodeVoi(&theirs)
		var ours point
		if !ours.decode(&encoded) {
			t.Fatalf("%x is no point", encoded)
		}
		var a, b [32]byte
		_ = as[i].ToBytes(a[:])
		_ = bs[i].ToBytes(b[:])
		var got sum
		got.mulAdd(&a, keyTables(&ours), &b)
		got.t.mul(&got.x, &got.y)
		var inverse element
		inverse.invert(&got.z)
		got.t.mul(&got.t, &inverse)
		wantWellFormed(t, &got.point)
		var want, part curve.EdwardsPoint
		want.Mul(&theirs, as[i])
		want.Add(&want, part.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, bs[i]))
		if got.encoded() != encodeVoi(&want) {
			t.Fatalf("%d: %x, want %x", i, got.encoded(), encodeVoi(&want))
		}
	}
}

func TestDecode(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for n := range 3000 {
		var encoded [32]byte
		for i := range encoded {
			encoded[i] = byte(r.Uint32())
		}
		if n < 600 { // around 0, p, 2^255 and 2^255 + p
			v := new(big.Int).Add(big.NewInt(int64(n%150-75)), []*big.Int{
				big.NewInt(75), prime, new(big.Int).Lsh(big.NewInt(1), 255), new(big.Int).Add(prime, new(big.Int).Lsh(big.NewInt(1), 255)),
			}[n/150])
			v.Mod(v, new(big.Int).Lsh(big.NewInt(1), 256)).FillBytes(encoded[:])
			slices.Reverse(encoded[:])
		}
		y := curve.CompressedEdwardsY(encoded)
		var want curve.EdwardsPoint
		_, err := want.SetCompressedY(&y)
		good := err == nil && y.IsCanonicalVartime()
		var got point
		if got.decode(&encoded) != good {
			t.Fatalf("%x: want %v", encoded, good)
		}
		var key PublicKey
		switch err := key.Decode(&encoded); {
		case !good:
			if !errors.Is(err, ErrEncoding) {
				t.Fatalf("%x: %v", encoded, err)
			}
			continue
		case want.IsSmallOrder():
			if !errors.Is(err, ErrSmallOrder) {
				t.Fatalf("%x: %v", encoded, err)
			}
		case err != nil:
			t.Fatalf("%x: %v", encoded, err)
		}
		wantWellFormed(t, &got)
		if got.encoded() != encoded {
			t.Fatalf("%x comes back as %x", encoded, got.encoded())
		}
	}
}

// FuzzVerify compares with voi on signatures with components of small order, as
// they are and changed.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("a"), []byte("r"), byte(0), []byte(nil), uint16(0), byte(0))
	f.Add([]byte("a"), []byte("r"), byte(0x35), []byte("m"), uint16(3), byte(4))
	f.Add([]byte("a"), []byte("s"), byte(0x77), []byte("m"), uint16(63), byte(0x80))
	options := &voi.Options{Verify: &voi.VerifyOptions{AllowSmallOrderR: true}}
	f.Fuzz(func(t *testing.T, a, r []byte, points byte, message []byte, place uint16, change byte) {
		reduced := func(b []byte) *scalar.Scalar {
			digest := SHA512(b, nil, nil)
			s, _ := scalar.NewFromBytesModOrderWide(digest[:])
			return s
		}
		encode := func(s *scalar.Scalar, torsion *curve.EdwardsPoint) [32]byte {
			var p curve.EdwardsPoint
			return encodeVoi(p.Add(p.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, s), torsion))
		}
		key := encode(reduced(a), &torsion[points&7])
		encodedR := encode(reduced(r), &torsion[points>>4&7])
		s := reduced(slices.Concat(encodedR[:], key[:], message))
		s.Add(s.Mul(s, reduced(a)), reduced(r))
		signature := make([]byte, 64)
		copy(signature, encodedR[:])
		_ = s.ToBytes(signature[32:])
		signature[place%64] ^= change
		want := voi.VerifyWithOptions(key[:], message, signature, options)
		if change == 0 && !want {
			t.Fatal("voi refuses a good signature")
		}
		var k PublicKey
		if err := k.Decode(&key); err != nil {
			t.Fatal(err)
		}
		if got := k.Verify(message, signature); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
		var b Batch
		got := true
		for range 3 {
			got = got && b.Add(&k, message, signature)
		}
		if got = got && b.Verify(); got != want {
			t.Fatalf("in a batch %v, want %v", got, want)
		}
	})
}
