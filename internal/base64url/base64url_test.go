package base64url

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// Every length and value: as the standard library writes it.
func TestEncode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		src := make([]byte, n, n+n%3)
		for range 50 {
			for i := range src {
				src[i] = byte(random.Uint32())
			}
			want := "x" + base64.RawURLEncoding.EncodeToString(src)
			if have := string(AppendEncode([]byte("x"), src)); have != want {
				t.Fatalf("%x became %s, want %s", src, have, want)
			}
			have, err := AppendDecode(make([]byte, 1, 1+random.IntN(2*n+4)), want[1:])
			if err != nil || !bytes.Equal(have[1:], src) {
				t.Fatalf("%s became %x, want %x (%v)", want, have, src, err)
			}
		}
	}
}

// Each byte in each place of a text of each length up to 20.
func TestDecodeKnowsTheAlphabet(t *testing.T) {
	for n := range 20 {
		text := []byte(strings.Repeat("A", n))
		for at := range text {
			for c := range 256 {
				text[at] = byte(c)
				want, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
				if c == '\r' || c == '\n' || err != nil {
					want = nil
				}
				have, err := Decode(string(text))
				if (err != nil) != (want == nil && n > 0) || !bytes.Equal(have, want) {
					t.Fatalf("%q became %x (%v), want %x", text, have, err, want)
				}
			}
			text[at] = 'A'
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "A", "AA", "AB", "AAA", "AAB", "AAAA", "-_-_-_-_", "AAAA\nAAAA", "AAAAAAA=", "ÄAAAAAAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := base64.RawURLEncoding.Strict().DecodeString(s)
		ok := err == nil && !strings.ContainsAny(s, "\r\n")
		have, err := AppendDecode([]byte("before"), s)
		if (err == nil) != ok {
			t.Fatalf("%q: %v, and the standard library %v", s, err, ok)
		}
		if ok && !bytes.Equal(have, append([]byte("before"), want...)) {
			t.Fatalf("%q became %x, want %x behind before", s, have, want)
		}
		if ok && string(AppendEncode(nil, want)) != s {
			t.Fatalf("%q is not the text of %x", s, want)
		}
	})
}
