//go:build wasip1

// Command bench runs the stages of test/bench/stages inside a guest.
package main

import "kest.example/kest/test/bench/stages"

var run func() error

//go:wasmexport prepare
func prepare(stage int32) { run = stages.All()[stage].Prepare() }

//go:wasmexport repeat
func repeat(n int32) int32 {
	for range n {
		if run() != nil {
			return 0
		}
	}
	return 1
}

func main() {}
