package wasmbounds

import "kest.example/kest/internal/wasmbin"

// Page is the size of a page of memory, and of the room behind the end, in bytes.
const Page = 1 << 16

// maxPages is how large a memory can be.
const maxPages = 1 << 16

// Module rewrites a module. It gives back the same bytes where it has no memory
// of its own, more than one, one that can't be larger, or a form that package
// wasmbin doesn't read.
func Module(module []byte) []byte {
	m, err := wasmbin.Parse(module)
	if err != nil || len(m.Memories) != 1 || m.Imported(wasmbin.MemoryKind) > 0 {
		return module
	}
	memory := &m.Memories[0]
	if memory.Min >= maxPages || memory.HasMax && memory.Max >= maxPages {
		return module
	}
	memory.Min++
	if memory.HasMax {
		memory.Max++
	}
	functions := len(m.Code)
	i32 := []byte{wasmbin.I32}
	grow := m.AddFunction(m.AddType(i32, i32), growBody)
	for i, body := range m.Code[:functions] {
		if m.Code[i], err = function(body, grow); err != nil {
			return module
		}
	}
	return m.Encode()
}

// growBody grows the memory and returns what its size was to the module, or -1.
var growBody = new(wasmbin.Code).Get(0).Op(wasmbin.OpMemoryGrow, 0).Tee(0).Get(0).I32(-1).Op(wasmbin.OpI32Ne, wasmbin.OpI32Sub).Body()

// function rewrites a body, given the function that grows the memory.
func function(body []byte, grow uint32) ([]byte, error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, err
	}
	ahead := furthest(steps)
	out := new(wasmbin.Code).Raw(body[:locals])
	for i, s := range steps {
		switch s.Op {
		case wasmbin.OpMemorySize:
			out.Raw(body[s.Start:s.End]).I32(1).Op(wasmbin.OpI32Sub)
			continue
		case wasmbin.OpMemoryGrow:
			out.Call(grow)
			continue
		}
		if a := ahead[i]; a != nil && a.most > a.first {
			out.Get(a.local).With(wasmbin.OpI32Load8U, 0).Uint(uint32(a.most - 1)).Op(wasmbin.OpDrop) //nolint:gosec // checked by furthest
		}
		out.Raw(body[s.Start:s.End])
	}
	return out.Bytes(), nil
}
