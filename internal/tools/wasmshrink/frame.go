package main

import (
	"bytes"

	"kest.example/kest/internal/wasmbin"
)

// below is how far under the stack pointer the place for a return address is.
const below = 8

// frames lets a function keep in the local for its stack pointer the address of
// the place below, where it stores a return address before each call: so all
// that it stores and loads in its frame between two calls is by one address,
// and a compiler that remembers what it checked needs to check one. A push
// doesn't move the local then, and a pop writes global 0 once.
//
// A function without pushes, or of another form than Go's, stays as it is.
func frames(body []byte, parameters uint32) ([]byte, error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, err
	}
	f := rebased{body: body, steps: steps, local: uint64(parameters), more: make(map[int]uint64)}
	if !f.standard() {
		return body, nil
	}
	f.last = f.unwinding()
	f.out = append(make([]byte, 0, len(body)+len(body)/16), body[:locals]...)
	for i := 0; i < len(steps); {
		n := f.rewrite(i)
		if n == 0 {
			return body, nil
		}
		i += n
	}
	return f.out, nil
}

// rebased is one function on its way.
type rebased struct {
	body  []byte
	steps []wasmbin.Instruction
	local uint64 // has the stack pointer
	more  map[int]uint64
	out   []byte
	// pushed: the local is where global 0 is, until it is read again.
	pushed bool
	depth  int // of blocks around
	last   int // where the outermost block ends from which the function is left with 1; -1 without one
}

// standard says whether the function begins as Go's do, and pushes.
func (f *rebased) standard() bool {
	if !f.reads(0) {
		return false
	}
	for i := range f.steps {
		if f.at(i, pushPattern[:8]) {
			return true
		}
	}
	return false
}

// reads: global 0 is read into the local.
func (f *rebased) reads(i int) bool {
	return i+1 < len(f.steps) && f.steps[i].Op == wasmbin.OpGlobalGet && f.steps[i].Immediate == 0 &&
		f.steps[i+1].Op == wasmbin.OpLocalSet && f.steps[i+1].Immediate == f.local
}

func (f *rebased) at(i int, pattern []expected) bool {
	return f.steps[i].Immediate == f.local && matches(f.steps[i:], pattern)
}

// allocPattern is how Go makes room for a frame.
var allocPattern = []expected{
	{op: wasmbin.OpLocalGet, local: true},
	{op: wasmbin.OpI32Const, any: true},
	{op: wasmbin.OpI32Sub},
	{op: wasmbin.OpLocalTee, local: true},
	{op: wasmbin.OpGlobalSet},
}

// leafPopPattern is how Go returns from a function without a frame.
var leafPopPattern = popPattern[5:]

// rewrite takes the instructions at i and returns how many; 0 where the
// function is of another form.
func (f *rebased) rewrite(i int) int {
	s := f.steps[i]
	switch {
	case f.reads(i):
		f.pushed = false
		f.copy(i, 1).constant(below).op(wasmbin.OpI32Sub).copy(i+1, 1)
		return 2
	case f.pushed && f.uses(i):
		return 0
	case f.at(i, pushPattern[:8]):
		f.pushed = true
		f.copy(i, 1).copy(i+4, 4)
		return 8
	case f.at(i, popPattern) && f.steps[i+1].Immediate < maxFrame:
		f.copy(i, 1).constant(f.steps[i+1].Immediate+2*below).copy(i+2, 1).copy(i+9, 3)
		return len(popPattern)
	case f.at(i, leafPopPattern):
		f.copy(i, 1).constant(2*below).copy(i+2, 1).copy(i+4, 3)
		return len(leafPopPattern)
	case f.at(i, allocPattern):
		f.copy(i, 4).constant(below).op(wasmbin.OpI32Add).copy(i+4, 1)
		return len(allocPattern)
	case s.Op == wasmbin.OpLocalGet && s.Immediate == f.local:
		f.copy(i, 1)
		if access := accessAfter(f.steps[i+1:]); access > 0 && f.steps[i+access].Immediate < maxFrame {
			f.more[i+access] = below
		} else {
			f.constant(below).op(wasmbin.OpI32Add)
		}
		return 1
	case (s.Op == wasmbin.OpLocalSet || s.Op == wasmbin.OpLocalTee) && s.Immediate == f.local:
		return 0
	case f.more[i] > 0:
		f.out = appendAccess(f.out, f.body, s, f.more[i])
		return 1
	}
	switch s.Op {
	case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf, wasmbin.OpTryTable:
		f.depth++
	case wasmbin.OpElse:
		f.pushed = false
	case wasmbin.OpEnd:
		f.pushed = false
		f.depth--
	}
	f.copy(i, 1)
	return 1
}

// unwinding finds the end of a block around the whole function behind which it
// only returns 1, as Go's functions do when the stack is unwound; -1 without one.
func (f *rebased) unwinding() int {
	depth, at := 0, len(f.steps)-3
	for i, s := range f.steps {
		switch s.Op {
		case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf, wasmbin.OpTryTable:
			depth++
		case wasmbin.OpEnd:
			if depth--; depth == 0 && i == at && f.steps[i+1].Op == wasmbin.OpI32Const {
				return i
			} else if depth == 0 {
				return -1
			}
		}
	}
	return -1
}

// uses: the instruction uses the local or goes elsewhere with it, but for out of
// the function.
func (f *rebased) uses(i int) bool {
	switch s := f.steps[i]; s.Op {
	case wasmbin.OpEnd, wasmbin.OpElse: // what is behind may use it, unless nothing comes there from here
		return f.steps[i-1].Op != wasmbin.OpUnreachable
	case wasmbin.OpBrIf:
		return f.last < 0 || s.Immediate != uint64(f.depth-1) //nolint:gosec // there is a block
	case wasmbin.OpLocalGet, wasmbin.OpLocalSet, wasmbin.OpLocalTee:
		return s.Immediate == f.local
	default:
		return bytes.IndexByte(branches, s.Op) >= 0
	}
}

var branches = []byte{
	wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf, wasmbin.OpTryTable,
	wasmbin.OpBr, wasmbin.OpBrIf, wasmbin.OpBrTable, wasmbin.OpReturn,
}

func (f *rebased) copy(i, n int) *rebased {
	f.out = append(f.out, f.body[f.steps[i].Start:f.steps[i+n-1].End]...)
	return f
}

func (f *rebased) constant(n uint64) *rebased {
	f.out = wasmbin.AppendInt(append(f.out, wasmbin.OpI32Const), int64(n)) //nolint:gosec // below maxFrame
	return f
}

func (f *rebased) op(op byte) *rebased {
	f.out = append(f.out, op)
	return f
}
