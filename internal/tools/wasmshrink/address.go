package main

import "encoding/binary"

// addressPattern is how Go adds an offset to an address of 32 bits: in 64 bits,
// most often to the stack pointer.
var addressPattern = []expected{
	{op: opI64ExtendI32U},
	{op: opI64Const, any: true},
	{op: opI64Add},
	{op: opI32WrapI64},
}

// truthPattern is how Go makes a condition of what a comparison gave: it widens
// it, and compares it with 0 twice.
var truthPattern = []expected{
	{op: opI64ExtendI32U},
	{op: opI64Eqz},
	{op: opI32Eqz},
}

// addresses writes shorter what Go's compiler computes on 32 bits in 64.
//
// It adds in 32 bits, and where a load or a store is next, by the offset
// that it has anyway. Memory ends below 4 GiB, so that the one sum that could
// come out otherwise, over 2^32, is of no address: a load there traps now.
func addresses(body []byte) ([]byte, error) {
	steps, locals, err := steps(body)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(body)), body[:locals]...)
	for len(steps) > 0 {
		n := 1
		if short, skip := shorter(body, steps); skip > 0 {
			out, steps = append(out, short...), steps[skip:]
			continue
		}
		offset, ok := addressOffset(body, steps)
		access := 0
		if ok {
			access = accessAfter(steps[4:])
		}
		switch {
		case !ok:
			out = append(out, body[steps[0].start:steps[0].end]...)
		case access > 0 && offset+steps[3+access].immediate < maxFrame:
			last := steps[3+access]
			out = append(out, body[steps[4].start:last.start]...)
			out = append(out, body[last.start:last.start+2]...) // opcode and alignment
			out = binary.AppendUvarint(out, offset+last.immediate)
			n = 4 + access
		default:
			out = appendSigned(append(out, opI32Const), int64(offset)) //nolint:gosec // below maxFrame
			out = append(out, opI32Add)
			n = 4
		}
		steps = steps[n:]
	}
	return out, nil
}

// shorter rewrites a comparison that is made a condition, a widened number that
// is compared with 0, and a constant that is narrowed.
func shorter(body []byte, steps []step) (short []byte, skip int) {
	switch first := steps[0]; {
	case first.op >= firstComparison && first.op <= lastComparison && follows(steps[1:], truthPattern):
		return body[first.start:first.end], 1 + len(truthPattern)
	case follows(steps, truthPattern[:2]):
		return []byte{opI32Eqz}, 2
	case first.op == opI64Const && len(steps) > 1 && steps[1].op == opI32WrapI64 &&
		first.immediate < maxFrame && body[first.end-1]&0x40 == 0:
		return append([]byte{opI32Const}, body[first.start+1:first.end]...), 2
	}
	return nil, 0
}

func follows(steps []step, pattern []expected) bool {
	if len(steps) < len(pattern) {
		return false
	}
	for i, p := range pattern {
		if steps[i].op != p.op {
			return false
		}
	}
	return true
}

// addressOffset returns what the pattern adds.
func addressOffset(body []byte, steps []step) (offset uint64, ok bool) {
	if !follows(steps, addressPattern) {
		return 0, false
	}
	negative := body[steps[1].end-1]&0x40 != 0
	return steps[1].immediate, !negative && steps[1].immediate < maxFrame
}

// accessAfter returns how many instructions on the memory access is that takes
// the address: 1 for a load, 2 for a store of a local, a global or a constant;
// 0 for none of these.
func accessAfter(steps []step) int {
	if len(steps) > 0 && steps[0].op >= firstMemory && steps[0].op <= lastLoad {
		return 1
	}
	if len(steps) < 2 || steps[1].op <= lastLoad || steps[1].op > lastMemory {
		return 0
	}
	switch steps[0].op {
	case opLocalGet, opGlobalGet, opI32Const, opI64Const:
		return 2
	}
	return 0
}
