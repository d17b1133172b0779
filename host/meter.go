package host

import (
	"bytes"
	"errors"
	"fmt"
)

// stopGlobal is the name under which a metered module exports its stop flag:
// when it is not 0, the guest traps at its next look.
const stopGlobal = "kest.stop"

// meterInterval is how many passes a guest makes between two looks.
const meterInterval = 1 << 14

var errModule = errors.New("host: not a WebAssembly module that this host can run")

// Section ids of the binary format (WebAssembly 2.0, section 5.5).
const (
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionGlobal   = 6
	sectionExport   = 7
	sectionStart    = 8
	sectionCode     = 10
)

// meter rewrites a module so that it can be stopped. It adds two globals
// (passes left, and the stop flag), one function (the look), and at the head of
// each loop and of enough functions (entries):
//
//	left -= 1; if left == 0 { look() }
//
// The look grows the memory by nothing, for which wazero returns to Go, so that
// its scheduler and collector get their turn; traps if the flag is up; and
// fills left again. All of it comes after what is there, so no index changes.
func meter(module []byte) ([]byte, error) {
	sections, err := splitSections(module)
	if err != nil {
		return nil, err
	}
	m, err := newMetering(sections)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(module[:8])
	for _, s := range sections {
		body, err := m.rewrite(s)
		if err != nil {
			return nil, err
		}
		out = appendBlock(append(out, s.id), body)
	}
	return out, nil
}

type section struct {
	id   byte
	body []byte
}

func splitSections(module []byte) ([]section, error) {
	if !bytes.HasPrefix(module, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errModule
	}
	var sections []section
	seen := make(map[byte]bool)
	for r := (reader{b: module[8:]}); len(r.b) > 0; {
		s := section{id: r.byte()}
		s.body = r.block()
		if r.bad || s.id != 0 && seen[s.id] {
			return nil, errModule
		}
		if s.id == sectionExport && !seen[sectionGlobal] {
			sections = append(sections, section{sectionGlobal, []byte{0}})
		}
		seen[s.id] = true
		sections = append(sections, s)
	}
	for _, id := range []byte{sectionType, sectionFunction, sectionExport, sectionCode} {
		if !seen[id] {
			return nil, fmt.Errorf("%w: section %d is missing", errModule, id)
		}
	}
	if seen[sectionStart] {
		return nil, fmt.Errorf("%w: a start function can't be stopped; export _initialize", errModule)
	}
	return sections, nil
}

// metering has the indexes of what is added.
type metering struct {
	typ, left, stop, look uint64
}

func newMetering(sections []section) (*metering, error) {
	var m metering
	for _, s := range sections {
		r := reader{b: s.body}
		switch s.id {
		case sectionType:
			m.typ = r.uint()
		case sectionImport:
			functions, globals := r.imports()
			m.look += functions
			m.left += globals
		case sectionFunction:
			m.look += r.uint()
		case sectionGlobal:
			m.left += r.uint()
		}
		if r.bad {
			return nil, fmt.Errorf("%w: section %d is malformed", errModule, s.id)
		}
	}
	m.stop = m.left + 1
	return &m, nil
}

func (m *metering) rewrite(s section) ([]byte, error) {
	switch s.id {
	case sectionType:
		return extend(s.body, 1, []byte{0x60, 0, 0}) // () → ()
	case sectionFunction:
		return extend(s.body, 1, appendUint(nil, m.typ))
	case sectionGlobal:
		left := append(appendInt([]byte{0x7f, 1, opI32Const}, meterInterval), opEnd) // mutable i32
		return extend(s.body, 2, append(left, 0x7f, 1, opI32Const, 0, opEnd))
	case sectionExport:
		if bytes.Contains(s.body, []byte(stopGlobal)) {
			return nil, fmt.Errorf("%w: it exports %s already", errModule, stopGlobal)
		}
		return extend(s.body, 1, appendUint(append(appendBlock(nil, []byte(stopGlobal)), 3), m.stop))
	case sectionCode:
		return m.code(s.body)
	}
	return s.body, nil
}

// extend adds entries to a vector.
func extend(vector []byte, count uint64, entries []byte) ([]byte, error) {
	r := reader{b: vector}
	n := r.uint()
	if r.bad {
		return nil, errModule
	}
	return append(append(appendUint(nil, n+count), r.b...), entries...), nil
}

func (m *metering) code(body []byte) ([]byte, error) {
	r := reader{b: body}
	n := r.uint()
	var list []walker
	for ; n > 0 && !r.bad; n-- {
		function := r.block()
		w, err := walk(function)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: the code section is malformed", errModule)
	}
	out := appendUint(make([]byte, 0, len(body)+len(body)/8), uint64(len(list))+1)
	check := m.check()
	at := entries(list, m.look-uint64(len(list)))
	for i := range list {
		out = appendBlock(out, list[i].metered(check, at[i]))
	}
	return appendBlock(out, m.lookBody()), nil
}

func (m *metering) check() []byte {
	b := appendUint([]byte{opGlobalGet}, m.left)
	b = append(b, opI32Const, 1, opI32Sub, opGlobalSet)
	b = append(appendUint(b, m.left), opGlobalGet)
	b = append(appendUint(b, m.left), opI32Eqz, opIf, blockEmpty, opCall)
	return append(appendUint(b, m.look), opEnd)
}

func (m *metering) lookBody() []byte {
	b := []byte{0, opI32Const, 0, opMemoryGrow, 0, opDrop, opGlobalGet} // no locals
	b = append(appendUint(b, m.stop), opIf, blockEmpty, opUnreachable, opEnd, opI32Const)
	b = append(appendInt(b, meterInterval), opGlobalSet)
	return append(appendUint(b, m.left), opEnd)
}

// metered returns the function with the check behind each loop instruction and,
// as entries has decided, in front of all.
func (w *walker) metered(check []byte, entry bool) []byte {
	out := append(make([]byte, 0, len(w.function)+(len(w.loops)+1)*len(check)), w.function[:w.start]...)
	if entry {
		out = append(out, check...)
	}
	from := w.start
	for _, at := range w.loops {
		out = append(append(out, w.function[from:at]...), check...)
		from = at
	}
	return append(out, w.function[from:]...)
}
