package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/internal/wasmflow"
)

// shrink returns the module with structured control flow, and with the pushes
// and pops of frames in two functions.
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
	if _, _, err = wasmflow.Structure(m, names); err != nil {
		return nil, err
	}
	functions := len(m.Code)
	s := newShrinker(m, names)
	first := m.Imported(wasmbin.FunctionKind)
	for i, body := range m.Code[:functions] {
		name := names[first+uint32(i)]
		typ, _ := m.TypeOf(first + uint32(i))
		if own, ok := replaced(name, typ); ok {
			m.Code[i] = own
			continue
		}
		if m.Code[i], err = s.function(name, body, uint32(len(typ.Params))); err != nil { //nolint:gosec // one, for Go's own
			return nil, fmt.Errorf("function %d %s: %w", i, name, err)
		}
	}
	m.Customs = nil
	return m.Encode(), nil
}

// shrinker knows the numbers of the new functions.
type shrinker struct {
	push, pop  uint32
	copy, fill uint32
	more       map[uint32]uint32 // by the function that makes a stack larger
	cold       map[uint32]bool   // functions that panic
}

func newShrinker(m *wasmbin.Module, names map[uint32]string) *shrinker {
	one, two, result := []byte{wasmbin.I32}, []byte{wasmbin.I32, wasmbin.I32}, []byte{wasmbin.I32}
	s := &shrinker{more: make(map[uint32]uint32), cold: make(map[uint32]bool)}
	s.push = m.AddFunction(m.AddType(two, result), pushBody)
	s.pop = m.AddFunction(m.AddType(one, result), popBody)
	three := m.AddType([]byte{wasmbin.I32, wasmbin.I32, wasmbin.I32}, nil)
	s.copy, s.fill = m.AddFunction(three, copying()), m.AddFunction(three, filling())
	for _, f := range slices.Sorted(maps.Keys(names)) {
		if strings.HasPrefix(names[f], "runtime.morestack") {
			s.more[f] = m.AddFunction(m.AddType(two, result), new(wasmbin.Code).Get(0).Get(1).Call(s.push).Call(f).Body())
		}
		s.cold[f] = startsWithAny(names[f], panics)
	}
	return s
}

func (m *shrinker) function(name string, body []byte, parameters uint32) ([]byte, error) {
	small, err := m.body(body, !hot(name))
	if err != nil {
		return nil, err
	}
	if small, err = addresses(small); err != nil {
		return nil, err
	}
	if small, err = narrow(small, parameters); err != nil {
		return nil, err
	}
	if small, err = frames(small, parameters); err != nil {
		return nil, err
	}
	return conditions(small)
}

// pushBody takes a return address, moves the stack pointer (global 0) down by
// 8, stores the address there and returns 0, with which Go functions are
// entered. The address comes in two parts, function and block, and without what
// Go adds to all functions: so most take 5 bytes, and 6 as one.
var pushBody = new(wasmbin.Code).
	With(wasmbin.OpGlobalGet, 0).I32(8).Op(wasmbin.OpI32Sub).With(wasmbin.OpGlobalSet, 0).
	With(wasmbin.OpGlobalGet, 0).
	Get(0).I32(wasmflow.FirstFunction).Op(wasmbin.OpI32Add, wasmbin.OpI64ExtendI32).I64(wasmflow.ValueBits).Op(wasmbin.OpI64Shl).
	Get(1).Op(wasmbin.OpI64ExtendI32, wasmbin.OpI64Or, wasmbin.OpI64Store, 3, 0).
	I32(0).Body()

// address writes the two parts of an address of code.
func address(out []byte, pc uint64) []byte {
	out = wasmbin.AppendInt(append(out, wasmbin.OpI32Const), int64(pc>>wasmflow.ValueBits)-wasmflow.FirstFunction)
	return wasmbin.AppendInt(append(out, wasmbin.OpI32Const), int64(pc&(1<<wasmflow.ValueBits-1)))
}

