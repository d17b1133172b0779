package regopolicy

import (
	"time"
	"unsafe"

	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/regoinfo"
)

// The imports are those of package regolink, which links them: the file that is
// shipped imports neither.

//go:wasmimport kest_policy info
func policyInfo(out unsafe.Pointer, room uint32) uint32

//go:wasmimport kest_policy eval
func policyEval(entry uint32, input unsafe.Pointer, n uint32, out unsafe.Pointer, room uint32) int32

// state is what a VM's one evaluation at a time needs. What built-ins are given
// and give is held here, so that the collector leaves it alone meanwhile.
var state struct {
	builtins          map[uint32]string
	nowMS             int64
	out               [regoinfo.ResultRoom]byte
	arguments, result []byte
	failed            string
	kept              keptInput
}

// linked returns the module that is linked in, and its Info's text; nil where
// there is none.
func linked() (module, []byte) {
	n := policyInfo(unsafe.Pointer(&state.out), 0)
	if n == 0 {
		return nil, nil
	}
	text := make([]byte, n)
	policyInfo(unsafe.Pointer(unsafe.SliceData(text)), n)
	return inside{}, text
}

func serve(info *regoinfo.Info) { state.builtins = info.Builtins }

type inside struct{}

func (inside) kept() *keptInput { return &state.kept }

func (inside) evaluate(entry uint32, nowMS int64, input []byte) ([]byte, error) {
	state.nowMS, state.failed = nowMS, ""
	n := policyEval(entry, unsafe.Pointer(unsafe.SliceData(input)), uint32(len(input)), unsafe.Pointer(&state.out), uint32(len(state.out))) //nolint:gosec // memory ends at 4 GiB
	state.arguments, state.result = nil, nil
	switch {
	case state.failed != "":
		return nil, &regoinfo.AbortError{Text: "the built-in " + state.failed + " failed"}
	case n < 0:
		return nil, &regoinfo.AbortError{Text: string(state.out[:min(-1-int(n), len(state.out))])}
	}
	return state.out[:min(int(n), len(state.out))], nil // one that is cut off allows nothing
}

//go:wasmexport kest_builtin_room
func builtinRoom(n uint32) uint32 {
	state.arguments = make([]byte, max(n, 1))
	return address(state.arguments)
}

//go:wasmexport kest_builtin
func builtin(id, n uint32) (result uint64) {
	state.failed = state.builtins[id]
	defer func() {
		if recover() != nil {
			result = 0 // the built-in failed, and so does the evaluation
		}
	}()
	if uint64(n) > uint64(len(state.arguments)) {
		return 0
	}
	out, err := regocall.Call(state.failed, state.arguments[:n], time.UnixMilli(state.nowMS))
	if err != nil || len(out) == 0 {
		return 0
	}
	state.result, state.failed = out, ""
	return uint64(address(out))<<32 | uint64(len(out))
}

func address(b []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) //nolint:gosec // memory ends at 4 GiB
}
