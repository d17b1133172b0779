// Package host runs proxy-wasm modules (ABI 0.2.1) in Go, on wazero, as
// net/http middleware: the same bytes that Envoy runs.
//
//	f, err := host.New(ctx, wasm, configuration, host.WithTarget("opa", "http://127.0.0.1:8181"))
//	server.Handler = f.Handler(next)
//
// A request that the guest can't judge is never passed on: a trap, a spent
// deadline, an instance that doesn't come free, an unknown answer, a pause that
// nothing can end are all answered with 503.
//
// # Instances
//
// A guest's instance does one thing at a time. There is a pool of them, made as
// needed up to a cap. A request holds an instance only while the guest's code
// runs for it, not while it waits for a callout. An instance that trapped is
// closed; whatever it had under way is answered with 503, and the next request
// gets a fresh one.
//
// # What bounds a guest's time
//
// Go can't interrupt wazero's machine code, and neither can its garbage
// collector: with one guest in an endless loop the whole process stands still
// at the next collection. wazero's WithCloseOnContextDone helps, and makes hot
// loops 4 to 5 times slower. So this package adds a counter to each loop of the
// module, and to so many functions that neither recursion nor calls of calls go
// on without one (entries), before it compiles it. That costs nothing measurable
// in cryptography and up to 13 % in sorting and maps.
// Each time that 2^14 passes are used up, the guest comes by Go's scheduler, and
// a deadline that has passed ends it.
//
// Not bounded: a [Function] that ignores its context, one bulk memory
// instruction (its size is: WithMemoryLimit), and the evaluation of a Rego policy,
// which is bounded by its input and its memory of 16 MiB.
//
// # Its memory
//
// The module is also rewritten so that wazero checks fewer accesses (package
// wasmbounds). Its memory is one page larger for that than it knows, and than
// WithMemoryLimit says.
package host
