package main

import "fmt"

// reader takes apart the WebAssembly binary format and keeps its first error.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s", r.at, fmt.Sprintf(format, args...))
	}
	r.at = len(r.b)
}

func (r *reader) done() bool { return r.at >= len(r.b) }

func (r *reader) byte() byte {
	if r.done() {
		r.fail("the module ends too early")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

// leb steps over an integer of up to ten bytes and returns its low bits, unsigned.
func (r *reader) leb() (v uint64) {
	for shift := 0; shift < 70; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.fail("an integer is too long")
	return 0
}

func (r *reader) bytes(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)-r.at) { //nolint:gosec // at is at most len(b)
		r.fail("the module ends too early")
		return nil
	}
	start := r.at
	r.at += int(n) //nolint:gosec // not above len(r.b)
	return r.b[start:r.at]
}

// Opcodes that the walker or the pattern names (core specification, section 5.4).
const (
	opBlock, opLoop, opIf                  = 0x02, 0x03, 0x04
	opBr, opBrIf, opBrTable                = 0x0c, 0x0d, 0x0e
	opCall, opCallIndirect                 = 0x10, 0x11
	opLocalGet, opLocalSet                 = 0x20, 0x21
	opLocalTee, opReturn                   = 0x22, 0x0f
	opGlobalGet, opGlobalSet               = 0x23, 0x24
	opI64Store                             = 0x37
	opI32Const, opI64Const                 = 0x41, 0x42
	opF32Const, opF64Const                 = 0x43, 0x44
	opI32Add, opI32Sub, opEnd              = 0x6a, 0x6b, 0x0b
	opMisc                                 = 0xfc
	firstMemory, lastLoad, lastMemory      = 0x28, 0x35, 0x3e
	opI64ExtendI32U, opI64Add              = 0xad, 0x7c
	opI32WrapI64                           = 0xa7
	opI32Eqz, opI64Eqz                     = 0x45, 0x50
	firstComparison, lastComparison        = 0x45, 0x66
	opMemorySize, opMemoryGrow             = 0x3f, 0x40
	firstVariable, lastVariable            = 0x20, 0x24
	firstNumeric, lastNumeric              = 0x45, 0xc4
	miscSaturating, miscMemoryInit         = 7, 8
	miscMemoryCopy, miscMemoryFill         = 10, 11
	typeI32, typeI64, typeFunc        byte = 0x7f, 0x7e, 0x60
)

// instruction steps over one instruction and returns its opcode and, where it
// has an integer immediate, that.
func (r *reader) instruction() (op byte, immediate uint64) {
	op = r.byte()
	switch {
	case op == opBlock || op == opLoop || op == opIf, op == opBr || op == opBrIf || op == opCall,
		op >= firstVariable && op <= lastVariable, op == opI32Const || op == opI64Const,
		op == opMemorySize || op == opMemoryGrow:
		immediate = r.leb()
	case op == opBrTable:
		for n := r.leb(); n > 0 && r.err == nil; n-- {
			r.leb()
		}
		r.leb()
	case op == opCallIndirect, op >= firstMemory && op <= lastMemory:
		r.leb()
		immediate = r.leb()
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op == opMisc:
		r.misc()
	case op <= 0x01, op == 0x05, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b, op >= firstNumeric && op <= lastNumeric:
	default:
		r.fail("an instruction 0x%02x that Go's compiler doesn't write", op)
	}
	return op, immediate
}

func (r *reader) misc() {
	switch sub := r.leb(); {
	case sub <= miscSaturating:
	case sub == miscMemoryCopy:
		r.bytes(2)
	case sub == miscMemoryFill:
		r.bytes(1)
	default:
		r.fail("an instruction 0xfc %d that Go's compiler doesn't write", sub)
	}
}
