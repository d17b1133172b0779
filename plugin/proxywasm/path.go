package proxywasm

import (
	"errors"
	"strings"
)

// ErrPath is returned for bytes that are no property path.
var ErrPath = errors.New("proxywasm: malformed property path")

// JoinPath writes a property path: its elements with a NUL between them. It is
// "" for a path that can't be written: without elements, or with an element
// that is empty or holds NUL.
func JoinPath(path ...string) string {
	for _, p := range path {
		if p == "" || strings.IndexByte(p, 0) >= 0 {
			return ""
		}
	}
	return strings.Join(path, "\x00")
}

// ParsePath reads what JoinPath wrote. One NUL behind the last element is
// allowed, as some SDKs write it.
func ParsePath(b []byte) ([]string, error) {
	path := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	for _, p := range path {
		if p == "" {
			return nil, ErrPath
		}
	}
	return path, nil
}
