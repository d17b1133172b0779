//go:build wasip1

// Command lineage is verification only as a proxy-wasm filter: it verifies,
// refuses and strips, and publishes the verdict. It has no identity and no
// engine and never signs. Build it with build.sh.
package main

import (
	"kest.example/kest/plugin/proxywasm"
	"kest.example/kest/plugin/vm"
)

func init() {
	proxywasm.Run(func(host proxywasm.Host) proxywasm.VM {
		return vm.New(host, vm.Options{VerifyOnly: true})
	})
}

func main() {}
