// Package regolink links a policy module with the guest that asks it (DESIGN 3,
// "Rego inside the proxy"), and reads what that made.
//
// A policy module is Rego that OPA has compiled, as policy/rego/regowasm makes
// it fit: one memory of its own, and
//
//	exports  memory
//	         kest_input(n i32) → address     where n bytes of input belong, JSON
//	         kest_eval(entry, n i32) → i64   evaluates; length<<32 | address of the result, JSON;
//	                                         n = 0 takes the input before
//	         kest_length(address i32) → i32  of a text that ends with 0
//	imports  kest_shim.abort(address i32)    a text that ends with 0; doesn't return
//	         kest_shim.builtin(id, address, n i32) → i32
//	                                         calls a built-in that the embedder has on
//	                                         an array of n bytes, as OPA dumps values;
//	                                         the result's length, below 0 for a failure
//	         kest_shim.result(address i32)   writes that result
//
// The guest imports kest_policy.eval and kest_policy.info and exports memory,
// kest_builtin and kest_builtin_room. Between the two stands a shim of a few
// functions: it copies from one memory to the other, and turns an abort, which
// is a WebAssembly exception, into an answer.
package regolink

// What guest, shim and policy module call each other's functions.
const (
	ModulePolicy = "kest_policy" // by which the guest knows the shim
	FnEval       = "eval"        // (entry, input, n, out, room i32) → i32: see below
	FnInfo       = "info"        // (out, room i32) → i32

	ModuleShim = "kest_shim" // by which the policy module knows it
	FnAbort    = "abort"
	FnBuiltin  = "builtin"
	FnResult   = "result"

	ExportMemory = "memory"
	ExportInput  = "kest_input"
	ExportEval   = "kest_eval"
	ExportLength = "kest_length"

	ExportBuiltin     = "kest_builtin"      // (id, n i32) → i64: address<<32 | length of the result; 0 is a failure
	ExportBuiltinRoom = "kest_builtin_room" // (n i32) → address of that much room for the arguments
)

const (
	moduleGuest = "kest_guest"
	moduleRego  = "kest_rego"
)

// Under these names a guest that is linked with the stub exports what a policy
// takes the place of.
const (
	stubEval = ModulePolicy + "." + FnEval
	stubInfo = ModulePolicy + "." + FnInfo
)
