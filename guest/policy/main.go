//go:build wasip1

// Command policy is the whole hook as a proxy-wasm filter: it verifies,
// decides and signs. Build it with build.sh.
package main

import (
	"kest.example/kest/plugin"
	"kest.example/kest/plugin/proxywasm"
	"kest.example/kest/plugin/regopolicy"
	"kest.example/kest/plugin/vm"
	"kest.example/kest/policy/cedar"
)

func init() {
	proxywasm.Run(func(host proxywasm.Host) proxywasm.VM {
		return vm.New(host, vm.Options{Cedar: newCedar, Rego: regopolicy.New})
	})
}

func newCedar(policies map[string]string) (plugin.LocalEngine, error) {
	return cedar.New(policies, nil)
}

func main() {}
