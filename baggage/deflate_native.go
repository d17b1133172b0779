//go:build !wasip1

package baggage

import internaldeflate "kest.example/kest/internal/deflate"

func deflate(text []byte) ([]byte, bool) {
	stream, err := internaldeflate.Zlib(text)
	return stream, err == nil
}
