// Package proxywasm is the proxy-wasm ABI 0.2.1: names, numbers, layouts, and
// the two interfaces that meet at the border of a Wasm module. Guests and the
// Go host share it. [Host] is what a plugin may ask for, [VM] what a host may
// call.
//
// A guest is a main package that registers its VM before main would run, since
// main is never called in a module built with -buildmode=c-shared:
//
//	func init() { proxywasm.Run(func(h proxywasm.Host) proxywasm.VM { return newFilter(h) }) }
//	func main() {}
//
// Panics are dealt with (see [Guard]). A guest must not call os.Exit: in Envoy
// it returns, and the callback goes on. The runtime's own fatal errors trap.
//
// Specification: https://github.com/proxy-wasm/spec, abi-versions/v0.2.1.
package proxywasm
