package regolink

import "kest.example/kest/internal/wasmbin"

const (
	i32, i64 = wasmbin.I32, wasmbin.I64

	guestMemory, policyMemory = 0, 1
)

// shimBuilder numbers the shim's functions: imports first, then its own.
type shimBuilder struct {
	m wasmbin.Module
}

func (s *shimBuilder) memory(module string) {
	s.m.Imports = append(s.m.Imports, wasmbin.Import{Module: module, Name: ExportMemory, Kind: wasmbin.MemoryKind})
}

func (s *shimBuilder) imported(module, name string, params, results []byte) uint32 {
	s.m.Imports = append(s.m.Imports, wasmbin.Import{
		Module: module, Name: name, Kind: wasmbin.FunctionKind, Type: s.m.AddType(params, results),
	})
	return s.m.Imported(wasmbin.FunctionKind) - 1
}

func (s *shimBuilder) exported(name string, params, results, body []byte) {
	index := s.m.AddFunction(s.m.AddType(params, results), body)
	s.m.Exports = append(s.m.Exports, wasmbin.Export{Name: name, Kind: wasmbin.FunctionKind, Index: index})
}

// ints are n parameters or results of type i32.
func ints(n int) []byte {
	list := make([]byte, n)
	for i := range list {
		list[i] = i32
	}
	return list
}

// stub is the shim of no policy at all: info answers 0, eval that it aborted.
func stub() *wasmbin.Module {
	s := &shimBuilder{}
	s.exported(FnEval, ints(5), ints(1), new(wasmbin.Code).I32(-1).Body())
	s.exported(FnInfo, ints(2), ints(1), new(wasmbin.Code).I32(0).Body())
	return &s.m
}

// shim is what stands between a guest and a policy module. info is what
// kest_policy.info gives the guest.
func shim(info []byte) *wasmbin.Module {
	s := &shimBuilder{}
	s.memory(moduleGuest)
	s.memory(moduleRego)
	input := s.imported(moduleRego, ExportInput, ints(1), ints(1))
	eval := s.imported(moduleRego, ExportEval, ints(2), []byte{i64})
	length := s.imported(moduleRego, ExportLength, ints(1), ints(1))
	room := s.imported(moduleGuest, ExportBuiltinRoom, ints(1), ints(1))
	builtin := s.imported(moduleGuest, ExportBuiltin, ints(2), []byte{i64})
	aborted := s.m.AddType(ints(1), nil)
	s.m.Tags = []uint32{aborted}
	address, size := s.m.AddGlobal(0), s.m.AddGlobal(0) // of a built-in's result, in the guest's memory

	s.exported(FnEval, ints(5), ints(1), evalBody(input, eval, length))
	s.exported(FnInfo, ints(2), ints(1), infoBody(input, len(info)))
	s.exported(FnAbort, ints(1), nil, new(wasmbin.Code).Get(0).With(wasmbin.OpThrow, 0).Body())
	s.exported(FnBuiltin, ints(3), ints(1), builtinBody(room, builtin, address, size))
	s.exported(FnResult, ints(1), nil, new(wasmbin.Code).
		Get(0).With(wasmbin.OpGlobalGet, address).With(wasmbin.OpGlobalGet, size).Copy(policyMemory, guestMemory).Body())
	s.m.Data = []wasmbin.Data{{Bytes: info}}
	s.m.DataCount = true
	return &s.m
}

// evalBody: the input goes over, the result or the abort's text comes back. No
// input is the one before.
//
//	0 entry, 1 input, 2 n, 3 out, 4 room → the result's length, which is in out
//	unless it is above room; -1 minus the length of the text of an abort, of
//	which as much is in out as there is room for
func evalBody(input, eval, length uint32) []byte {
	const text, n, result = 5, 6, 7
	c := new(wasmbin.Code).
		Op(wasmbin.OpBlock, i32).
		// Labels count from outside the try_table: 0 is the block above.
		Op(wasmbin.OpTryTable, i32, 1, 0, 0, 0).
		Get(2).Call(input).Get(1).Get(2).Copy(policyMemory, guestMemory).
		Get(0).Get(2).Call(eval).Tee(result).
		I64(32).Op(wasmbin.OpI64ShrU, wasmbin.OpI32WrapI64).Tee(n).
		Get(4).Op(wasmbin.OpI32GtU, wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult).
		Get(3).Get(result).Op(wasmbin.OpI32WrapI64).Get(n).Copy(guestMemory, policyMemory).
		Op(wasmbin.OpEnd).
		Get(n).
		Op(wasmbin.OpEnd, wasmbin.OpReturn, wasmbin.OpEnd).
		Set(text).
		Get(text).Call(length).Set(n).
		Get(3).Get(text).
		Get(n).Get(4).Get(n).Get(4).Op(wasmbin.OpI32LtU, wasmbin.OpSelect).
		Copy(guestMemory, policyMemory).
		I32(-1).Get(n).Op(wasmbin.OpI32Sub)
	return c.Body(i32, i32, i64)
}

// infoBody also has the policy module make itself ready: outside a request.
//
//	0 out, 1 room → the length, which is in out unless it is above room
func infoBody(input uint32, n int) []byte {
	size := int32(n) //nolint:gosec // the names and digests of policies
	return new(wasmbin.Code).
		I32(0).Call(input).Op(wasmbin.OpDrop).
		Get(1).I32(size).Op(wasmbin.OpI32LtU, wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult).
		Get(0).I32(0).I32(size).Init(0, guestMemory).
		Op(wasmbin.OpEnd).
		I32(size).Body()
}

// builtinBody: the arguments go over; where the result is is kept for FnResult.
//
//	0 id, 1 arguments, 2 n → the result's length, or -1
func builtinBody(room, builtin, address, size uint32) []byte {
	const at, result = 3, 4
	return new(wasmbin.Code).
		Get(2).Call(room).Tee(at).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult).I32(-1).Op(wasmbin.OpReturn, wasmbin.OpEnd).
		Get(at).Get(1).Get(2).Copy(guestMemory, policyMemory).
		Get(0).Get(2).Call(builtin).Tee(result).
		Op(wasmbin.OpI64Eqz, wasmbin.OpIf, wasmbin.NoResult).I32(-1).Op(wasmbin.OpReturn, wasmbin.OpEnd).
		Get(result).I64(32).Op(wasmbin.OpI64ShrU, wasmbin.OpI32WrapI64).With(wasmbin.OpGlobalSet, address).
		Get(result).Op(wasmbin.OpI32WrapI64).With(wasmbin.OpGlobalSet, size).
		With(wasmbin.OpGlobalGet, size).
		Body(i32, i64)
}
