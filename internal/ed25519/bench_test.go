package ed25519_test

import (
	"bytes"
	stded25519 "crypto/ed25519"
	"fmt"
	"testing"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"kest.example/kest/internal/ed25519"
)

// benchMessage is as long as the signing input of an entry.
var benchMessage = bytes.Repeat([]byte("0123456789"), 120)

func benchSeed(i int) []byte { return bytes.Repeat([]byte{byte(i), 1}, ed25519.SeedSize/2) }

func benchChecks(b *testing.B, n int) []ed25519.Check {
	b.Helper()
	checks := make([]ed25519.Check, n)
	for i := range checks {
		private := mustPrivate(b, benchSeed(i))
		checks[i] = ed25519.Check{
			Key: mustPublic(b, private.Public()), Message: benchMessage, Signature: private.Sign(benchMessage),
		}
	}
	return checks
}

func BenchmarkSign(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		private := mustPrivate(b, benchSeed(0))
		for b.Loop() {
			private.Sign(benchMessage)
		}
	})
	b.Run("std", func(b *testing.B) {
		b.ReportAllocs()
		private := stded25519.NewKeyFromSeed(benchSeed(0))
		for b.Loop() {
			stded25519.Sign(private, benchMessage)
		}
	})
	b.Run("voi", func(b *testing.B) {
		b.ReportAllocs()
		private := voi.NewKeyFromSeed(benchSeed(0))
		for b.Loop() {
			voi.Sign(private, benchMessage)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	check := benchChecks(b, 1)[0]
	encoded := check.Key.Bytes()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !check.Key.Verify(check.Message, check.Signature) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("ours, new key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !mustPublic(b, encoded).Verify(check.Message, check.Signature) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("std", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			stded25519.Verify(encoded, check.Message, check.Signature)
		}
	})
	b.Run("voi", func(b *testing.B) {
		b.ReportAllocs()
		key, err := voi.NewExpandedPublicKey(encoded)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			voi.VerifyExpanded(key, check.Message, check.Signature)
		}
	})
	b.Run("voi, new key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			voi.Verify(encoded, check.Message, check.Signature)
		}
	})
}

// BenchmarkVerifyBatch is of distinct keys.
func BenchmarkVerifyBatch(b *testing.B) {
	for _, n := range []int{1, 2, 3, 4, 5, 6, 8, 10, 32, 100} {
		checks := benchChecks(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !ed25519.VerifyBatch(checks) {
					b.Fatal("refused")
				}
			}
		})
		b.Run(fmt.Sprintf("%d, std", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, c := range checks {
					stded25519.Verify(c.Key.Bytes(), c.Message, c.Signature)
				}
			}
		})
		b.Run(fmt.Sprintf("%d, voi", n), func(b *testing.B) {
			b.ReportAllocs()
			keys := make([]*voi.ExpandedPublicKey, n)
			for i, c := range checks {
				keys[i], _ = voi.NewExpandedPublicKey(c.Key.Bytes())
			}
			for b.Loop() {
				batch := voi.NewBatchVerifierWithCapacity(n)
				for i, c := range checks {
					batch.AddExpanded(keys[i], c.Message, c.Signature)
				}
				batch.VerifyBatchOnly(nil)
			}
		})
	}
}
