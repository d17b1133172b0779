// Command wasmshrink makes the code of a module that Go built smaller and
// faster without changing what it does, and drops its custom sections.
//
//	wasmshrink IN OUT
//
// Go's compiler writes every jump as a way through a table of all blocks; here
// they become the loops and branches that WebAssembly has (package wasmflow).
//
// Before every call it writes the same nine instructions, which push a return
// address onto Go's own stack: 20 bytes, 25,000 times in a guest. wasmshrink
// puts them into one function that is called instead. Envoy compiles every byte
// of a module before it serves, so that is start-up time. Functions in which
// speed counts keep theirs. In all of them the way to a larger stack, which is
// seldom taken, is shared too, and so are calls that panic; instructions that do
// nothing go, an address that is narrowed to 32 bits is kept, a frame is reached
// by one pointer, and a negated comparison is the opposite one.
//
// Go's own functions that look at texts byte by byte are replaced by ones that
// take more at a time, and short copies and fills are done in place.
//
// A guest that asks a policy module (package regolink) is linked with a stub
// that has none, so that it imports nothing which a proxy lacks.
package main

import (
	"fmt"
	"os"

	"kest.example/kest/internal/regolink"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: wasmshrink IN OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "wasmshrink:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	module, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	small, err := shrink(module)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if small, err = regolink.Stub(small); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return os.WriteFile(out, small, 0o644) //nolint:gosec // a build product that everybody may read
}
