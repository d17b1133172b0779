package wasmflow

import (
	"slices"

	"kest.example/kest/internal/wasmbin"
)

// function is one in Go's form: basic blocks behind a branch table.
type function struct {
	locals  []byte // their declarations
	count   uint32 // how many locals there are, with the parameter
	head    []byte // what comes before everything: reading the stack pointer
	unwinds bool   // calls may leave it with 1, for another goroutine to run
	table   []int  // the block for each value of local 0; the last one is for all others
	blocks  []block
}

// block is a basic block; jumps may leave it out of ifs in its middle.
type block struct {
	pieces []piece
	falls  bool // its end is reached, and the next block is next
}

// piece is some instructions of a block.
type piece struct {
	kind  kind
	depth int    // in how many ifs, blocks and loops of its own block it stands
	to    int    // the block that a jump goes to
	code  []byte // the instructions as they are; of an unwinding, its opcode
}

type kind uint8

const (
	plain    kind = iota
	jump          // to a block
	jumpIf        // to a block, if what is on the stack isn't 0
	unwind        // out of the function, with 1
	indirect      // the end of an indirect call, for which Go uses local 0 as scratch
)

// pcB is the local that holds the number of the block to begin with.
const pcB = 0

// parser reads a function until it sees something that Go doesn't write.
type parser struct {
	f       *function
	body    []byte
	all     []wasmbin.Instruction
	steps   []wasmbin.Instruction // those that are not read yet
	ends    func(function uint64) bool
	looped  bool // there is a loop around the blocks
	waiting int  // blocks that have not begun
	depth   int
	dead    bool // what follows in this block is never reached
	block   block
	unknown bool
}

// parse takes a body apart. It is not ok where that isn't in Go's form. ends
// reports whether a function never returns to where it was called.
func parse(body []byte, ends func(function uint64) bool) (f *function, ok bool, err error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, false, err
	}
	p := parser{body: body, all: steps, steps: steps, ends: ends, f: &function{locals: body[:locals], count: 1 + countLocals(body[:locals])}}
	if !p.start() {
		return nil, false, nil
	}
	for p.waiting >= 0 && !p.unknown {
		p.step()
	}
	if p.unknown || !p.end() {
		return nil, false, nil
	}
	return p.f, true, nil
}

func countLocals(declarations []byte) (n uint32) {
	r := wasmbin.NewReader(declarations)
	for range r.Uint() {
		n += r.Uint()
		r.Byte()
	}
	return n
}

// sees reports whether the next instructions have these opcodes.
func (p *parser) sees(ops ...byte) bool {
	return len(p.steps) >= len(ops) && slices.EqualFunc(p.steps[:len(ops)], ops, func(i wasmbin.Instruction, op byte) bool {
		return i.Op == op && (op != wasmbin.OpIf && op != wasmbin.OpBlock && op != wasmbin.OpLoop || p.body[i.Start+1] == wasmbin.NoResult)
	})
}

// skip goes n instructions on and returns their bytes.
func (p *parser) skip(n int) []byte {
	code := p.body[p.steps[0].Start:p.steps[n-1].End]
	p.steps = p.steps[n:]
	return code
}

// start reads up to the branch table.
func (p *parser) start() bool {
	if p.sees(wasmbin.OpGlobalGet, wasmbin.OpLocalSet) {
		p.f.head = p.skip(2)
	}
	outer := p.countBlocks()
	p.looped = p.sees(wasmbin.OpLoop)
	inner := outer
	if p.looped {
		p.skip(1)
		inner = p.countBlocks()
	}
	if !p.sees(wasmbin.OpLocalGet, wasmbin.OpBrTable, wasmbin.OpEnd) || p.steps[0].Immediate != pcB {
		return false
	}
	p.f.table = branchTable(p.body[p.steps[1].Start+1 : p.steps[1].End])
	n := p.f.table[len(p.f.table)-1] + 1
	if p.looped {
		p.f.unwinds = outer == 1
	} else {
		p.f.unwinds, outer = inner == n+1, inner-n
	}
	p.skip(3)
	p.waiting = n - 1
	return (outer == 0 || outer == 1) && (!p.looped || inner == n) && slices.Max(p.f.table) < n
}

func (p *parser) countBlocks() (n int) {
	for ; p.sees(wasmbin.OpBlock); n++ {
		p.skip(1)
	}
	return n
}

func branchTable(immediates []byte) (table []int) {
	r := wasmbin.NewReader(immediates)
	for range r.Uint() + 1 {
		table = append(table, int(r.Uint()))
	}
	return table
}

