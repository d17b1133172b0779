//go:build wasip1

// Command trap is policy.wasm with a fault: a request with the header
// x-test-trap ends the whole VM, one with x-test-panic panics in a callback.
package main

import (
	"sync"

	"kest.example/kest/plugin"
	"kest.example/kest/plugin/proxywasm"
	"kest.example/kest/plugin/vm"
	"kest.example/kest/policy/cedar"
)

type faulty struct {
	proxywasm.VM
	host proxywasm.Host
}

// RequestHeaders implements proxywasm.VM.
func (f faulty) RequestHeaders(id uint32, n int, end bool) proxywasm.Action {
	pairs, _ := f.host.Pairs(proxywasm.RequestHeaders)
	for _, p := range pairs {
		switch p.Name {
		case "x-test-trap":
			trap(p.Value)
		case "x-test-panic":
			panic("as the test asked")
		}
	}
	return f.VM.RequestHeaders(id, n, end)
}

var hold [][]byte

// trap ends the VM in one of the ways in which Go's runtime gives up, none of
// which recover can catch.
func trap(how string) {
	switch how {
	case "throw":
		var mu sync.Mutex
		mu.Unlock()
	case "memory":
		for {
			hold = append(hold, make([]byte, 64<<20))
		}
	case "stack":
		println(deeper(1))
	case "deadlock":
		select {}
	}
}

func deeper(n int) int { return deeper(n+1) + n }

func init() {
	proxywasm.Run(func(host proxywasm.Host) proxywasm.VM {
		return faulty{vm.New(host, vm.Options{
			Cedar: func(p map[string]string) (plugin.LocalEngine, error) { return cedar.New(p, nil) },
		}), host}
	})
}

func main() {}
