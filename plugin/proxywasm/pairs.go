package proxywasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"
)

// Pair is one header field.
type Pair struct{ Name, Value string }

// Bounds of one header map. Envoy's are the same.
const (
	MaxPairs     = 1024
	MaxPairsSize = 1 << 20
)

// ErrPairs is returned for bytes that are no header map.
var ErrPairs = errors.New("proxywasm: malformed header map")

// AppendPairs adds a header map in the ABI's layout to dst: the number of
// pairs, the lengths of each name and value (all uint32, little-endian), then
// each name and value with a NUL after it. No pairs are no bytes. Names and
// values must not hold NUL.
func AppendPairs(dst []byte, pairs []Pair) []byte {
	if len(pairs) == 0 {
		return dst
	}
	dst = appendSize(dst, len(pairs))
	for _, p := range pairs {
		dst = appendSize(dst, len(p.Name))
		dst = appendSize(dst, len(p.Value))
	}
	for _, p := range pairs {
		dst = append(append(dst, p.Name...), 0)
		dst = append(append(dst, p.Value...), 0)
	}
	return dst
}

func appendSize(dst []byte, n int) []byte {
	return binary.LittleEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // a guest's memory ends at 4 GiB
}

// ParsePairs reads what AppendPairs wrote. No bytes, one zero byte, and a
// count of zero are an empty map. Names and values with a NUL inside are
// refused: their length and their end would disagree. The pairs share one
// string.
func ParsePairs(b []byte) ([]Pair, error) {
	if len(b) > MaxPairsSize {
		return nil, ErrPairs
	}
	return parsePairs(bytes.Clone(b))
}

// parsePairs is ParsePairs for bytes that nobody else has: the pairs share them.
func parsePairs(b []byte) ([]Pair, error) {
	if len(b) == 0 || len(b) == 1 && b[0] == 0 {
		return nil, nil
	}
	if len(b) < 4 || len(b) > MaxPairsSize {
		return nil, ErrPairs
	}
	count := binary.LittleEndian.Uint32(b)
	if count > MaxPairs || len(b) < 4+8*int(count) {
		return nil, ErrPairs
	}
	sizes := b[4 : 4+8*count]
	rest := b[4+8*count:]
	text := unsafe.String(unsafe.SliceData(rest), len(rest)) // nobody writes it any more
	if count == 0 && text == "" {
		return nil, nil
	}
	pairs := make([]Pair, count)
	ok := true
	for i := range pairs {
		pairs[i].Name, text, ok = takeText(text, sizes[8*i:], ok)
		pairs[i].Value, text, ok = takeText(text, sizes[8*i+4:], ok)
	}
	if !ok || text != "" {
		return nil, ErrPairs
	}
	return pairs, nil
}

// takeText cuts off as many bytes as size says and the NUL behind them.
func takeText(text string, size []byte, before bool) (part, rest string, ok bool) {
	n := uint64(binary.LittleEndian.Uint32(size))
	if !before || n >= uint64(len(text)) || text[n] != 0 {
		return "", "", false
	}
	part, rest = text[:n], text[n+1:]
	return part, rest, strings.IndexByte(part, 0) < 0
}
