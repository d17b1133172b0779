package p256_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"kest.example/kest/internal/p256"
)

var n, _ = new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)

func scalar(k *big.Int) []byte { return k.FillBytes(make([]byte, 32)) }

// wantStd compares a public key with crypto/ecdh's.
func wantStd(t *testing.T, d []byte) {
	t.Helper()
	private, err := ecdh.P256().NewPrivateKey(d)
	if err != nil {
		t.Fatalf("crypto/ecdh refuses %x: %v", d, err)
	}
	x, y, err := p256.PublicKey(d)
	if err != nil {
		t.Fatalf("%x: %v", d, err)
	}
	if want := private.PublicKey().Bytes()[1:]; !bytes.Equal(append(x, y...), want) {
		t.Errorf("%x: have %x %x, want %x", d, x, y, want)
	}
}

func TestPublicKeyIsStd(t *testing.T) {
	for i := int64(1); i <= 20; i++ {
		wantStd(t, scalar(big.NewInt(i)))
		wantStd(t, scalar(new(big.Int).Sub(n, big.NewInt(i))))
	}
	for i := range uint(255) {
		wantStd(t, scalar(new(big.Int).Lsh(big.NewInt(1), i)))
		wantStd(t, scalar(new(big.Int).Sub(n, new(big.Int).Rsh(n, i+1))))
	}
	for range 200 {
		private, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		wantStd(t, private.Bytes())
	}
}

func TestNoPrivateKey(t *testing.T) {
	all, _ := hex.DecodeString("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")
	for _, d := range [][]byte{nil, make([]byte, 31), make([]byte, 33), make([]byte, 32), scalar(n), scalar(new(big.Int).Add(n, big.NewInt(1))), all} {
		if x, y, err := p256.PublicKey(d); !errors.Is(err, p256.ErrScalar) || x != nil || y != nil {
			t.Errorf("%x: %x %x %v", d, x, y, err)
		}
	}
}

func FuzzPublicKey(f *testing.F) {
	f.Add(scalar(big.NewInt(7)))
	f.Fuzz(func(t *testing.T, d []byte) {
		_, stdErr := ecdh.P256().NewPrivateKey(d)
		_, _, err := p256.PublicKey(d)
		if (err == nil) != (stdErr == nil) {
			t.Fatalf("%x: %v, crypto/ecdh: %v", d, err, stdErr)
		}
		if err == nil {
			wantStd(t, d)
		}
	})
}
