package wasmbin

// Load says whether an instruction reads from an address.
func Load(op byte) bool { return op >= OpI32Load && op <= OpI64Load32U }

// Store says whether an instruction writes to an address, which is below the
// value on the stack.
func Store(op byte) bool { return op >= OpI32Store && op <= OpI64Store32 }

// AccessSize is how many bytes a load or a store takes.
func AccessSize(op byte) uint64 {
	switch op {
	case OpI64Load, OpF64Load, OpI64Store, OpF64Store:
		return 8
	case OpI32Load, OpF32Load, OpI64Load32S, OpI64Load32U, OpI32Store, OpF32Store, OpI64Store32:
		return 4
	case OpI32Load16S, OpI32Load16U, OpI64Load16S, OpI64Load16U, OpI32Store16, OpI64Store16:
		return 2
	}
	return 1
}

// Arity is how many operands an instruction takes from the stack and puts
// there. It is not ok for one after which another than the next may come, and
// for one whose operands are told by an index or by types.
func Arity(op byte) (takes, gives int, ok bool) {
	switch {
	case op == OpLocalGet, op == OpGlobalGet, op >= OpI32Const && op <= OpF64Const:
		return 0, 1, true
	case op == OpLocalTee, Load(op), unary(op):
		return 1, 1, true
	case op == OpLocalSet, op == OpGlobalSet, op == OpDrop:
		return 1, 0, true
	case Store(op):
		return 2, 0, true
	case op >= OpI32Eqz && op <= OpI64Extend32S:
		return 2, 1, true
	case op == OpSelect:
		return 3, 1, true
	}
	return 0, 0, false
}

// unary instructions compute something of one operand.
func unary(op byte) bool {
	return op == OpI32Eqz || op == OpI64Eqz ||
		op >= opI32Clz && op <= opI32Popcnt || op >= opI64Clz && op <= opI64Popcnt ||
		op >= opF32Abs && op <= opF32Sqrt || op >= opF64Abs && op <= opF64Sqrt ||
		op >= OpI32WrapI64 && op <= OpI64Extend32S
}
