package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

func TestEveryLengthAgreesWithTheStandardLibrary(t *testing.T) {
	for n := range 300 {
		text := strings.Repeat("0123456789abcdef.", 20)[:n]
		if soft(text) != sha256.Sum256([]byte(text)) {
			t.Fatalf("%d bytes", n)
		}
	}
	if SHA256("abc") != soft("abc") {
		t.Error("the two differ")
	}
}

func FuzzAgainstTheStandardLibrary(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("x", 1300))
	f.Fuzz(func(t *testing.T, text string) {
		if soft(text) != sha256.Sum256([]byte(text)) {
			t.Fatal("another sum")
		}
	})
}

func BenchmarkSoft(b *testing.B) {
	text := strings.Repeat("x", 1300)
	for b.Loop() {
		soft(text)
	}
}

func TestHexIsTheStandardLibrarys(t *testing.T) {
	for b := range 256 {
		var sum [Size]byte
		for i := range sum {
			sum[i] = byte(b + i*i)
		}
		if have := Hex(sum); have != hex.EncodeToString(sum[:]) {
			t.Fatalf("%x is %s", sum, have)
		}
	}
}
