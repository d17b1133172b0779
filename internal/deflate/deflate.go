// Package deflate makes zlib streams (RFC 1950) with writers that are used
// again: a new one takes most of a megabyte.
package deflate

import (
	"bytes"
	"compress/zlib"
	"io"
	"sync"
)

var writers = sync.Pool{New: func() any { return zlib.NewWriter(io.Discard) }}

// Zlib compresses text at the default level.
func Zlib(text []byte) ([]byte, error) {
	z, ok := writers.Get().(*zlib.Writer)
	if !ok {
		z = zlib.NewWriter(io.Discard)
	}
	defer writers.Put(z)
	var b bytes.Buffer
	z.Reset(&b)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
