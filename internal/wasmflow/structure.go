package wasmflow

import (
	"fmt"
	"slices"
	"strings"

	"kest.example/kest/internal/wasmbin"
)

// An address of code is the number of a function, from FirstFunction on, and in
// its low bits the value of local 0 (Go, cmd/internal/obj/wasm).
const (
	FirstFunction = 0x1000
	ValueBits     = 16
)

// deferReturn is what Go calls at the end of a function with deferred calls. To
// recover from a panic, it comes back in front of that call.
const deferReturn = "runtime.deferreturn"

// Structure rewrites the functions of a module that Go compiled. names are the
// module's names of functions; in a module without any nothing is rewritten,
// since nobody knows then where a recovered panic comes back. It returns how many
// are in the new form, and the names of those that are in Go's and could not be
// rewritten.
func Structure(m *wasmbin.Module, names map[uint32]string) (done int, left []string, err error) {
	if len(names) == 0 {
		return 0, nil, nil
	}
	first := m.Imported(wasmbin.FunctionKind)
	entries, err := findEntries(m, names)
	if err != nil {
		return 0, nil, err
	}
	ends := func(function uint64) bool { return neverReturns(names[uint32(function)]) } //nolint:gosec // an index
	for i, body := range m.Code {
		f, ok, err := parse(body, ends)
		if err != nil {
			return 0, nil, fmt.Errorf("function %d: %w", i, err)
		}
		if !ok {
			continue
		}
		name := names[first+uint32(i)]
		w, g, ok := newFlow(f, entries[i])
		if ok {
			body, ok = emit(w, g)
		}
		if !ok {
			left = append(left, name)
			continue
		}
		m.Code[i] = body
		done++
	}
	return done, left, nil
}

// findEntries lists for each function the values of local 0, other than 0, with
// which it is entered: those in addresses to which something returns.
func findEntries(m *wasmbin.Module, names map[uint32]string) (entries map[int][]int, err error) {
	entries = map[int][]int{}
	for i, body := range m.Code {
		_, steps, err := wasmbin.Body(body)
		if err != nil {
			return nil, fmt.Errorf("function %d: %w", i, err)
		}
		for at, s := range steps {
			function, value := address(s)
			if value == 0 || function >= len(m.Code) || at+1 == len(steps) || steps[at+1].Op != wasmbin.OpI64Store {
				continue
			}
			called := names[calledWith(steps[at:])]
			if !neverReturns(called) {
				entries[function] = append(entries[function], value)
			}
			if called == deferReturn {
				entries[function] = append(entries[function], value-1)
			}
		}
	}
	return entries, nil
}

// address takes one apart, into a function and a value of local 0.
func address(i wasmbin.Instruction) (function, value int) {
	number := i.Immediate >> ValueBits
	if i.Op != wasmbin.OpI64Const || number < FirstFunction || number > 1<<32 {
		return 0, 0
	}
	return int(number - FirstFunction), int(i.Immediate & (1<<ValueBits - 1))
}

// calledWith is the function that is called with an address to return to, which
// is put on Go's stack before. Where it isn't known, it is one that has no name.
func calledWith(steps []wasmbin.Instruction) uint32 {
	if len(steps) > 3 && steps[1].Op == wasmbin.OpI64Store && steps[2].Op == wasmbin.OpI32Const && steps[3].Op == wasmbin.OpCall {
		return uint32(steps[3].Immediate) //nolint:gosec // an index
	}
	return 1<<32 - 1
}

// neverReturns reports whether Go's compiler takes it that a function doesn't
// return (cmd/compile/internal/ssagen): behind a call to it, it writes nothing,
// and some other block follows.
func neverReturns(name string) bool {
	name, ok := strings.CutPrefix(name, "runtime.")
	return ok && (strings.HasPrefix(name, "goPanic") || slices.Contains(endings, name))
}

var endings = []string{
	"sigpanic", "throw", "throwinit", "gopanic", "block", "panicwrap", "panicdivide", "panicshift", "panicoverflow",
	"panicdottypeE", "panicdottypeI", "panicnildottype", "panicmakeslicelen", "panicmakeslicecap",
	"panicunsafeslicelen", "panicunsafeslicenilptr", "panicunsafestringlen", "panicunsafestringnilptr", "panicrangestate",
}
