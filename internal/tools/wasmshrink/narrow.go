package main

import (
	"encoding/binary"
	"maps"

	"kest.example/kest/internal/wasmbin"
)

// narrow keeps an address of 32 bits in a local of its own. Go keeps each in 64
// bits and narrows it for each access; a compiler that checks an access's bounds
// then sees another address each time, and checks it anew.
//
// One is kept from where it was narrowed first to where its local is written
// again. A function has the given number of parameters.
func narrow(body []byte, parameters uint32) ([]byte, error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, err
	}
	uses := usesOf(steps)
	kept, first := make(map[uint64]uint32), parameters+countLocals(body[:locals])
	code := make([]byte, 0, len(body))
	for i := 0; i < len(steps); i++ {
		site, known := uses[i]
		if !known || site.uses == 0 {
			code = append(code, body[steps[i].Start:steps[i].End]...)
			continue
		}
		local, ok := kept[steps[i].Immediate]
		if !ok {
			local = first + uint32(len(kept)) //nolint:gosec // as many as the function's locals at most
			kept[steps[i].Immediate] = local
		}
		if site.at == i {
			code = append(code, body[steps[i].Start:steps[i+1].End]...)
			code = wasmbin.AppendUint(append(code, wasmbin.OpLocalTee), local)
		} else {
			code = wasmbin.AppendUint(append(code, wasmbin.OpLocalGet), local)
		}
		i++
	}
	if len(kept) == 0 {
		return body, nil
	}
	groups, n := binary.Uvarint(body)
	out := binary.AppendUvarint(make([]byte, 0, len(body)+4), groups+1)
	out = append(out, body[n:locals]...)
	out = append(binary.AppendUvarint(out, uint64(len(kept))), wasmbin.I32)
	return append(out, code...), nil
}

// countLocals adds up the groups of a function's locals.
func countLocals(b []byte) (count uint32) {
	groups, n := binary.Uvarint(b)
	for b = b[n:]; groups > 0; groups-- {
		size, n := binary.Uvarint(b)
		count += uint32(size) //nolint:gosec // the reader has checked it
		b = b[n+1:]
	}
	return count
}

// site is where a local is narrowed, and how often that is of use again.
type site struct{ at, uses int }

// frame is a block that the walk is in.
type frame struct {
	op      byte
	outside map[uint64]*site // what was known where it began
	written map[uint64]bool  // in it so far
}

// usesOf finds the instructions that narrow a local, each with the site whose
// result holds there; of a site itself that is itself.
func usesOf(steps []wasmbin.Instruction) map[int]*site {
	uses := make(map[int]*site)
	known := make(map[uint64]*site)
	frames := []*frame{{written: make(map[uint64]bool)}}
	for i, s := range steps {
		top := frames[len(frames)-1]
		switch s.Op {
		case wasmbin.OpLocalGet:
			if i+1 == len(steps) || steps[i+1].Op != wasmbin.OpI32WrapI64 {
				continue
			}
			if at := known[s.Immediate]; at != nil {
				at.uses++
				uses[i] = at
				continue
			}
			uses[i] = &site{at: i}
			known[s.Immediate] = uses[i]
		case wasmbin.OpLocalSet, wasmbin.OpLocalTee:
			delete(known, s.Immediate)
			top.written[s.Immediate] = true
		case wasmbin.OpBlock, wasmbin.OpIf, wasmbin.OpTryTable:
			frames = append(frames, &frame{s.Op, maps.Clone(known), make(map[uint64]bool)})
		case wasmbin.OpLoop:
			for local := range writtenIn(steps[i+1:]) { // it may come again from behind
				delete(known, local)
			}
			frames = append(frames, &frame{s.Op, nil, make(map[uint64]bool)})
		case wasmbin.OpElse:
			known = maps.Clone(top.outside)
		case wasmbin.OpEnd:
			frames = frames[:len(frames)-1]
			if len(frames) == 0 {
				return uses
			}
			for local := range top.written {
				frames[len(frames)-1].written[local] = true
				delete(top.outside, local)
			}
			if top.op != wasmbin.OpLoop { // a branch out of it may come from anywhere in it
				known = top.outside
			}
		}
	}
	return uses
}

// writtenIn returns the locals that a loop writes, given what follows its head.
func writtenIn(steps []wasmbin.Instruction) map[uint64]bool {
	written := make(map[uint64]bool)
	depth := 1
	for _, s := range steps {
		switch s.Op {
		case wasmbin.OpBlock, wasmbin.OpIf, wasmbin.OpTryTable, wasmbin.OpLoop:
			depth++
		case wasmbin.OpEnd:
			if depth--; depth == 0 {
				return written
			}
		case wasmbin.OpLocalSet, wasmbin.OpLocalTee:
			written[s.Immediate] = true
		}
	}
	return written
}
