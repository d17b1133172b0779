//go:build !wasip1

package baggage

import (
	"bytes"
	"compress/zlib"
)

func deflate(text []byte) ([]byte, bool) {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	if _, err := z.Write(text); err != nil {
		return nil, false
	}
	if err := z.Close(); err != nil {
		return nil, false
	}
	return buf.Bytes(), true
}
