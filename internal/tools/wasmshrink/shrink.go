package main

import (
	"fmt"
	"strings"

	"kest.example/kest/internal/wasmbin"
)

// shrink returns the module with the pushes and pops of frames in two functions.
func shrink(module []byte) ([]byte, error) {
	m, err := wasmbin.Parse(module)
	if err != nil {
		return nil, err
	}
	names := map[uint32]string{} // by which hot functions are told
	if section, ok := m.Custom("name"); ok {
		if names, err = wasmbin.ParseFunctionNames(section); err != nil {
			return nil, err
		}
	}
	s := &shrinker{
		push: m.AddFunction(m.AddType([]byte{wasmbin.I64}, []byte{wasmbin.I32}), pushBody),
		pop:  m.AddFunction(m.AddType([]byte{wasmbin.I32}, []byte{wasmbin.I32}), popBody),
	}
	first := m.Imported(wasmbin.FunctionKind)
	for i, body := range m.Code[:len(m.Code)-2] {
		name := names[first+uint32(i)]
		if m.Code[i], err = s.function(name, body); err != nil {
			return nil, fmt.Errorf("function %d %s: %w", i, name, err)
		}
	}
	m.Customs = nil
	return m.Encode(), nil
}

// shrinker knows the numbers of the new functions.
type shrinker struct{ push, pop uint32 }

func (m *shrinker) function(name string, body []byte) ([]byte, error) {
	if hot(name) {
		return addresses(body)
	}
	small, err := m.body(body)
	if err != nil {
		return nil, err
	}
	return addresses(small)
}

// pushBody takes a return address, moves the stack pointer (global 0) down by
// 8, stores the address there and returns 0, with which Go functions are entered.
var pushBody = []byte{
	0, // no locals
	wasmbin.OpGlobalGet, 0, wasmbin.OpI32Const, 8, wasmbin.OpI32Sub, wasmbin.OpGlobalSet, 0,
	wasmbin.OpGlobalGet, 0, wasmbin.OpLocalGet, 0, wasmbin.OpI64Store, 3, 0, wasmbin.OpI32Const, 0, wasmbin.OpEnd,
}

// popBody sets the stack pointer and returns 0, with which Go functions return.
var popBody = []byte{0, wasmbin.OpLocalGet, 0, wasmbin.OpGlobalSet, 0, wasmbin.OpI32Const, 0, wasmbin.OpEnd}

// hotPackages are left as they are: a call more for each of theirs would show.
var hotPackages = []string{
	"github.com_oasisprotocol_curve25519_voi", "kest.example_kest_internal_ed25519", "kest.example_kest_internal_jcs.",
	"crypto_internal_fips140_sha", "kest.example_kest_internal_digest", "runtime.mallocgc", "runtime.gc", "runtime.scan", "runtime.map", "runtime.mem", "encoding_base64.",
}

func hot(name string) bool {
	for _, p := range hotPackages {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// expected is one instruction of a pattern. Where local is set it must be the
// pattern's local; where any is set the immediate may be whatever it is.
type expected struct {
	op         byte
	immediate  uint64
	local, any bool
}

// pushPattern is what Go writes before a call: with the stack pointer in a
// local, that local and global 0 go down by 8, and the return address is
// stored. Behind the call it reads global 0 into the local again, so nobody
// misses that the local went down.
var pushPattern = []expected{
	{op: wasmbin.OpLocalGet, local: true},
	{op: wasmbin.OpI32Const, immediate: 8},
	{op: wasmbin.OpI32Sub},
	{op: wasmbin.OpLocalTee, local: true},
	{op: wasmbin.OpGlobalSet},
	{op: wasmbin.OpLocalGet, local: true},
	{op: wasmbin.OpI64Const, any: true},
	{op: wasmbin.OpI64Store},
	{op: wasmbin.OpI32Const},
	{op: wasmbin.OpCall, any: true},
	{op: wasmbin.OpGlobalGet},
	{op: wasmbin.OpLocalSet, local: true},
}

// popPattern is what Go writes at a return: the local and global 0 go up by
// the frame's size, then by 8 for the return address, and 0 is returned.
var popPattern = []expected{
	{op: wasmbin.OpLocalGet, local: true},
	{op: wasmbin.OpI32Const, any: true},
	{op: wasmbin.OpI32Add},
	{op: wasmbin.OpLocalTee, local: true},
	{op: wasmbin.OpGlobalSet},
	{op: wasmbin.OpLocalGet, local: true},
	{op: wasmbin.OpI32Const, immediate: 8},
	{op: wasmbin.OpI32Add},
	{op: wasmbin.OpLocalTee, local: true},
	{op: wasmbin.OpGlobalSet},
	{op: wasmbin.OpI32Const},
	{op: wasmbin.OpReturn},
}

func matches(steps []wasmbin.Instruction, pattern []expected) bool {
	if len(steps) < len(pattern) {
		return false
	}
	local := steps[0].Immediate
	for i, p := range pattern {
		want := p.immediate
		if p.local {
			want = local
		}
		if steps[i].Op != p.op || !p.any && steps[i].Immediate != want {
			return false
		}
	}
	return true
}

// body rewrites one function.
func (m *shrinker) body(body []byte) ([]byte, error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(body)), body[:locals]...)
	for len(steps) > 0 {
		n := 1
		switch {
		case matches(steps, pushPattern):
			n = 10 // the reload stays
			out = append(out, body[steps[6].Start:steps[6].End]...)
			out = wasmbin.AppendUint(append(out, wasmbin.OpCall), m.push)
			out = append(out, body[steps[9].Start:steps[9].End]...)
		case matches(steps, popPattern) && steps[1].Immediate < maxFrame:
			n = len(popPattern)
			out = append(out, body[steps[0].Start:steps[0].End]...)
			out = wasmbin.AppendInt(append(out, wasmbin.OpI32Const), int64(steps[1].Immediate)+8) //nolint:gosec // below maxFrame
			out = append(out, wasmbin.OpI32Add, wasmbin.OpCall)
			out = append(wasmbin.AppendUint(out, m.pop), wasmbin.OpReturn)
		default:
			out = append(out, body[steps[0].Start:steps[0].End]...)
		}
		steps = steps[n:]
	}
	return out, nil
}

// maxFrame keeps the sum positive: immediates are read unsigned.
const maxFrame = 1 << 30
