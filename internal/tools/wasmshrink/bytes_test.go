package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/internal/wasmbin"
)

// bytesGuest is a module with one of the functions.
func bytesGuest(t *testing.T, parameter byte, body []byte, results ...byte) (call api.Function, memory []byte) {
	t.Helper()
	m := &wasmbin.Module{
		Memories: []wasmbin.Limits{{Min: 1}},
		Exports:  []wasmbin.Export{{Name: "memory", Kind: wasmbin.MemoryKind}, {Name: "f", Kind: wasmbin.FunctionKind}},
	}
	m.AddFunction(m.AddType([]byte{parameter, parameter, parameter}, results), body)
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = runtime.Close(ctx) })
	guest, err := runtime.Instantiate(ctx, m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	memory, _ = guest.Memory().Read(0, guest.Memory().Size())
	return guest.ExportedFunction("f"), memory
}

// The same as bytes.IndexByte, wherever the text lies and what is around it.
func TestMemchr(t *testing.T) {
	call, memory := bytesGuest(t, wasmbin.I32, memchr(), wasmbin.I32)
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
		have, err := call.Call(t.Context(), uint64(at), uint64(char), uint64(length))
		if err != nil || have[0] != want {
			t.Fatalf("0x%02x in %x at %d: %d, want %d (%v)", char, memory[at:at+length], at, have, want, err)
		}
	}
	if found < 10_000 || found > 90_000 {
		t.Errorf("it is there %d times of 100,000", found)
	}
}

// Texts of each size up to 70 that are the same, or differ in one bit; each also
// at the end of the memory.
func TestMemeqbody(t *testing.T) {
	call, memory := bytesGuest(t, wasmbin.I64, memeqbody(), wasmbin.I64)
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		for _, places := range [][2]int{{3, 1000}, {1000, 3}, {5, len(memory) - n}, {len(memory) - n, 64}} {
			left, right := memory[places[0]:places[0]+n], memory[places[1]:places[1]+n]
			check := func(want uint64) {
				t.Helper()
				have, err := call.Call(t.Context(), uint64(places[0]), uint64(places[1]), uint64(n))
				if err != nil || have[0] != want {
					t.Fatalf("%x and %x: %d, want %d (%v)", left, right, have, want, err)
				}
			}
			for i := range left {
				left[i] = byte(random.Uint32())
			}
			copy(right, left)
			check(1)
			for i := range left {
				right[i] ^= 1 << random.UintN(8)
				check(0)
				right[i] = left[i]
			}
		}
	}
}

// Each size that has a way of its own, by each distance between the two.
func TestCopying(t *testing.T) {
	call, memory := bytesGuest(t, wasmbin.I32, copying())
	want := make([]byte, len(memory))
	for n := range 3 * shortCopy {
		for _, from := range []int{200, len(memory) - n} {
			for to := max(from-2*shortCopy, 0); to < from+2*shortCopy && to+n <= len(memory); to++ {
				for i := range memory {
					memory[i] = byte(i * 7)
				}
				copy(want, memory)
				copy(want[to:to+n], want[from:from+n])
				if _, err := call.Call(t.Context(), uint64(to), uint64(from), uint64(n)); err != nil || !bytes.Equal(memory, want) {
					t.Fatalf("%d bytes from %d to %d are wrong (%v)", n, from, to, err)
				}
			}
		}
	}
}

func TestFilling(t *testing.T) {
	call, memory := bytesGuest(t, wasmbin.I32, filling())
	want := make([]byte, len(memory))
	for n := range shortFill + 40 {
		for _, to := range []int{0, 201, len(memory) - n} {
			for i := range memory {
				memory[i] = byte(i*7) | 1
			}
			copy(want, memory)
			for i := range n {
				want[to+i] = byte(n)
			}
			if _, err := call.Call(t.Context(), uint64(to), uint64(n)|0x100, uint64(n)); err != nil || !bytes.Equal(memory, want) {
				t.Fatalf("%d bytes at %d are wrong (%v)", n, to, err)
			}
		}
	}
}
