package inflate

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math/rand"
	"strings"
	"testing"
)

func deflated(t testing.TB, text []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatTheStandardLibraryWrites(t *testing.T) {
	random := make([]byte, 70000)
	rand.New(rand.NewSource(1)).Read(random)
	for _, text := range [][]byte{
		nil, []byte("a"), []byte(strings.Repeat("abc", 1000)), random, bytes.Repeat([]byte{0}, 100000),
		append(bytes.Repeat(random[:300], 20), random...),
	} {
		for _, level := range []int{zlib.NoCompression, zlib.BestSpeed, zlib.BestCompression, zlib.HuffmanOnly} {
			got, err := Zlib(deflated(t, text, level), len(text))
			if err != nil || !bytes.Equal(got, text) {
				t.Fatalf("%d bytes at level %d: %v", len(text), level, err)
			}
		}
	}
}

func TestBound(t *testing.T) {
	bomb := deflated(t, bytes.Repeat([]byte{0}, 10<<20), zlib.BestCompression)
	if _, err := Zlib(bomb, 1000); !errors.Is(err, ErrBound) {
		t.Errorf("error %v, want ErrBound", err)
	}
}

func TestRefused(t *testing.T) {
	good := deflated(t, []byte("hello hello hello"), zlib.DefaultCompression)
	for name, stream := range map[string][]byte{
		"empty": {}, "header": good[:2], "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0),
		"checksum": append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), "method": append([]byte{0x79, 0x9c}, good[2:]...),
		"dictionary": append([]byte{0x78, 0xbb}, good[2:]...), "twice": append(bytes.Clone(good), good...),
	} {
		if _, err := Zlib(stream, 1000); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v, want ErrFormat", name, err)
		}
	}
}

// FuzzAgainstStandardLibrary: both read the same streams to the same bytes.
func FuzzAgainstStandardLibrary(f *testing.F) {
	for _, level := range []int{zlib.NoCompression, zlib.BestCompression, zlib.HuffmanOnly} {
		f.Add(deflated(f, []byte(`["eyJhbGciOiJFZERTQSJ9.eyJhIjoxfQ.AAAA","eyJhbGciOiJFZERTQSJ9"]`), level))
	}
	f.Add([]byte{0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01})
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 1 << 16
		got, err := Zlib(stream, limit)
		want, wantErr := standard(stream, limit)
		if errors.Is(err, ErrBlocks) {
			return // the standard library takes any number
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, the standard library says %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%x, the standard library says %x", got, want)
		}
	})
}

func standard(stream []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(stream)
	z, err := zlib.NewReader(in)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err == nil && (len(text) > limit || in.Len() > 0) {
		err = ErrBound
	}
	return text, err
}
