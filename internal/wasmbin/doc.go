// Package wasmbin takes WebAssembly modules apart, puts them together again and
// links several into one (WebAssembly core specification 3.0, section 5).
//
// It knows what the modules of this project use: the instructions of release
// 2.0 without vectors, several memories, exceptions with try_table, and tail
// calls. Anything else is an error that wraps ErrMalformed, never a guess.
package wasmbin

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are no module, or one
// that this package doesn't know how to handle.
var ErrMalformed = errors.New("wasm: malformed module")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