// step reads one piece of a block.
func (p *parser) step() {
	switch {
	case len(p.steps) == 0:
		p.unknown = true
	case p.sees(wasmbin.OpEnd) && p.depth == 0:
		p.endBlock()
	case p.sees(wasmbin.OpI32Const, wasmbin.OpLocalSet, wasmbin.OpBr) && p.steps[1].Immediate == pcB:
		p.jump(jump, 0)
	case p.sees(wasmbin.OpIf, wasmbin.OpI32Const, wasmbin.OpLocalSet, wasmbin.OpBr, wasmbin.OpEnd) && p.steps[2].Immediate == pcB:
		p.jump(jumpIf, 1)
	case p.sees(wasmbin.OpLocalSet, wasmbin.OpI32Const, wasmbin.OpLocalGet, wasmbin.OpCallIndirect) && p.steps[0].Immediate == pcB && p.steps[2].Immediate == pcB:
		p.add(piece{kind: indirect, code: p.skip(4)})
	default:
		p.other()
	}
}

// jump reads a jump in an if or without one.
func (p *parser) jump(kind kind, inIf int) {
	number, br := p.steps[inIf].Immediate, p.steps[inIf+2]
	p.unknown = p.unknown || !p.looped || br.Immediate != uint64(p.depth+inIf+p.waiting) //nolint:gosec // none is negative
	to := p.f.table[min(number, uint64(len(p.f.table)-1))]                               //nolint:gosec // a length
	p.skip(3 + 2*inIf)
	p.add(piece{kind: kind, to: to})
	p.dead = p.dead || kind == jump && p.depth == 0
}

// other reads an instruction that is no jump between blocks.
func (p *parser) other() {
	i := p.steps[0]
	switch i.Op {
	case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
		p.add(piece{code: p.skip(1)})
		p.depth++
		return
	case wasmbin.OpEnd:
		p.depth--
	case wasmbin.OpBr, wasmbin.OpBrIf:
		if i.Immediate >= uint64(p.depth) { //nolint:gosec // not negative
			p.leave(i)
			return
		}
	case wasmbin.OpBrTable, wasmbin.OpTryTable:
		p.unknown = true
	case wasmbin.OpLocalGet, wasmbin.OpLocalSet, wasmbin.OpLocalTee:
		p.unknown = p.unknown || i.Immediate == pcB
	}
	p.add(piece{code: p.skip(1)})
	p.dead = p.dead || p.depth == 0 && (i.Op == wasmbin.OpReturn || i.Op == wasmbin.OpUnreachable)
}

// leave reads a branch out of the function.
func (p *parser) leave(i wasmbin.Instruction) {
	out := p.depth + p.waiting
	if p.looped {
		out++
	}
	p.unknown = p.unknown || !p.f.unwinds || i.Immediate != uint64(out) //nolint:gosec // not negative
	p.skip(1)
	p.add(piece{kind: unwind, code: []byte{i.Op}})
	p.dead = p.dead || p.depth == 0 && i.Op == wasmbin.OpBr
	if p.depth == 0 && i.Op == wasmbin.OpBrIf && !p.dead {
		p.endCall()
	}
}

var trap = []byte{wasmbin.OpUnreachable}

// endCall ends a block with a call that never returns. Then nobody reads the
// stack pointer that Go's code reads again behind each call.
func (p *parser) endCall() {
	at := len(p.all) - len(p.steps) - 4
	if at < 0 || p.all[at].Op != wasmbin.OpCall || !p.ends(p.all[at].Immediate) ||
		p.all[at+1].Op != wasmbin.OpGlobalGet || p.all[at+2].Op != wasmbin.OpLocalSet {
		return
	}
	call := &p.block.pieces[len(p.block.pieces)-2]
	call.code = call.code[:len(call.code)-(p.all[at+2].End-p.all[at+1].Start)]
	p.add(piece{code: trap})
	p.dead = true
}

// add adds a piece where it can be reached, plain ones to the one before.
func (p *parser) add(next piece) {
	if p.dead {
		return
	}
	next.depth = p.depth
	last := len(p.block.pieces) - 1
	if next.kind == plain && last >= 0 && p.block.pieces[last].kind == plain {
		code := p.block.pieces[last].code
		p.block.pieces[last].code = code[:len(code)+len(next.code)] // they are neighbours in the body
		return
	}
	p.block.pieces = append(p.block.pieces, next)
}

func (p *parser) endBlock() {
	p.block.falls = !p.dead
	p.f.blocks = append(p.f.blocks, p.block)
	p.block, p.dead = block{}, false
	if p.waiting > 0 || p.looped {
		p.skip(1)
	}
	p.waiting--
}

// end checks what comes behind the blocks: nothing that does anything.
func (p *parser) end() bool {
	last := &p.f.blocks[len(p.f.blocks)-1]
	switch {
	case !p.looped && last.falls:
		return false
	case p.looped && !p.sees(wasmbin.OpUnreachable):
		return false
	case p.looped:
		if p.skip(1); last.falls {
			last.pieces, last.falls = append(last.pieces, piece{code: trap}), false
		}
	}
	if p.f.unwinds {
		if !p.sees(wasmbin.OpEnd, wasmbin.OpI32Const) || p.steps[1].Immediate != 1 {
			return false
		}
		p.skip(2)
	}
	return p.sees(wasmbin.OpEnd) && len(p.steps) == 1
}
