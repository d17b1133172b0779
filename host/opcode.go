package host

import (
	"fmt"

	"kest.example/kest/internal/wasmbin"
)

// Opcodes that the meter needs by name (WebAssembly 2.0, section 5.4).
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCallIndirect = 0x13
	opDrop               = 0x1a
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI32Eqz             = 0x45
	opI32Sub             = 0x6b
	blockEmpty           = 0x40
)

// walker is what the meter knows of one function.
type walker struct {
	function  []byte
	start     int      // where the instructions begin
	loops     []int    // offsets behind the loop instructions
	callees   []uint64 // functions that it calls, once for each place
	indirect  bool     // it calls by a table
	loopFirst bool     // the first instruction that can leave the line is a loop
	branched  bool
}

// walk goes over the instructions of a function's body.
func walk(function []byte) (walker, error) {
	start, steps, err := wasmbin.Body(function)
	if err != nil {
		return walker{}, fmt.Errorf("%w: %w", errModule, err)
	}
	w := walker{function: function, start: start}
	for _, s := range steps {
		w.note(s)
	}
	return w, nil
}

// note sees what may leave the straight line.
func (w *walker) note(s wasmbin.Instruction) {
	switch s.Op {
	case opCall, wasmbin.OpReturnCall:
		w.callees = append(w.callees, s.Immediate)
	case opCallIndirect, opReturnCallIndirect:
		w.indirect = true
	case opLoop:
		w.loops = append(w.loops, s.End)
		w.loopFirst = w.loopFirst || !w.branched
	case opUnreachable, opBlock, opIf, opBr, opBrIf, opBrTable, opReturn:
	default:
		return
	}
	w.branched = true
}
