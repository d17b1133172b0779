package main

import (
	"bytes"
	"testing"

	"kest.example/kest/internal/wasmbin"
)

// Functions as Go writes them: parameter 0 is the block to enter, local 1 the
// stack pointer.
func TestFrames(t *testing.T) {
	type code = *wasmbin.Code
	const one = 7 // a function that is called
	start := func() code {
		return new(wasmbin.Code).With(wasmbin.OpGlobalGet, 0).Set(1).Op(wasmbin.OpBlock, wasmbin.NoResult)
	}
	startBelow := func() code {
		return new(wasmbin.Code).With(wasmbin.OpGlobalGet, 0).I32(8).Op(wasmbin.OpI32Sub).Set(1).Op(wasmbin.OpBlock, wasmbin.NoResult)
	}
	push := func(c code) code {
		return c.Get(1).I32(8).Op(wasmbin.OpI32Sub).Tee(1).With(wasmbin.OpGlobalSet, 0).Get(1).I64(65537).Op(wasmbin.OpI64Store, 3, 0)
	}
	pushBelow := func(c code) code {
		return c.Get(1).With(wasmbin.OpGlobalSet, 0).Get(1).I64(65537).Op(wasmbin.OpI64Store, 3, 0)
	}
	call := func(c code) code {
		return push(c).I32(0).Call(one).With(wasmbin.OpGlobalGet, 0).Set(1).With(wasmbin.OpBrIf, 0)
	}
	callBelow := func(c code) code {
		return pushBelow(c).I32(0).Call(one).With(wasmbin.OpGlobalGet, 0).I32(8).Op(wasmbin.OpI32Sub).Set(1).With(wasmbin.OpBrIf, 0)
	}
	end := func(c code) []byte {
		return c.Op(wasmbin.OpUnreachable, wasmbin.OpEnd).I32(1).Body(wasmbin.I32)
	}
	for name, c := range map[string]struct{ in, want []byte }{
		"a call": {end(call(start())), end(callBelow(startBelow()))},
		"a frame": {
			end(call(start().Get(1).I32(32).Op(wasmbin.OpI32Sub).Tee(1).With(wasmbin.OpGlobalSet, 0)).
				Get(1).I32(32).Op(wasmbin.OpI32Add).Tee(1).With(wasmbin.OpGlobalSet, 0).
				Get(1).I32(8).Op(wasmbin.OpI32Add).Tee(1).With(wasmbin.OpGlobalSet, 0).I32(0).Op(wasmbin.OpReturn)),
			end(callBelow(startBelow().Get(1).I32(32).Op(wasmbin.OpI32Sub).Tee(1).I32(8).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, 0)).
				Get(1).I32(48).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, 0).I32(0).Op(wasmbin.OpReturn)),
		},
		"no frame": {
			end(call(start()).Get(1).I32(8).Op(wasmbin.OpI32Add).Tee(1).With(wasmbin.OpGlobalSet, 0).I32(0).Op(wasmbin.OpReturn)),
			end(callBelow(startBelow()).Get(1).I32(16).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, 0).I32(0).Op(wasmbin.OpReturn)),
		},
		"accesses": {
			end(call(start().Get(1).Get(1).Op(wasmbin.OpI64Load, 3, 16, wasmbin.OpI64Store, 3, 0x7f))),
			end(callBelow(startBelow().Get(1).Get(1).Op(wasmbin.OpI64Load, 3, 24, wasmbin.OpI64Store, 3, 0x87, 1))),
		},
		"an address": {
			end(call(start().Get(1).I32(24).Op(wasmbin.OpI32Add).Set(2))),
			end(callBelow(startBelow().Get(1).I32(8).Op(wasmbin.OpI32Add).I32(24).Op(wasmbin.OpI32Add).Set(2))),
		},
		"a call that doesn't come back": {
			end(push(call(start())).I32(0).Call(one).With(wasmbin.OpBrIf, 0).Op(wasmbin.OpUnreachable)),
			end(pushBelow(callBelow(startBelow())).I32(0).Call(one).With(wasmbin.OpBrIf, 0).Op(wasmbin.OpUnreachable)),
		},
	} {
		if have, err := frames(c.in, 1); err != nil || !bytes.Equal(have, c.want) {
			t.Errorf("%s: %x became\n%x, want\n%x (%v)", name, c.in, have, c.want, err)
		}
	}
	for name, body := range map[string][]byte{
		"no push":                         end(start().Get(1).Op(wasmbin.OpI64Load, 3, 16, wasmbin.OpDrop)),
		"another local":                   end(call(new(wasmbin.Code).With(wasmbin.OpGlobalGet, 0).Set(2).Op(wasmbin.OpBlock, wasmbin.NoResult))),
		"another global":                  end(call(new(wasmbin.Code).With(wasmbin.OpGlobalGet, 1).Set(1).Op(wasmbin.OpBlock, wasmbin.NoResult))),
		"an end behind a push":            end(push(start().Op(wasmbin.OpBlock, wasmbin.NoResult)).I32(0).Call(one).Op(wasmbin.OpDrop, wasmbin.OpEnd)),
		"used behind a push":              end(push(start()).Get(1).Op(wasmbin.OpDrop)),
		"written otherwise":               end(call(start()).I32(0).Set(1)),
		"a branch behind a push":          end(push(start().Op(wasmbin.OpBlock, wasmbin.NoResult)).I32(0).Call(one).With(wasmbin.OpBrIf, 0).Op(wasmbin.OpEnd)),
		"a block behind a push":           end(push(start()).Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpEnd)),
		"more behind the outermost block": push(start()).I32(0).Call(one).With(wasmbin.OpBrIf, 0).Op(wasmbin.OpEnd).Get(1).Op(wasmbin.OpDrop).I32(1).Body(wasmbin.I32),
	} {
		if have, err := frames(body, 1); err != nil || !bytes.Equal(have, body) {
			t.Errorf("%s: %x became %x (%v)", name, body, have, err)
		}
	}
	if _, err := frames([]byte{0, 0xff}, 1); err == nil {
		t.Error("an unknown instruction is taken")
	}
}
