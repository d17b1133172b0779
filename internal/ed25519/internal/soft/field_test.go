package soft

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

func (h *element) big() *big.Int {
	sum := new(big.Int)
	for i := 8; i >= 0; i-- {
		sum.Add(sum.Lsh(sum, limbBits), big.NewInt(h[i]))
	}
	return sum
}

// extreme returns limbs up to the bound, often just at it.
func extreme(r *rand.Rand, low, high int64) (h element) {
	mode := r.IntN(4)
	for i := range h {
		l, u := low, high
		if i == 8 {
			l, u = low>>(limbBits-lastBits), high>>(limbBits-lastBits)
		}
		switch mode {
		case 0:
			h[i] = l + r.Int64N(u-l+1)
		case 1:
			h[i] = u
		case 2:
			h[i] = l
		case 3:
			h[i] = []int64{l, u, 0, l + 1, u - 1}[r.IntN(5)]
		}
	}
	return h
}

const (
	tightLow  = -1 << 16
	tightHigh = 1<<29 + 1<<16
)

func wantTight(t *testing.T, h *element) {
	t.Helper()
	for i, limb := range h {
		low, high := int64(tightLow), int64(tightHigh)
		if i == 8 {
			low, high = 0, 1<<lastBits-1 // masked last
		}
		if limb < low || limb > high {
			t.Fatalf("limb %d is %d", i, limb)
		}
	}
}

func wantBig(t *testing.T, h *element, want *big.Int) {
	t.Helper()
	if diff := new(big.Int).Sub(h.big(), want); diff.Mod(diff, prime).Sign() != 0 {
		t.Fatalf("%v is not %v modulo p", h, want)
	}
}

func TestElement(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		tight := extreme(r, tightLow, tightHigh)
		loose := extreme(r, -3*tightHigh, 3*tightHigh)
		if r.IntN(2) == 0 {
			tight = extreme(r, -tightHigh, tightHigh)
		}
		var h element
		h.mul(&loose, &tight)
		wantTight(t, &h)
		wantBig(t, &h, new(big.Int).Mul(loose.big(), tight.big()))
		h.mul(&tight, &loose)
		wantTight(t, &h)
		wantBig(t, &h, new(big.Int).Mul(loose.big(), tight.big()))
		h.square(&tight)
		wantTight(t, &h)
		wantBig(t, &h, new(big.Int).Mul(tight.big(), tight.big()))
		h.add(&loose, &tight)
		wantBig(t, &h, new(big.Int).Add(loose.big(), tight.big()))
		h.sub(&loose, &tight)
		wantBig(t, &h, new(big.Int).Sub(loose.big(), tight.big()))
		sumAndDifference(&h, &tight, &loose, &tight)
		wantBig(t, &tight, new(big.Int).Sub(new(big.Int).Lsh(loose.big(), 1), h.big()))
		h = loose
		h.tighten()
		wantTight(t, &h)
		wantBig(t, &h, loose.big())
		h.negateIf(0)
		wantBig(t, &h, loose.big())
		h.negateIf(-1)
		wantBig(t, &h, new(big.Int).Neg(loose.big()))
		wantPacked(t, &loose)
		wantPacked(t, &tight)
	}
}

func wantPacked(t *testing.T, h *element) {
	t.Helper()
	var p packed
	var encoded [32]byte
	h.pack(&p)
	p.bytes(&encoded)
	got := new(big.Int)
	for i := range encoded {
		got.Add(got.Lsh(got, 8), big.NewInt(int64(encoded[31-i])))
	}
	if want := new(big.Int).Mod(h.big(), prime); got.Cmp(want) != 0 {
		t.Fatalf("%v packs to %v, want %v", h, got, want)
	}
	var back element
	back.unpack(&p)
	wantBig(t, &back, got)
	var again packed
	if again.setBytes(&encoded); again != p {
		t.Fatalf("%v came back as %v", p, again)
	}
}

func TestElementNearPrime(t *testing.T) {
	for i := int64(-40); i <= 40; i++ {
		for k := int64(-2); k <= 3; k++ { // multiples of p
			h := element{k*-19 + i, 0, 0, 0, 0, 0, 0, 0, k << lastBits}
			wantPacked(t, &h)
			if h.isZero() != (i == 0) {
				t.Fatalf("%d·p%+d is zero: %v", k, i, h.isZero())
			}
		}
	}
}

func TestElementPower(t *testing.T) {
	exponent := new(big.Int).Rsh(new(big.Int).Sub(prime, big.NewInt(5)), 3)
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		z := extreme(r, tightLow, tightHigh)
		var h element
		h.pow58(&z)
		wantBig(t, &h, new(big.Int).Exp(z.big(), exponent, prime))
	}
}
