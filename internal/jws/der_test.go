package jws_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"kest.example/kest/internal/jws"
)

func p256Key(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return key, d
}

func TestP256PKCS8IsStd(t *testing.T) {
	key, d := p256Key(t)
	parsed, err := x509.ParsePKCS8PrivateKey(jws.P256PKCS8(d))
	if err != nil || !key.Equal(parsed) {
		t.Errorf("%v %v", parsed, err)
	}
}

// What we sign is low s, verifies in crypto/ecdsa and is the same after DER.
func TestES256(t *testing.T) {
	key, d := p256Key(t)
	for range 64 {
		signature, err := jws.SignES256(d, []byte("input"))
		if err != nil || !jws.IsLowS(signature) {
			t.Fatalf("%x %v", signature, err)
		}
		der := jws.ES256ToDER(signature)
		digest := sha256.Sum256([]byte("input"))
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], der) {
			t.Fatalf("%x does not verify", der)
		}
		if again := jws.ES256FromDER(der); !bytes.Equal(again, signature) {
			t.Fatalf("%x came back as %x", signature, again)
		}
	}
}

func TestLowSKeepsSignatures(t *testing.T) {
	key, _ := p256Key(t)
	digest := sha256.Sum256([]byte("input"))
	high := 0
	for range 64 {
		der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := jws.ES256FromDER(der)
		low := jws.LowS(signature)
		if !jws.IsLowS(low) || !ecdsa.VerifyASN1(&key.PublicKey, digest[:], jws.ES256ToDER(low)) {
			t.Fatalf("%x became %x", signature, low)
		}
		if !jws.IsLowS(signature) {
			high++
		}
	}
	if high == 0 {
		t.Error("of 64 signatures none had a high s")
	}
	if jws.IsLowS(nil) || jws.LowS([]byte{1}) == nil {
		t.Error("a signature of another size")
	}
}

func TestNoDERSignature(t *testing.T) {
	for _, der := range [][]byte{
		nil,
		{0x30},
		{0x30, 6, 2, 1, 1, 2, 1},
		{0x31, 6, 2, 1, 1, 2, 1, 1},
		{0x30, 7, 2, 1, 1, 2, 1, 1},
		{0x30, 6, 2, 1, 0, 2, 1, 1},
		{0x30, 6, 2, 1, 0x80, 2, 1, 1},
		{0x30, 7, 2, 2, 0, 1, 2, 1, 1},
		{0x30, 6, 2, 0, 2, 2, 1, 1},
		{0x30, 6, 3, 1, 1, 2, 1, 1},
		{0x30, 7, 2, 1, 1, 2, 1, 1, 0},
		append([]byte{0x30, 38, 2, 33, 1}, append(make([]byte, 32), 2, 1, 1)...),
	} {
		if signature := jws.ES256FromDER(der); signature != nil {
			t.Errorf("%x: %x", der, signature)
		}
	}
	if der := jws.ES256FromDER([]byte{0x30, 6, 2, 1, 1, 2, 1, 1}); len(der) != 64 {
		t.Error("the smallest signature is refused")
	}
	if jws.ES256ToDER(make([]byte, 63)) != nil {
		t.Error("63 bytes are no signature")
	}
}

func FuzzES256FromDER(f *testing.F) {
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Fuzz(func(t *testing.T, der []byte) {
		if signature := jws.ES256FromDER(der); signature != nil && !bytes.Equal(jws.ES256ToDER(signature), der) {
			t.Errorf("%x became %x", der, signature)
		}
	})
}
