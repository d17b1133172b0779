//go:build wasip1

// Command empty is a filter that lets everything pass: what a Go guest costs by itself.
package main

import "kest.example/kest/plugin/proxywasm"

type vm struct{ proxywasm.BaseVM }

func (vm) RequestHeaders(uint32, int, bool) proxywasm.Action { return proxywasm.Continue }

func init() { proxywasm.Run(func(proxywasm.Host) proxywasm.VM { return vm{} }) }

func main() {}
