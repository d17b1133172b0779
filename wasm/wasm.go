// Package wasm has the filters that build.sh built. The built files are not in
// git: a program that is compiled without them gets an UnbuiltError.
package wasm

import "embed"

// The pattern also takes this file, so that it matches where nothing is built.
//
//go:embed *
var files embed.FS

// UnbuiltError says that a filter was not built when this program was.
type UnbuiltError struct{ File string }

func (e *UnbuiltError) Error() string {
	return "wasm: " + e.File + " was not built when this program was compiled: run make wasm, then compile again"
}

// Policy returns policy.wasm, the whole hook. The error is an *UnbuiltError.
func Policy() ([]byte, error) { return read("policy.wasm") }

// Lineage returns lineage.wasm, verification only. The error is an *UnbuiltError.
func Lineage() ([]byte, error) { return read("lineage.wasm") }

func read(name string) ([]byte, error) {
	b, err := files.ReadFile(name)
	if err != nil {
		return nil, &UnbuiltError{name}
	}
	return b, nil
}
