package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"

	"kest.example/kest/internal/wasmbin"
)

// The same as bytes.IndexByte, wherever the text lies and what is around it.
func TestMemchr(t *testing.T) {
	m := &wasmbin.Module{
		Memories: []wasmbin.Limits{{Min: 1}},
		Exports:  []wasmbin.Export{{Name: "memory", Kind: wasmbin.MemoryKind}, {Name: "memchr", Kind: wasmbin.FunctionKind}},
	}
	m.AddFunction(m.AddType([]byte{wasmbin.I32, wasmbin.I32, wasmbin.I32}, []byte{wasmbin.I32}), memchr())
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	defer func() { _ = runtime.Close(ctx) }()
	guest, err := runtime.Instantiate(ctx, m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	memory, _ := guest.Memory().Read(0, guest.Memory().Size())
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 100_000 {
		char := byte(random.UintN(256))
		around := []byte{char, char + 1, char ^ 0x80, byte(random.Uint32())} // what a carry could mistake
		at, length := 1+random.UintN(40), random.UintN(100)
		if random.UintN(8) == 0 { // up to the end of the memory
			at = uint(len(memory)) - length
		}
		for i := at - min(at, 8); i < min(at+length+8, uint(len(memory))); i++ {
			memory[i] = around[random.UintN(4)]
			if inside := i >= at && i < at+length; inside && memory[i] == char && random.UintN(20) > 0 {
				memory[i] = char + 1
			}
		}
		want := uint64(0)
		if i := bytes.IndexByte(memory[at:at+length], char); i >= 0 {
			want = uint64(at) + uint64(i)
			found++
		}
		have, err := guest.ExportedFunction("memchr").Call(ctx, uint64(at), uint64(char), uint64(length))
		if err != nil || have[0] != want {
			t.Fatalf("0x%02x in %x at %d: %d, want %d (%v)", char, memory[at:at+length], at, have, want, err)
		}
	}
	if found < 10_000 || found > 90_000 {
		t.Errorf("it is there %d times of 100,000", found)
	}
}
