package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const header = "\x00asm\x01\x00\x00\x00"

const (
	sectionCustom, sectionType, sectionImport = 0, 1, 2
	sectionFunction, sectionCode              = 3, 10
)

type section struct {
	id   byte
	body []byte
}

var errNoModule = errors.New("not a WebAssembly module of version 1")

// shrink returns the module with the pushes and pops of frames in two functions.
func shrink(module []byte) ([]byte, error) {
	sections, err := split(module)
	if err != nil {
		return nil, err
	}
	m := &shrinker{names: map[uint64]string{}}
	for i := range sections {
		if err := m.look(&sections[i]); err != nil {
			return nil, err
		}
	}
	out := []byte(header)
	for _, s := range sections {
		if s.id == sectionCustom {
			continue
		}
		body, err := m.rewrite(s)
		if err != nil {
			return nil, err
		}
		out = append(out, s.id)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

func split(module []byte) ([]section, error) {
	rest, ok := bytes.CutPrefix(module, []byte(header))
	if !ok {
		return nil, errNoModule
	}
	r := &reader{b: rest}
	var list []section
	for !r.done() {
		s := section{id: r.byte()}
		s.body = r.bytes(r.leb())
		list = append(list, s)
	}
	return list, r.err
}

// shrinker knows the numbers of the module's parts.
type shrinker struct {
	types     uint64 // function types before the new one
	imports   uint64 // imported functions
	functions uint64 // functions of the module's own
	names     map[uint64]string
}

// The indexes of the new functions, behind all others.
func (m *shrinker) push() uint64 { return m.imports + m.functions }
func (m *shrinker) pop() uint64  { return m.imports + m.functions + 1 }

func (m *shrinker) look(s *section) error {
	r := &reader{b: s.body}
	switch s.id {
	case sectionType:
		m.types = r.leb()
	case sectionImport:
		m.lookImports(r)
	case sectionFunction:
		m.functions = r.leb()
	case sectionCustom:
		if string(r.bytes(r.leb())) == "name" {
			m.lookNames(r)
		}
	}
	return r.err
}

func (m *shrinker) lookImports(r *reader) {
	for n := r.leb(); n > 0 && r.err == nil; n-- {
		r.bytes(r.leb())
		r.bytes(r.leb())
		if kind := r.byte(); kind != 0 {
			r.fail("an import that is no function")
		}
		r.leb()
		m.imports++
	}
}

// lookNames reads the function names, by which hot functions are told.
func (m *shrinker) lookNames(r *reader) {
	for !r.done() {
		id, body := r.byte(), r.bytes(r.leb())
		if id != 1 {
			continue
		}
		in := &reader{b: body}
		for n := in.leb(); n > 0 && in.err == nil; n-- {
			index := in.leb()
			m.names[index] = string(in.bytes(in.leb()))
		}
		if in.err != nil {
			r.err = in.err
		}
	}
}

func (m *shrinker) rewrite(s section) ([]byte, error) {
	r := &reader{b: s.body}
	switch s.id {
	case sectionType:
		return m.append(r, m.types, []byte{typeFunc, 1, typeI64, 1, typeI32}, []byte{typeFunc, 1, typeI32, 1, typeI32}), r.err
	case sectionFunction:
		return m.append(r, m.functions, binary.AppendUvarint(nil, m.types), binary.AppendUvarint(nil, m.types+1)), r.err
	case sectionCode:
		return m.code(r)
	}
	return s.body, nil
}

// append adds two elements to a section that is a vector of n.
func (m *shrinker) append(r *reader, n uint64, first, second []byte) []byte {
	r.leb()
	out := binary.AppendUvarint(nil, n+2)
	out = append(out, r.b[r.at:]...)
	return append(append(out, first...), second...)
}

// pushBody takes a return address, moves the stack pointer (global 0) down by
// 8, stores the address there and returns 0, with which Go functions are entered.
var pushBody = []byte{
	0, // no locals
	opGlobalGet, 0, opI32Const, 8, opI32Sub, opGlobalSet, 0,
	opGlobalGet, 0, opLocalGet, 0, opI64Store, 3, 0, opI32Const, 0, opEnd,
}

// popBody sets the stack pointer and returns 0, with which Go functions return.
var popBody = []byte{0, opLocalGet, 0, opGlobalSet, 0, opI32Const, 0, opEnd}

func (m *shrinker) code(r *reader) ([]byte, error) {
	n := r.leb()
	if n != m.functions {
		return nil, errors.New("the code section doesn't hold one body for each function")
	}
	out := binary.AppendUvarint(nil, n+2)
	for i := range n {
		body := r.bytes(r.leb())
		if r.err != nil {
			return nil, r.err
		}
		if !hot(m.names[m.imports+i]) {
			small, err := m.body(body)
			if err != nil {
				return nil, fmt.Errorf("function %d %s: %w", i, m.names[m.imports+i], err)
			}
			body = small
		}
		body, err := addresses(body)
		if err != nil {
			return nil, fmt.Errorf("function %d %s: %w", i, m.names[m.imports+i], err)
		}
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	for _, body := range [...][]byte{pushBody, popBody} {
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

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
	{op: opLocalGet, local: true},
	{op: opI32Const, immediate: 8},
	{op: opI32Sub},
	{op: opLocalTee, local: true},
	{op: opGlobalSet},
	{op: opLocalGet, local: true},
	{op: opI64Const, any: true},
	{op: opI64Store},
	{op: opI32Const},
	{op: opCall, any: true},
	{op: opGlobalGet},
	{op: opLocalSet, local: true},
}

// popPattern is what Go writes at a return: the local and global 0 go up by
// the frame's size, then by 8 for the return address, and 0 is returned.
var popPattern = []expected{
	{op: opLocalGet, local: true},
	{op: opI32Const, any: true},
	{op: opI32Add},
	{op: opLocalTee, local: true},
	{op: opGlobalSet},
	{op: opLocalGet, local: true},
	{op: opI32Const, immediate: 8},
	{op: opI32Add},
	{op: opLocalTee, local: true},
	{op: opGlobalSet},
	{op: opI32Const},
	{op: opReturn},
}

type step struct {
	op         byte
	immediate  uint64
	start, end int
}

func matches(steps []step, pattern []expected) bool {
	if len(steps) < len(pattern) {
		return false
	}
	local := steps[0].immediate
	for i, p := range pattern {
		want := p.immediate
		if p.local {
			want = local
		}
		if steps[i].op != p.op || !p.any && steps[i].immediate != want {
			return false
		}
	}
	return true
}

// steps takes a function's body apart; locals is where its locals end.
func steps(body []byte) (list []step, locals int, err error) {
	r := &reader{b: body}
	for groups := r.leb(); groups > 0 && r.err == nil; groups-- {
		r.leb()
		r.byte()
	}
	locals = r.at
	for !r.done() {
		s := step{start: r.at}
		s.op, s.immediate = r.instruction()
		s.end = r.at
		list = append(list, s)
	}
	return list, locals, r.err
}

// body rewrites one function.
func (m *shrinker) body(body []byte) ([]byte, error) {
	steps, locals, err := steps(body)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(body)), body[:locals]...)
	for len(steps) > 0 {
		n := 1
		switch {
		case matches(steps, pushPattern):
			n = 10 // the reload stays
			out = append(out, body[steps[6].start:steps[6].end]...)
			out = binary.AppendUvarint(append(out, opCall), m.push())
			out = append(out, body[steps[9].start:steps[9].end]...)
		case matches(steps, popPattern) && steps[1].immediate < maxFrame:
			n = len(popPattern)
			out = append(out, body[steps[0].start:steps[0].end]...)
			out = appendSigned(append(out, opI32Const), int64(steps[1].immediate)+8) //nolint:gosec // below maxFrame
			out = append(out, opI32Add, opCall)
			out = append(binary.AppendUvarint(out, m.pop()), opReturn)
		default:
			out = append(out, body[steps[0].start:steps[0].end]...)
		}
		steps = steps[n:]
	}
	return out, nil
}

// maxFrame keeps the sum positive: immediates are read unsigned.
const maxFrame = 1 << 30

// appendSigned adds a signed LEB128 integer.
func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
