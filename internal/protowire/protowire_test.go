package protowire_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	own "kest.example/kest/internal/protowire"
)

func TestAppendBytesIsProtobuf(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 300)
	want := protowire.AppendTag(nil, 4, protowire.BytesType)
	want = protowire.AppendBytes(want, long)
	if have := own.AppendBytes(nil, 4, long); !bytes.Equal(have, want) {
		t.Errorf("%x, want %x", have, want)
	}
}

func TestOutcome(t *testing.T) {
	good := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	good = protowire.AppendBytes(protowire.AppendTag(good, 2, protowire.BytesType), []byte("signature"))
	good = protowire.AppendString(protowire.AppendTag(good, 3, protowire.BytesType), "no error")
	if ok, value := own.Outcome(good); !ok || string(value) != "signature" {
		t.Errorf("%v %q", ok, value)
	}
	for _, message := range [][]byte{
		nil,
		{0x08},
		{0x08, 0},
		{0x08, 2},
		{0x12, 5, 'a'},
		{0x08, 1, 0x12, 0xff},
		{0x09, 1},
		{0x80},
		bytes.Repeat([]byte{0xff}, 12), good[:len(good)-3],
	} {
		if ok, _ := own.Outcome(message); ok {
			t.Errorf("%x is a success", message)
		}
	}
}

func FuzzOutcome(f *testing.F) {
	f.Add([]byte{0x08, 1, 0x12, 1, 'a'})
	f.Fuzz(func(_ *testing.T, message []byte) { own.Outcome(message) })
}
