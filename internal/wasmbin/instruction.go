package wasmbin

// Space is an index space of a module.
type Space uint8

// The index spaces.
const (
	Types Space = iota
	Functions
	Tables
	Memories
	Globals
	Tags
	Elements
	Datas
	spaces
)

var spaceNames = [spaces]string{"type", "function", "table", "memory", "global", "tag", "element segment", "data segment"}

// String names what the space numbers.
func (s Space) String() string { return spaceNames[s] }

// Instruction is one step of a function's body.
type Instruction struct {
	Op         byte
	Sub        uint32 // what follows OpMisc or OpVector
	Immediate  uint64 // low bits of its integer: an index, a constant, or an access's offset; 0 where there is none
	Start, End int    // in what the reader reads
}

// reference is an index inside an instruction, or with memarg the alignment and
// the memory of an access.
type reference struct {
	space      Space
	index      uint32
	start, end int
	memarg     bool
	align      uint32
}

// Instruction reads one instruction.
func (r *Reader) Instruction() Instruction { return r.instruction(nil) }

// instruction also shows each index that it comes by, where visit isn't nil.
func (r *Reader) instruction(visit func(reference)) Instruction {
	i := Instruction{Start: r.at}
	i.Op = r.Byte()
	switch i.Op {
	case OpBlock, OpLoop, OpIf:
		r.blockType(visit)
	case OpTryTable:
		r.blockType(visit)
		r.vector(func() { r.catch(visit) })
	case OpBr, OpBrIf, OpLocalGet, OpLocalSet, OpLocalTee:
		i.Immediate = uint64(r.Uint())
	case OpI32Const, OpI64Const:
		i.Immediate = r.LEB()
	case OpCall, OpReturnCall, OpRefFunc:
		i.Immediate = r.index(Functions, visit)
	case OpGlobalGet, OpGlobalSet:
		i.Immediate = r.index(Globals, visit)
	case OpThrow:
		i.Immediate = r.index(Tags, visit)
	case OpTableGet, OpTableSet:
		i.Immediate = r.index(Tables, visit)
	case OpMemorySize, OpMemoryGrow:
		i.Immediate = r.index(Memories, visit)
	case OpBrTable:
		r.vector(func() { r.Uint() })
		r.Uint()
	case OpCallIndirect, OpCallIndirect + 2: // return_call_indirect
		i.Immediate = r.index(Types, visit)
		r.index(Tables, visit)
	case OpSelectTyped:
		r.vector(func() { r.Byte() })
	case OpF32Const:
		r.Bytes(4)
	case OpF64Const:
		r.Bytes(8)
	case OpRefNull:
		r.Byte()
	case OpMisc:
		i.Sub = r.Uint()
		r.misc(i.Sub, visit)
	case OpVector:
		i.Sub = r.Uint()
		i.Immediate = r.vectorInstruction(i.Sub, visit)
	default:
		i.Immediate = r.plain(i.Op, visit)
	}
	i.End = r.at
	return i
}

// plain instructions have an address or nothing.
func (r *Reader) plain(op byte, visit func(reference)) uint64 {
	switch {
	case op >= OpI32Load && op <= OpI64Store32:
		return r.memarg(visit)
	case op <= 0x01, op == OpElse, op == OpThrowRef, op == OpEnd, op == OpReturn, op == OpDrop, op == OpSelect,
		op >= OpI32Eqz && op <= OpI64Extend32S, op == OpRefIsNull:
	default:
		r.Fail("the instruction 0x%02x is unknown", op)
	}
	return 0
}

func (r *Reader) misc(sub uint32, visit func(reference)) {
	switch sub {
	case miscMemoryInit:
		r.index(Datas, visit)
		r.index(Memories, visit)
	case miscDataDrop:
		r.index(Datas, visit)
	case MiscMemoryCopy:
		r.index(Memories, visit)
		r.index(Memories, visit)
	case MiscMemoryFill:
		r.index(Memories, visit)
	case miscTableInit:
		r.index(Elements, visit)
		r.index(Tables, visit)
	case miscElemDrop:
		r.index(Elements, visit)
	case miscTableCopy:
		r.index(Tables, visit)
		r.index(Tables, visit)
	case miscTableGrow, miscTableSize, miscTableFill:
		r.index(Tables, visit)
	default:
		if sub > miscLastConversion {
			r.Fail("the instruction 0xfc %d is unknown", sub)
		}
	}
}

// vectorInstruction: those of 128 bits, by their numbers in section 5.4.8.
func (r *Reader) vectorInstruction(sub uint32, visit func(reference)) (offset uint64) {
	switch {
	case sub <= 11, sub == 92, sub == 93: // loads and a store
		return r.memarg(visit)
	case sub == 12, sub == 13: // a constant, lanes to shuffle
		r.Bytes(16)
	case sub >= 21 && sub <= 34: // a lane
		r.Byte()
	case sub >= 84 && sub <= 91: // a lane of the memory
		offset = r.memarg(visit)
		r.Byte()
	case sub > 255:
		r.Fail("the instruction 0xfd %d is unknown", sub)
	}
	return offset
}

func (r *Reader) index(space Space, visit func(reference)) uint64 {
	start := r.at
	index := r.Uint()
	if visit != nil && r.err == nil {
		visit(reference{space: space, index: index, start: start, end: r.at})
	}
	return uint64(index)
}

// blockType is a value type, nothing, or the index of a function type.
func (r *Reader) blockType(visit func(reference)) {
	start := r.at
	v := r.Int()
	if v >= 0 && visit != nil && r.err == nil {
		if v > 1<<32-1 {
			r.Fail("a block's type has more than 32 bits")
			return
		}
		visit(reference{space: Types, index: uint32(v), start: start, end: r.at})
	}
}

const (
	catchTag, catchTagRef = 0, 1
	catchAll, catchAllRef = 2, 3
)

func (r *Reader) catch(visit func(reference)) {
	switch kind := r.Byte(); kind {
	case catchTag, catchTagRef:
		r.index(Tags, visit)
	case catchAll, catchAllRef:
	default:
		r.Fail("a catch clause of kind %d is unknown", kind)
	}
	r.Uint()
}

// memarg: with bit 6 of the alignment there is a memory index behind it.
const memoryFlag = 1 << 6

func (r *Reader) memarg(visit func(reference)) (offset uint64) {
	ref := reference{space: Memories, start: r.at, memarg: true}
	ref.align = r.Uint()
	if ref.align >= memoryFlag {
		ref.align -= memoryFlag
		ref.index = r.Uint()
	}
	if ref.align >= 32 {
		r.Fail("an alignment is too large")
	}
	ref.end = r.at
	if visit != nil && r.err == nil {
		visit(ref)
	}
	return r.LEB()
}

// Body reads a function's body: it returns where its locals end, and its instructions.
func Body(body []byte) (locals int, list []Instruction, err error) {
	r := NewReader(body)
	r.locals()
	locals = r.at
	for !r.Done() {
		list = append(list, r.Instruction())
	}
	return locals, list, r.err
}

func (r *Reader) locals() {
	r.vector(func() {
		r.Uint()
		r.Byte()
	})
}
