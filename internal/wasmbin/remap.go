package wasmbin

// remapping says what each index of a module is in another.
type remapping [spaces][]uint32

func (m *remapping) at(space Space, index uint32) (uint32, bool) {
	if uint64(index) >= uint64(len(m[space])) {
		return 0, false
	}
	return m[space][index], true
}

// body rewrites the indexes of a function's body.
func (m *remapping) body(body []byte) ([]byte, error) {
	r := NewReader(body)
	r.locals()
	return m.instructions(r)
}

// expression rewrites the indexes of a constant expression; nil stays nil.
func (m *remapping) expression(e []byte) ([]byte, error) {
	if e == nil {
		return nil, nil
	}
	return m.instructions(NewReader(e))
}

// instructions rewrites all that is not read yet and keeps what is.
func (m *remapping) instructions(r *Reader) ([]byte, error) {
	out := make([]byte, 0, len(r.b)+len(r.b)/16)
	copied := 0
	visit := func(ref reference) {
		index, ok := m.at(ref.space, ref.index)
		if !ok {
			r.Fail("there is no %s %d", ref.space, ref.index)
			return
		}
		if index == ref.index {
			return
		}
		out = append(out, r.b[copied:ref.start]...)
		out = ref.append(out, index)
		copied = ref.end
	}
	for !r.Done() {
		r.instruction(visit)
	}
	if r.err != nil {
		return nil, r.err
	}
	return append(out, r.b[copied:]...), nil
}

// append writes the reference with another index.
func (ref *reference) append(b []byte, index uint32) []byte {
	switch {
	case ref.memarg && index == 0:
		return AppendUint(b, ref.align)
	case ref.memarg:
		return AppendUint(AppendUint(b, ref.align|memoryFlag), index)
	case ref.space == Types:
		return AppendInt(b, int64(index)) // a block's has a sign; a call's may be as long
	}
	return AppendUint(b, index)
}

// RedirectCalls rewrites which functions a body calls by name: not those in
// tables.
func RedirectCalls(body []byte, target func(function uint32) uint32) ([]byte, error) {
	r := NewReader(body)
	r.locals()
	out := make([]byte, 0, len(body)+len(body)/16)
	copied := 0
	for !r.Done() {
		i := r.Instruction()
		if i.Op != OpCall || r.err != nil {
			continue
		}
		function := uint32(i.Immediate) //nolint:gosec // read as 32 bits
		if to := target(function); to != function {
			out = AppendUint(append(append(out, body[copied:i.Start]...), OpCall), to)
			copied = i.End
		}
	}
	return append(out, body[copied:]...), r.err
}

// Calls returns the functions that a body calls by name, as often as it does.
func Calls(body []byte) (functions []uint32, err error) {
	_, list, err := Body(body)
	for _, i := range list {
		if i.Op == OpCall {
			functions = append(functions, uint32(i.Immediate)) //nolint:gosec // read as 32 bits
		}
	}
	return functions, err
}
