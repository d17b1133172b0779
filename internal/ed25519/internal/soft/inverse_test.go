package soft

import (
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"
)

// invertByPower sets h to z^(p-2), 1/z by Fermat's little theorem. z is tight.
func (h *element) invertByPower(z *element) {
	var t, z9, z11 element
	z9.squareN(z, 3)
	z9.mul(&z9, z)
	z11.square(z)
	z11.mul(&z11, &z9)
	t.pow22501(z)
	t.squareN(&t, 5)
	h.mul(&t, &z11) // 2^255 - 21
}

// wantInverse checks 1/z against z^(p-2), and that z/z is 1.
func wantInverse(t *testing.T, z *element) {
	t.Helper()
	var got, want, tight element
	got.invert(z)
	wantTight(t, &got)
	tight = *z
	tight.tighten()
	want.invertByPower(&tight)
	var a, b packed
	got.pack(&a)
	if want.pack(&b); a != b {
		t.Fatalf("1/%v is %v, want %v", *z, a, b)
	}
	product := int64(1)
	if z.isZero() {
		product = 0
	}
	got.mul(&got, &tight)
	wantBig(t, &got, big.NewInt(product))
	tight = *z
	if tight.invert(&tight); tight.isZero() != (product == 0) {
		t.Fatalf("1/%v in place is %v", *z, tight)
	}
}

func (w *wide) big() *big.Int {
	sum := new(big.Int)
	for i := 8; i >= 0; i-- {
		sum.Add(sum.Lsh(sum, stepBits), big.NewInt(w[i]))
	}
	return sum
}

// fromBig cuts a number into limbs. The last one takes what is left.
func fromBig(n *big.Int) (h element) {
	rest := new(big.Int).Set(n)
	for i := range 8 {
		h[i] = new(big.Int).And(rest, big.NewInt(limbMask)).Int64()
		rest.Rsh(rest, limbBits)
	}
	h[8] = rest.Int64()
	return h
}

func TestInvertEdges(t *testing.T) {
	for k := int64(-3); k <= 4; k++ { // around multiples of p
		middle := new(big.Int).Mul(prime, big.NewInt(k))
		for i := int64(-40); i <= 40; i++ {
			z := fromBig(new(big.Int).Add(middle, big.NewInt(i)))
			wantInverse(t, &z)
			z = element{k*-19 + i, 0, 0, 0, 0, 0, 0, 0, k << lastBits}
			wantInverse(t, &z)
		}
	}
	for bit := range uint(257) {
		power := new(big.Int).Lsh(big.NewInt(1), bit)
		for i := int64(-1); i <= 1; i++ {
			n := new(big.Int).Add(power, big.NewInt(i))
			z := fromBig(n)
			wantInverse(t, &z)
			z = fromBig(n.Neg(n))
			wantInverse(t, &z)
		}
	}
	for _, limb := range []int64{1, limbMask, tightHigh, 3 * tightHigh, 4 << limbBits} {
		for _, sign := range []int64{1, -1} {
			var z element
			for i := range z {
				z[i] = sign * limb
			}
			z[8] >>= limbBits - lastBits
			wantInverse(t, &z)
		}
	}
}

func TestInvert(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		z := extreme(r, tightLow, tightHigh)
		wantInverse(t, &z)
		z = extreme(r, -3*tightHigh, 3*tightHigh)
		wantInverse(t, &z)
	}
}

// TestTransition takes the steps one by one, by their definition.
func TestTransition(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 100_000 {
		f, g := r.Int64N(1<<stepBits)|1, r.Int64N(1<<stepBits)
		if r.IntN(4) == 0 {
			g = []int64{0, 1, f, stepMask, 1 << 30, -f & stepMask}[r.IntN(6)]
		}
		delta := r.Int64N(590) - 295 // rounded up
		var got transition
		zeta := got.find(-delta, f, g)
		want := transition{u: 1, r: 1}
		for range stepBits {
			delta, f, g = want.step(delta, f, g)
		}
		if got != want || zeta != -delta {
			t.Fatalf("got %+v and zeta %d, want %+v and %d", got, zeta, want, -delta)
		}
		if max(got.u, -got.u)+max(got.v, -got.v) > 1<<stepBits || max(got.q, -got.q)+max(got.r, -got.r) > 1<<stepBits {
			t.Fatalf("%+v is too large", got)
		}
	}
}

// step takes one step more. delta is 1/2 too large.
func (m *transition) step(delta, f, g int64) (nextDelta, nextF, nextG int64) {
	u, v := m.u, m.v
	m.u, m.v = 2*u, 2*v
	switch {
	case g&1 == 0:
		return delta + 1, f, g / 2
	case delta > 0:
		m.u, m.v = 2*m.q, 2*m.r
		m.q, m.r = m.q-u, m.r-v
		return 2 - delta, g, (g - f) / 2
	default:
		m.q, m.r = m.q+u, m.r+v
		return delta + 1, f, (g + f) / 2
	}
}

// TestTransitionLimits looks at what a whole inversion has between its batches.
func TestTransitionLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	limit := new(big.Int).Mul(prime, big.NewInt(11))
	for range 2_000 {
		z := extreme(r, tightLow, tightHigh)
		f := wide{-19, 0, 0, 0, 0, 0, 0, 0, 1 << (255 - 8*stepBits)}
		var g, d wide
		e := wide{1}
		g.set(&z)
		var m transition
		zeta := int64(-1)
		for range stepBatches {
			zeta = m.find(zeta, f[0], g[0])
			m.apply(&f, &g)
			m.applyModulo(&d, &e)
			wantWide(t, &f, prime)
			wantWide(t, &g, prime)
			wantWide(t, &d, limit)
			wantWide(t, &e, limit)
			wantMultiple(t, &f, &d, &z)
			wantMultiple(t, &g, &e, &z)
		}
		if gcd := f.big(); g != (wide{}) || gcd.CmpAbs(big.NewInt(1)) != 0 && !z.isZero() {
			t.Fatalf("the steps for %v end at %v and %v", z, f, g)
		}
	}
}

func wantWide(t *testing.T, w *wide, limit *big.Int) {
	t.Helper()
	for _, limb := range w[:8] {
		if limb < 0 || limb > stepMask {
			t.Fatalf("%v has the limb %d", *w, limb)
		}
	}
	if w.big().CmpAbs(limit) > 0 {
		t.Fatalf("%v is over %v", *w, limit)
	}
}

// wantMultiple checks that f is d z modulo p.
func wantMultiple(t *testing.T, f, d *wide, z *element) {
	t.Helper()
	product := new(big.Int).Mul(d.big(), z.big())
	if product.Sub(product, f.big()).Mod(product, prime).Sign() != 0 {
		t.Fatalf("%v is not %v times %v", *f, *d, *z)
	}
}

func FuzzInvert(f *testing.F) {
	f.Add(make([]byte, 36))
	f.Add([]byte("\xed\xff\xff\x1f\xff\xff\xff\x1f\xff\xff\xff\x1f\xff\xff\xff\x1f\xff\xff\xff\x1f\xff\xff\xff\x1f\xff\xff\xff\x1f\xff\xff\xff\x1f\xff\xff\xff\x1f"))
	f.Add([]byte("kest.example/kest/internal/ed25519/soft"))
	f.Fuzz(func(t *testing.T, limbs []byte) {
		var z element
		for i := 0; i < len(z) && len(limbs) >= 4; i++ {
			z[i] = int64(int32(binary.LittleEndian.Uint32(limbs)))
			limbs = limbs[4:]
		}
		z[8] >>= limbBits - lastBits
		wantInverse(t, &z)
	})
}
