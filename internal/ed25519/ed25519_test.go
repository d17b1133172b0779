package ed25519_test

import (
	"bytes"
	stded25519 "crypto/ed25519"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"kest.example/kest/internal/ed25519"
)

// verdict verifies in every way that there is, and fails unless all agree.
func verdict(t testing.TB, encoded, message, signature []byte) bool {
	t.Helper()
	key, err := ed25519.NewPublicKey(encoded)
	if err != nil {
		if key != nil {
			t.Fatal("an error and a key")
		}
		return false
	}
	if !bytes.Equal(key.Bytes(), encoded) {
		t.Fatal("the key is another")
	}
	want := key.Verify(message, signature)
	for range 2 {
		if key.Verify(message, signature) != want {
			t.Fatalf("single: the first use says %v, a later one does not", want)
		}
	}
	check := ed25519.Check{Key: key, Message: message, Signature: signature}
	for _, size := range []int{1, 2, 3, 4, 5, 9} {
		same := slices.Repeat([]ed25519.Check{check}, size)
		if got := ed25519.VerifyBatch(same); got != want {
			t.Fatalf("single %v, %d times in a batch %v", want, size, got)
		}
		mixed := slices.Clone(goodChecks(t)[:size])
		mixed[size/2] = check
		if got := ed25519.VerifyBatch(mixed); got != want {
			t.Fatalf("single %v, in a batch with %d good ones %v", want, size-1, got)
		}
	}
	return want
}

var goodOnce []ed25519.Check

// goodChecks returns good signatures.
func goodChecks(t testing.TB) []ed25519.Check {
	t.Helper()
	for i := len(goodOnce); i < 100; i++ {
		private := mustPrivate(t, bytes.Repeat([]byte{byte(i)}, 32))
		message := fmt.Appendf(nil, "message %d", i)
		goodOnce = append(goodOnce, ed25519.Check{
			Key: mustPublic(t, private.Public()), Message: message, Signature: private.Sign(message),
		})
	}
	return goodOnce
}