// popBody sets the stack pointer and returns 0, with which Go functions return.
var popBody = []byte{0, wasmbin.OpLocalGet, 0, wasmbin.OpGlobalSet, 0, wasmbin.OpI32Const, 0, wasmbin.OpEnd}

// hotPackages are left as they are, since a request goes through them: a call
// more for each of theirs would be a tenth of its time, and costs 0.13 MB.
var hotPackages = []string{
	"kest.example_kest.", "kest.example_kest_baggage.", "kest.example_kest_plugin", "kest.example_kest_policy_cedar.",
	"kest.example_kest_internal_digest.", "kest.example_kest_internal_ed25519", "kest.example_kest_internal_jcs.",
	"kest.example_kest_internal_jws.", "kest.example_kest_internal_uuid7.",
	"github.com_cedar_policy_cedar_go.", "github.com_cedar_policy_cedar_go_internal_eval.", "github.com_cedar_policy_cedar_go_types.",
	"github.com_oasisprotocol_curve25519_voi", "crypto_internal_fips140_sha", "encoding_base64.", "encoding_hex.", "strings.", "slices.",
	"internal_bytealg.", "internal_runtime_", "runtime.__mcache_", "runtime.__mcentral_", "runtime.__mspan_", "runtime.__sweep",
	"runtime.bulk", "runtime.concat", "runtime.conv", "runtime.deduct", "runtime.findObject", "runtime.gc", "runtime.grey", "runtime.growslice",
	"runtime.makeslice", "runtime.mallocgc", "runtime.map", "runtime.mem", "runtime.newobject", "runtime.scan", "runtime.slice",
	"runtime.spanOf", "runtime.str", "runtime.typed", "runtime.wb",
}

func hot(name string) bool { return startsWithAny(name, hotPackages) }

// panics are the functions that a sound program doesn't come to: a call of one
// needn't be fast wherever it is.
var panics = []string{"runtime.fatal", "runtime.goPanic", "runtime.gopanic", "runtime.panic", "runtime.sigpanic", "runtime.throw"}

func startsWithAny(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
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
// stored. Behind the call it reads global 0 into the local again, or never
// comes back, so nobody misses that the local went down.
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
}

// reload is how many instructions read global 0 again.
const reload = 2

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

// body rewrites one function. Unless it calls, the pushes and pops of frames
// stay where they are.
func (m *shrinker) body(body []byte, calls bool) ([]byte, error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(body)), body[:locals]...)
	for len(steps) > 0 {
		n := 1
		switch {
		case steps[0].Op == opNop:
		case steps[0].Op == wasmbin.OpMisc && steps[0].Sub == wasmbin.MiscMemoryCopy:
			out = wasmbin.AppendUint(append(out, wasmbin.OpCall), m.copy)
		case steps[0].Op == wasmbin.OpMisc && steps[0].Sub == wasmbin.MiscMemoryFill:
			out = wasmbin.AppendUint(append(out, wasmbin.OpCall), m.fill)
		case matches(steps, pushPattern) && m.more[callee(steps)] != 0:
			// It never comes back to behind the call, so that nothing need be read again.
			n = len(pushPattern) + reload
			out = address(out, steps[6].Immediate)
			out = wasmbin.AppendUint(append(out, wasmbin.OpCall), m.more[callee(steps)])
		case matches(steps, pushPattern) && (calls || m.cold[callee(steps)]):
			n = len(pushPattern)
			out = wasmbin.AppendUint(append(address(out, steps[6].Immediate), wasmbin.OpCall), m.push)
			out = append(out, body[steps[9].Start:steps[9].End]...)
		case calls && matches(steps, popPattern) && steps[1].Immediate < maxFrame:
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

const opNop = 0x01

// callee is the function that pushPattern calls.
func callee(steps []wasmbin.Instruction) uint32 {
	return uint32(steps[9].Immediate) //nolint:gosec // an index
}

// maxFrame keeps the sum positive: immediates are read unsigned.
const maxFrame = 1 << 30
