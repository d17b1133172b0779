package kest

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

func numbered(n uint64) signatureID {
	return signatureID{evidence: sha256.Sum256(binary.BigEndian.AppendUint64(nil, n)), thumbprint: "k"}
}

func TestSignatureCacheIsBounded(t *testing.T) {
	for _, size := range []int{0, 2, 64, 1000} {
		c := newSignatureCache(size)
		for n := range uint64(5000) {
			c.add(numbered(n))
			if have := len(c.young) + len(c.aged); have > size {
				t.Fatalf("a cache of %d holds %d", size, have)
			}
			if size > 0 && !c.has(numbered(n)) {
				t.Fatalf("a cache of %d forgot what was just added", size)
			}
		}
	}
}

func TestSignatureCacheKeepsWhatIsUsed(t *testing.T) {
	c := newSignatureCache(64)
	c.add(numbered(1 << 40))
	for n := range uint64(10000) {
		c.add(numbered(n))
		if n%16 == 0 && !c.has(numbered(1<<40)) {
			t.Fatalf("what is used was forgotten after %d others", n)
		}
	}
}

func TestSignatureCacheTellsKeysApart(t *testing.T) {
	c := newSignatureCache(64)
	c.add(signatureID{evidence: numbered(1).evidence, thumbprint: "a"})
	if c.has(signatureID{evidence: numbered(1).evidence, thumbprint: "b"}) {
		t.Error("good under one key counts under another")
	}
}