func mustPrivate(t testing.TB, seed []byte) *ed25519.PrivateKey {
	t.Helper()
	private, err := ed25519.NewPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func mustPublic(t testing.TB, encoded []byte) *ed25519.PublicKey {
	t.Helper()
	public, err := ed25519.NewPublicKey(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// TestRFC8032 has the vectors of section 7.1.
func TestRFC8032(t *testing.T) {
	for _, v := range rfc8032 {
		t.Run(v.name, func(t *testing.T) {
			seed, public, message, signature := unhex(v.seed), unhex(v.public), unhex(v.message), unhex(v.signature)
			private := mustPrivate(t, seed)
			if !bytes.Equal(private.Public(), public) {
				t.Errorf("public key %x", private.Public())
			}
			if got := private.Sign(message); !bytes.Equal(got, signature) {
				t.Errorf("signature %x", got)
			}
			if !verdict(t, public, message, signature) || !refVerify(public, message, signature) {
				t.Error("the signature is refused")
			}
		})
	}
}

func TestSignAsStandardLibrary(t *testing.T) {
	for n := range 300 {
		seed := bytes.Repeat([]byte{byte(n), byte(n >> 8), 7, 1}, 8)
		message := bytes.Repeat([]byte{byte(n)}, n)
		theirs := stded25519.NewKeyFromSeed(seed)
		ours := mustPrivate(t, seed)
		if !bytes.Equal(ours.Public(), theirs[32:]) {
			t.Fatalf("%x: public key %x, want %x", seed, ours.Public(), theirs[32:])
		}
		signature := ours.Sign(message)
		if want := stded25519.Sign(theirs, message); !bytes.Equal(signature, want) {
			t.Fatalf("%x: %x, want %x", seed, signature, want)
		}
		if !mustPublic(t, ours.Public()).Verify(message, signature) {
			t.Fatalf("%x: refused", seed)
		}
	}
}

// withTorsion signs with a public key and an R that have components of small
// order. That the equation holds follows from the group law alone.
func withTorsion(a, r *big.Int, inKey, inR *refPoint, message []byte) (key, signature []byte) {
	key = basePoint.mul(a).add(inKey).encode()
	return key, signForR(a, r, key, basePoint.mul(r).add(inR).encode(), message)
}

func signForR(a, r *big.Int, key, encodedR, message []byte) []byte {
	k := refHash(encodedR, key, message)
	return append(slices.Clone(encodedR), littleEndian(modL(plus(r, times(k, a))))...)
}

func TestTorsion(t *testing.T) {
	if !torsion[7].add(torsion[1]).isIdentity() || torsion[4].isIdentity() {
		t.Fatal("the torsion points are wrong")
	}
	zero, a, r := new(big.Int), decimal("1234567890123456789012345678901234567890"), decimal("9876543210")
	for i, inKey := range torsion {
		for j, inR := range torsion {
			message := fmt.Appendf(nil, "%d %d", i, j)
			for _, c := range []struct {
				name string
				a, r *big.Int
				want bool
			}{
				{"key and R of mixed order", a, r, true},
				{"R of small order", a, zero, true},
				{"key of small order", zero, r, false},
				{"both of small order", zero, zero, false},
			} {
				key, signature := withTorsion(c.a, c.r, inKey, inR, message)
				if got := verdict(t, key, message, signature); got != c.want {
					t.Errorf("%s, torsion %d and %d: %v, want %v", c.name, i, j, got, c.want)
				}
				checkReference(t, key, message, signature, c.want)
				signature[32] ^= 1
				if verdict(t, key, message, signature) {
					t.Errorf("%s, torsion %d and %d: another S is accepted", c.name, i, j)
				}
			}
		}
	}
}

// nonCanonical are all the encodings that decode to a point when y ≥ p, or the
// sign of x = 0, is let through.
func nonCanonical() (encodings [][]byte) {
	sign := power(2, 255)
	for y := prime; y.Cmp(sign) < 0; y = plus(y, one) {
		encodings = append(encodings, littleEndian(y), littleEndian(plus(y, sign)))
	}
	return append(encodings, littleEndian(plus(one, sign)), littleEndian(plus(minus(prime, one), sign)))
}

func TestNonCanonical(t *testing.T) {
	a := decimal("1234567890123456789012345678901234567890")
	key := basePoint.mul(a).encode()
	for _, encoded := range nonCanonical() {
		if k, err := ed25519.NewPublicKey(encoded); err == nil || k != nil {
			t.Errorf("key %x is accepted", encoded)
		}
		signature := signForR(a, new(big.Int), key, encoded, nil)
		check(t, key, nil, signature, false)
	}
}

func TestKeys(t *testing.T) {
	for i, point := range torsion {
		if k, err := ed25519.NewPublicKey(point.encode()); err == nil || k != nil {
			t.Errorf("the key that is torsion point %d is accepted", i)
		}
	}
	for y := range int64(400) { // half of them are no points
		for _, n := range []*big.Int{big.NewInt(y), minus(prime, big.NewInt(y+1)), modP(power(y, 99))} {
			for _, encoded := range [][]byte{littleEndian(n), littleEndian(plus(n, power(2, 255)))} {
				_, err := ed25519.NewPublicKey(encoded)
				if want := refKey(encoded); (err == nil) != want {
					t.Errorf("key %x: %v, want %v", encoded, err, want)
				}
			}
		}
	}
}

func TestLargeS(t *testing.T) {
	message := []byte("m")
	private := mustPrivate(t, make([]byte, 32))
	signature := private.Sign(message)
	for n := range int64(8) {
		s := plus(integer(signature[32:]), times(order, big.NewInt(n)))
		moved := append(slices.Clone(signature[:32]), littleEndian(s)...)
		if got := verdict(t, private.Public(), message, moved); got != (n == 0) {
			t.Errorf("S + %d L: %v", n, got)
		}
	}
}

func TestWrongSizes(t *testing.T) {
	good := goodChecks(t)[0]
	for n := range 70 {
		b := make([]byte, n)
		if key, err := ed25519.NewPublicKey(b); n != 32 && (err == nil || key != nil) {
			t.Errorf("a key of %d bytes is accepted", n)
		}
		if key, err := ed25519.NewPrivateKey(b); (err == nil) != (n == 32) || (key == nil) == (n == 32) {
			t.Errorf("a seed of %d bytes: %v", n, err)
		}
		if n != 64 && verdict(t, good.Key.Bytes(), good.Message, append(good.Signature, b...)[:n]) {
			t.Errorf("a signature of %d bytes is accepted", n)
		}
	}
	if verdict(t, good.Key.Bytes(), good.Message, nil) {
		t.Error("no signature is accepted")
	}
}

func TestZeroValues(t *testing.T) {
	if !ed25519.VerifyBatch(nil) || !ed25519.VerifyBatch([]ed25519.Check{}) {
		t.Error("an empty batch is not good")
	}
	good := goodChecks(t)[0]
	for _, key := range []*ed25519.PublicKey{nil, {}} {
		if key.Verify(good.Message, good.Signature) || key.Bytes() != nil {
			t.Errorf("%v verifies", key)
		}
		for _, size := range []int{1, 3, 10} {
			checks := slices.Repeat([]ed25519.Check{good}, size)
			if checks[size-1].Key = key; ed25519.VerifyBatch(checks) {
				t.Errorf("%v verifies in a batch of %d", key, size)
			}
		}
	}
	for _, key := range []*ed25519.PrivateKey{nil, {}} {
		if key.Sign(good.Message) != nil || key.Public() != nil {
			t.Errorf("%v signs", key)
		}
	}
}

func TestCopies(t *testing.T) {
	seed := bytes.Repeat([]byte{1}, 32)
	private := mustPrivate(t, seed)
	encoded := private.Public()
	public := mustPublic(t, encoded)
	want := private.Sign(nil)
	for i := range seed {
		seed[i], encoded[i], private.Public()[i], public.Bytes()[i] = 0, 0, 0, 0
	}
	if !bytes.Equal(private.Sign(nil), want) || !public.Verify(nil, want) {
		t.Error("a key changed with what it was made of, or gave away")
	}
}

// TestBatchPlaces has one bad signature in each place of batches of all sizes.
func TestBatchPlaces(t *testing.T) {
	for size := 1; size <= 40; size++ {
		checks := slices.Clone(goodChecks(t)[:size])
		if !ed25519.VerifyBatch(checks) {
			t.Fatalf("%d good signatures are refused", size)
		}
		for i := range checks {
			checks[i].Message = []byte("another")
			if ed25519.VerifyBatch(checks) {
				t.Fatalf("%d signatures with a bad one in place %d are accepted", size, i)
			}
			checks[i] = goodChecks(t)[i]
		}
	}
}

// TestBatchCancels has two signatures that are bad by opposite amounts.
func TestBatchCancels(t *testing.T) {
	checks := slices.Clone(goodChecks(t)[:6])
	for i, change := range map[int]int64{1: 1, 4: -1} {
		signature := slices.Clone(checks[i].Signature)
		s := modL(plus(integer(signature[32:]), big.NewInt(change)))
		checks[i].Signature = append(signature[:32], littleEndian(s)...)
	}
	if ed25519.VerifyBatch(checks) {
		t.Error("two bad signatures make good for each other")
	}
}

func TestGoroutines(t *testing.T) {
	good := goodChecks(t)[0]
	key := mustPublic(t, good.Key.Bytes()) // not used yet
	private := mustPrivate(t, make([]byte, 32))
	done := make(chan bool)
	for range 8 {
		go func() {
			ok := private.Sign(nil) != nil
			for range 4 {
				ok = key.Verify(good.Message, good.Signature) && ok
			}
			done <- ok
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("refused")
		}
	}
}
