package soft

import (
	"crypto/sha512"
	"testing"
)

func TestSHA512(t *testing.T) {
	data := make([]byte, 600)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for n := range data {
		for _, cut := range []int{0, n / 3, n / 2, n} {
			var s sha512State
			var digest [64]byte
			s.reset()
			s.write(data[:cut])
			s.write(data[cut:n])
			s.sum(&digest)
			if digest != sha512.Sum512(data[:n]) {
				t.Fatalf("%d bytes, cut at %d", n, cut)
			}
		}
	}
}
