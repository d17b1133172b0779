package host

import "fmt"

// Opcodes that the walker or the meter needs by name (WebAssembly 2.0, section 5.4).
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelectTyped  = 0x1c
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32Eqz       = 0x45
	opI32Sub       = 0x6b
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opMisc         = 0xfc
	opVector       = 0xfd
	blockEmpty     = 0x40
)

// walker goes over the instructions of one function.
type walker struct {
	reader
	function  []byte
	start     int      // where the instructions begin
	loops     []int    // offsets behind the loop instructions
	callees   []uint64 // functions that it calls, once for each place
	indirect  bool     // it calls by a table
	loopFirst bool     // the first instruction that can leave the line is a loop
	branched  bool
}

func (w *walker) walk(size int) error {
	for len(w.b) > 0 {
		at := size - len(w.b)
		op := w.byte()
		w.note(op)
		if !w.immediates(op) {
			return fmt.Errorf("%w: unknown instruction %#x", errModule, op)
		}
		if w.bad {
			return fmt.Errorf("%w: instruction %#x at %d is cut off", errModule, op, at)
		}
		if op == opLoop {
			w.loops = append(w.loops, size-len(w.b))
		}
	}
	return nil
}

// note sees what may leave the straight line.
func (w *walker) note(op byte) {
	switch op {
	case opCallIndirect:
		w.indirect = true
	case opCall:
	case opLoop:
		w.loopFirst = w.loopFirst || !w.branched
	case opUnreachable, opBlock, opIf, opBr, opBrIf, opBrTable, opReturn:
	default:
		return
	}
	w.branched = true
}

// immediates skips what belongs to an instruction. It is false for one that
// wazero doesn't run either.
func (w *walker) immediates(op byte) bool {
	switch op {
	case opBlock, opLoop, opIf, opI32Const, opI64Const, opRefNull:
		w.leb()
	case opCall:
		w.callees = append(w.callees, w.uint())
	case opBr, opBrIf, opRefFunc, 0x20, 0x21, 0x22, opGlobalGet, opGlobalSet, 0x25, 0x26, 0x3f, opMemoryGrow:
		w.uint() // one index
	case opBrTable:
		w.uints(w.uint())
		w.uint()
	case opCallIndirect:
		w.uints(2)
	case opSelectTyped:
		w.uints(w.uint())
	case opF32Const:
		w.skip(4)
	case opF64Const:
		w.skip(8)
	case opMisc:
		return w.misc(w.uint())
	case opVector:
		return w.vector(w.uint())
	default:
		return w.plain(op)
	}
	return true
}

// plain instructions have an address or nothing.
func (w *walker) plain(op byte) bool {
	switch {
	case op >= 0x28 && op <= 0x3e:
		w.address()
	case op <= 0x01, op == 0x05, op == opEnd, op == opReturn, op == opDrop, op == 0x1b, op >= opI32Eqz && op <= 0xc4, op == 0xd1:
	default:
		return false
	}
	return true
}

func (w *walker) address() { w.uints(2) } // alignment and offset

// misc: saturating conversions, bulk memory and tables.
func (w *walker) misc(op uint64) bool {
	switch op {
	case 0, 1, 2, 3, 4, 5, 6, 7:
	case 9, 11, 13, 15, 16, 17:
		w.uint()
	case 8, 10, 12, 14:
		w.uints(2)
	default:
		return false
	}
	return true
}

// vector: the 128-bit instructions.
func (w *walker) vector(op uint64) bool {
	switch {
	case op <= 11, op == 92, op == 93:
		w.address()
	case op == 12, op == 13:
		w.skip(16)
	case op >= 21 && op <= 34:
		w.skip(1) // a lane
	case op >= 84 && op <= 91:
		w.address()
		w.skip(1)
	case op > 255:
		return false
	}
	return true
}
