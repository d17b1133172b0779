package wasmbin

// FunctionNames reads the custom section "name": the functions' names by their
// numbers.
func (m *Module) FunctionNames() (map[uint32]string, error) {
	content, ok := m.Custom("name")
	if !ok {
		return nil, malformed("the functions have no names")
	}
	return ParseFunctionNames(content)
}

// ParseFunctionNames reads what is in a custom section "name" (core
// specification, appendix "Custom Sections").
func ParseFunctionNames(content []byte) (map[uint32]string, error) {
	names := make(map[uint32]string)
	r := NewReader(content)
	for !r.Done() {
		id, body := r.Byte(), r.Block()
		if id != 1 || r.err != nil {
			continue
		}
		in := NewReader(body)
		in.vector(func() {
			index := in.Uint()
			names[index] = in.name()
		})
		if in.err != nil {
			return nil, in.err
		}
	}
	return names, r.err
}
