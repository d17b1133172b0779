package aws_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"slices"
	"testing"

	"kest.example/kest"
)

// KMS takes 4096 bytes as they are; of more it gets the digest, and the
// signature is the same kind.
func TestLongInputs(t *testing.T) {
	for _, spec := range []string{"ECC_NIST_P256", "RSA_2048"} {
		s := newServer(t)
		keyID := s.add(spec)
		id := identity(t, open(t, s, keyID))
		for _, c := range []struct {
			size        int
			messageType string
		}{{1, "RAW"}, {4096, "RAW"}, {4097, "DIGEST"}, {1 << 20, "DIGEST"}} {
			input := bytes.Repeat([]byte("k"), c.size)
			digest := sha256.Sum256(input)
			message := input
			if c.messageType == "DIGEST" {
				message = digest[:]
			}
			signature, err := id.Signer.Sign(context.Background(), input)
			if err != nil {
				t.Fatal(err)
			}
			asked := s.requests()
			if len(asked) != 1 || asked[0].MessageType != c.messageType || !bytes.Equal(asked[0].Message, message) {
				t.Errorf("%s: of %d bytes KMS was asked for %s of %d bytes", spec, c.size, asked[0].MessageType, len(asked[0].Message))
			}
			if !holds(s.keys[keyID].private.Public(), digest[:], signature) {
				t.Errorf("%s: the signature of %d bytes doesn't verify", spec, c.size)
			}
		}
	}
}

// holds checks a signature as JWS has it (RFC 7518 section 3).
func holds(public crypto.PublicKey, digest, signature []byte) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return len(signature) == 64 && ecdsa.Verify(key, digest, r, s)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	}
	return false
}

// An Ed25519 key in KMS signs no digest as JWS wants it, so longer inputs are
// refused before KMS is asked. Session keys sign them, under the same key.
func TestLongInputOfEd25519(t *testing.T) {
	s := newServer(t)
	id := identity(t, open(t, s, s.add("ECC_NIST_EDWARDS25519")))
	if _, err := id.Signer.Sign(context.Background(), make([]byte, 4096)); err != nil {
		t.Errorf("4096 bytes: %v", err)
	}
	signature, err := id.Signer.Sign(context.Background(), make([]byte, 4097))
	if signature != nil || !errors.Is(err, kest.ErrConfiguration) || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("4097 bytes: %v", err)
	}
	if n := s.count("Sign"); n != 1 {
		t.Errorf("KMS was asked %d times", n)
	}
}

// What KMS answers is believed only when it is a signature of the input under
// the key, in the one DER form that there is.
func TestBrokenSignatures(t *testing.T) {
	s := newServer(t)
	p256, rsaKey, edKey := s.add("ECC_NIST_P256"), s.add("RSA_2048"), s.add("ECC_NIST_EDWARDS25519")
	ec, ok := s.keys[p256].private.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("no P-256 key")
	}
	digest := sha256.Sum256([]byte("input"))
	good := shortDER(t, ec, digest[:])
	other := sha256.Sum256([]byte("another input"))
	otherwise, err := ec.Sign(rand.Reader, other[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	long := slices.Concat([]byte{0x30, 0x81, good[1]}, good[2:])
	padded := slices.Concat([]byte{0x30, good[1] + 1, 2, good[3] + 1, 0}, good[4:])
	order := elliptic.P256().Params().N.Bytes()
	for name, body := range map[string]http.HandlerFunc{
		"half JSON":        raw(`{"KeyId":"x","Signature":"MEUC`),
		"no JSON":          raw(`<html>`),
		"nothing":          raw(``),
		"a list":           raw(`[]`),
		"no signature":     raw(`{"KeyId":"x"}`),
		"null":             raw(`{"Signature":null}`),
		"no base64":        raw(`{"Signature":"%%%"}`),
		"empty":            signatureIs(nil),
		"of another input": signatureIs(otherwise),
		"R||S":             signatureIs(make([]byte, 64)),
		"trailing byte":    signatureIs(append(slices.Clone(good), 0)),
		"cut off":          signatureIs(good[:len(good)-1]),
		"long form":        signatureIs(long),
		"padded R":         signatureIs(padded),
		"zeros":            signatureIs([]byte{0x30, 6, 2, 1, 0, 2, 1, 0}),
		"negative":         signatureIs([]byte{0x30, 6, 2, 1, 0x80, 2, 1, 0x80}),
		"R is the order":   signatureIs(slices.Concat([]byte{0x30, 38, 2, 33, 0}, order, []byte{2, 1, 1})),
		"256 zeros":        signatureIs(make([]byte, 256)),
	} {
		s.set("Sign", body)
		for _, keyID := range []string{p256, rsaKey, edKey} {
			signature, err := identity(t, open(t, s, keyID)).Signer.Sign(context.Background(), []byte("input"))
			if signature != nil || !errors.Is(err, kest.ErrUnavailable) || errors.Is(err, kest.ErrConfiguration) {
				t.Errorf("%s: %d bytes, %v", name, len(signature), err)
			}
		}
	}
	s.set("Sign", signatureIs(good))
	if signature, err := identity(t, open(t, s, p256)).Signer.Sign(context.Background(), []byte("input")); err != nil || len(signature) != 64 {
		t.Errorf("the good one, with a short R: %d bytes, %v", len(signature), err)
	}
}

func signatureIs(b []byte) http.HandlerFunc {
	return raw(`{"KeyId":"x","Signature":"` + base64.StdEncoding.EncodeToString(b) + `"}`)
}

// shortDER makes a signature whose R has fewer than 32 bytes, which R||S pads.
func shortDER(t *testing.T, key *ecdsa.PrivateKey, digest []byte) []byte {
	t.Helper()
	for {
		der, err := key.Sign(rand.Reader, digest, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if der[3] < 32 {
			return der
		}
	}
}
