package vm

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

func TestAheadGivesEveryByteOfItsSourceOnce(t *testing.T) {
	want := make([]byte, 3*512)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	a := &ahead{source: iotest.OneByteReader(bytes.NewReader(want))}
	var got []byte
	for n := 1; len(got)+n <= len(want); n++ {
		p := make([]byte, n)
		if _, err := io.ReadFull(a, p); err != nil {
			t.Fatal(err)
		}
		got = append(got, p...)
		if kept := a.bytes[:len(a.bytes)-a.left]; !bytes.Equal(kept, make([]byte, len(kept))) {
			t.Fatal("bytes that were given are still there")
		}
	}
	if !bytes.Equal(got, want[:len(got)]) {
		t.Error("other bytes than the source's")
	}
}

func TestAheadWithoutASource(t *testing.T) {
	a := &ahead{source: bytes.NewReader(make([]byte, 100))}
	if n, err := a.Read(make([]byte, 10)); err == nil || n != 0 {
		t.Errorf("%d bytes, %v of a source that ends", n, err)
	}
}
