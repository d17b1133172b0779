package main

import "kest.example/kest/internal/wasmbin"

// conditions turns a comparison of integers around that is negated behind it:
// a compiler then has one instruction for it and the branch on it.
func conditions(body []byte) ([]byte, error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(body)), body[:locals]...)
	for i := 0; i < len(steps); i++ {
		s := steps[i]
		if opposite := negated(s.Op); opposite != 0 && i+1 < len(steps) && steps[i+1].Op == wasmbin.OpI32Eqz {
			out = append(out, opposite)
			i++
			continue
		}
		out = append(out, body[s.Start:s.End]...)
	}
	return out, nil
}

// negated is the comparison that holds where another one doesn't; 0 without
// one, as for numbers that may be none.
func negated(op byte) byte {
	first := wasmbin.OpI32Eq
	switch {
	case op >= wasmbin.OpI32Eq && op <= wasmbin.OpI32GeU:
	case op >= wasmbin.OpI64Eq && op <= wasmbin.OpI64GeU:
		first = wasmbin.OpI64Eq
	default:
		return 0
	}
	// eq, ne, and each of the others for signed and unsigned numbers: lt, gt, le, ge.
	return first + [...]byte{1, 0, 8, 9, 6, 7, 4, 5, 2, 3}[op-first]
}
