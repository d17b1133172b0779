package ed25519_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"math/big"
	"slices"
	"testing"
)

// FuzzSign wants what crypto/ed25519 signs, and no other signature to be good.
func FuzzSign(f *testing.F) {
	f.Add(make([]byte, 32), []byte(nil), uint16(0), byte(1))
	f.Add([]byte("0123456789abcdef0123456789abcdef"), []byte("message"), uint16(300), byte(0x80))
	f.Add(bytes.Repeat([]byte{255}, 32), make([]byte, 1500), uint16(511), byte(0x10))
	f.Fuzz(func(t *testing.T, seed, message []byte, place uint16, change byte) {
		if len(seed) != 32 {
			seed = make([]byte, 32)
		}
		theirs := ed25519.NewKeyFromSeed(seed)
		public := []byte(theirs[32:])
		signature := mustPrivate(t, seed).Sign(message)
		if !bytes.Equal(signature, ed25519.Sign(theirs, message)) {
			t.Fatalf("seed %x, message %x: %x", seed, message, signature)
		}
		if !verdict(t, public, message, signature) {
			t.Fatalf("seed %x, message %x: refused", seed, message)
		}
		if change == 0 {
			return
		}
		// One byte of signature, key or message is another.
		mutable := slices.Concat(signature, public, message)
		mutable[int(place)%len(mutable)] ^= change
		signature, public, message = mutable[:64], mutable[64:96], mutable[96:]
		if verdict(t, public, message, signature) || ed25519.Verify(public, message, signature) {
			t.Fatalf("key %x, message %x, signature %x: accepted", public, message, signature)
		}
	})
}

// FuzzTorsion makes signatures that hold with the cofactor, changes them, and
// wants the verdict of the definition.
func FuzzTorsion(f *testing.F) {
	f.Add([]byte("a"), []byte("r"), byte(0), []byte(nil), uint16(0), byte(0))
	f.Add([]byte("a"), []byte("r"), byte(0x35), []byte("m"), uint16(3), byte(4))
	f.Add([]byte{}, []byte{}, byte(0x77), []byte("m"), uint16(63), byte(0x80))
	f.Fuzz(func(t *testing.T, a, r []byte, points byte, message []byte, place uint16, change byte) {
		key, signature := withTorsion(scalarOf(a), scalarOf(r), torsion[points&7], torsion[points>>4&7], message)
		mutable := slices.Concat(signature, key)
		mutable[int(place)%len(mutable)] ^= change
		signature, key = mutable[:64], mutable[64:]
		want := refVerify(key, message, signature)
		if change == 0 && want != (len(a) > 0) {
			t.Fatalf("the reference says %v", want)
		}
		if got := verdict(t, key, message, signature); got != want {
			t.Fatalf("key %x, message %x, signature %x: %v, want %v", key, message, signature, got, want)
		}
	})
}

// scalarOf is 0 for nothing.
func scalarOf(b []byte) *big.Int {
	if len(b) == 0 {
		return new(big.Int)
	}
	digest := sha512.Sum512(b)
	return modL(integer(digest[:]))
}

// FuzzAnything wants no panic, and one verdict.
func FuzzAnything(f *testing.F) {
	for _, v := range rfc8032 {
		f.Add(unhex(v.public), unhex(v.message), unhex(v.signature))
	}
	f.Add([]byte(nil), []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, key, message, signature []byte) {
		if got, want := verdict(t, key, message, signature), refVerify(key, message, signature); got != want {
			t.Fatalf("key %x, message %x, signature %x: %v, want %v", key, message, signature, got, want)
		}
	})
}
