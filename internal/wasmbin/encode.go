package wasmbin

import "encoding/binary"

// Encode writes the module. Custom sections come last.
func (m *Module) Encode() []byte {
	out := append(make([]byte, 0, m.size()), Header...)
	section := func(id byte, n int, body []byte) {
		if n > 0 {
			out = AppendSection(out, id, body)
		}
	}
	section(SectionType, len(m.Types), vectorOf(m.Types, appendFuncType))
	section(SectionImport, len(m.Imports), vectorOf(m.Imports, appendImport))
	section(SectionFunction, len(m.Functions), vectorOf(m.Functions, appendIndex))
	section(SectionTable, len(m.Tables), vectorOf(m.Tables, appendTable))
	section(SectionMemory, len(m.Memories), vectorOf(m.Memories, appendLimits))
	section(SectionTag, len(m.Tags), vectorOf(m.Tags, appendTag))
	section(SectionGlobal, len(m.Globals), vectorOf(m.Globals, appendGlobal))
	section(SectionExport, len(m.Exports), vectorOf(m.Exports, appendExport))
	if m.Start != nil {
		section(SectionStart, 1, AppendUint(nil, *m.Start))
	}
	section(SectionElement, len(m.Elements), vectorOf(m.Elements, appendElement))
	if m.DataCount {
		section(SectionDataCount, 1, AppendUint(nil, uint32(len(m.Data)))) //nolint:gosec // counted by 32 bits
	}
	section(SectionCode, len(m.Code), vectorOf(m.Code, AppendBlock))
	section(SectionData, len(m.Data), vectorOf(m.Data, appendData))
	for _, c := range m.Customs {
		out = AppendCustom(out, c.Name, c.Bytes)
	}
	return out
}

// size is about how many bytes the module takes.
func (m *Module) size() int {
	n := 1 << 12
	for _, c := range m.Code {
		n += len(c) + 4
	}
	for _, d := range m.Data {
		n += len(d.Bytes) + 16
	}
	for _, c := range m.Customs {
		n += len(c.Bytes) + len(c.Name) + 16
	}
	return n
}

func vectorOf[T any](list []T, element func([]byte, T) []byte) []byte {
	b := AppendUint(nil, uint32(len(list))) //nolint:gosec // counted by 32 bits
	for _, e := range list {
		b = element(b, e)
	}
	return b
}

// AppendUint adds an unsigned integer.
func AppendUint(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

// AppendInt adds a signed integer.
func AppendInt(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// AppendBlock adds a length and that many bytes.
func AppendBlock(b, block []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(block))), block...)
}

// AppendSection adds a section.
func AppendSection(b []byte, id byte, body []byte) []byte { return AppendBlock(append(b, id), body) }

// AppendCustom adds a custom section.
func AppendCustom(b []byte, name string, content []byte) []byte {
	return AppendSection(b, SectionCustom, append(AppendBlock(nil, []byte(name)), content...))
}

func appendName(b []byte, s string) []byte { return AppendBlock(b, []byte(s)) }

func appendIndex(b []byte, i uint32) []byte { return AppendUint(b, i) }

func appendFuncType(b []byte, t FuncType) []byte {
	return AppendBlock(AppendBlock(append(b, typeFunction), t.Params), t.Results)
}

func appendImport(b []byte, i Import) []byte {
	b = append(appendName(appendName(b, i.Module), i.Name), byte(i.Kind))
	switch i.Kind {
	case FunctionKind:
		return AppendUint(b, i.Type)
	case TableKind:
		return appendTable(b, i.Table)
	case MemoryKind:
		return appendLimits(b, i.Memory)
	case GlobalKind:
		return appendGlobalType(b, i.Global)
	}
	return appendTag(b, i.Type)
}

func appendTable(b []byte, t Table) []byte { return appendLimits(append(b, t.Element), t.Limits) }

func appendLimits(b []byte, l Limits) []byte {
	if l.HasMax {
		return AppendUint(AppendUint(append(b, 1), l.Min), l.Max)
	}
	return AppendUint(append(b, 0), l.Min)
}

func appendTag(b []byte, typ uint32) []byte { return AppendUint(append(b, 0), typ) }

func appendGlobalType(b []byte, t GlobalType) []byte {
	if t.Mutable {
		return append(b, t.Value, 1)
	}
	return append(b, t.Value, 0)
}

func appendGlobal(b []byte, g Global) []byte { return append(appendGlobalType(b, g.Type), g.Init...) }

func appendExport(b []byte, e Export) []byte {
	return AppendUint(append(appendName(b, e.Name), byte(e.Kind)), e.Index)
}

func appendElement(b []byte, e Element) []byte {
	switch {
	case e.Declared:
		b = append(b, 3, 0)
	case e.Offset == nil:
		b = append(b, 1, 0)
	case e.Table == 0:
		b = append(append(b, 0), e.Offset...)
	default:
		b = append(append(AppendUint(append(b, 2), e.Table), e.Offset...), 0)
	}
	return append(b, vectorOf(e.Indexes, appendIndex)...)
}

func appendData(b []byte, d Data) []byte {
	switch {
	case d.Offset == nil:
		b = append(b, 1)
	case d.Memory == 0:
		b = append(append(b, 0), d.Offset...)
	default:
		b = append(AppendUint(append(b, 2), d.Memory), d.Offset...)
	}
	return AppendBlock(b, d.Bytes)
}
