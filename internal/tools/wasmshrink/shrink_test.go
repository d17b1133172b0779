package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/internal/wasmflow"
)

// guest is testdata/guest, built as build.sh builds the filters.
var guest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "wasmshrink-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-w -buildid=", "-o", path, "./testdata/guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(err.Error() + ": " + string(out))
	}
	return os.ReadFile(path)
})

func modules(t *testing.T) (long, short []byte) {
	t.Helper()
	long, err := guest()
	if err != nil {
		t.Fatal(err)
	}
	if short, err = shrink(long); err != nil {
		t.Fatal(err)
	}
	return long, short
}

// compiled spares the tests from compiling a module twice.
var compiled = wazero.NewCompilationCache()

// outcome is what a run of a module left behind.
type outcome struct {
	out, err string
	code     uint32
}

func execute(t *testing.T, module []byte, args ...string) (o outcome) {
	t.Helper()
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compiled))
	defer func() { _ = runtime.Close(ctx) }()
	wasi_snapshot_preview1.MustInstantiate(ctx, runtime)
	var out, stderr bytes.Buffer
	_, err := runtime.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().
		WithStdout(&out).WithStderr(&stderr).WithArgs(append([]string{"guest"}, args...)...).
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime().WithSysNanosleep())
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		o.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	o.out, o.err = out.String(), stderr.String()
	return o
}

// The same output, exit code and stack trace: calls of all kinds, panics and
// recovery, goroutines, growing stacks, the collector, runtime.Callers.
func TestShrunkModulesDoTheSame(t *testing.T) {
	long, short := modules(t)
	for _, args := range [][]string{nil, {"four"}, {"panic"}} {
		want, have := execute(t, long, args...), execute(t, short, args...)
		if want.out == "" || have.out != want.out || have.code != want.code {
			t.Errorf("%v: exit %d, not %d; it prints\n%s\ninstead of\n%s\n%s", args, have.code, want.code, have.out, want.out, have.err)
		}
		if trace(have.err) != trace(want.err) {
			t.Errorf("%v: stderr\n%s\ninstead of\n%s", args, have.err, want.err)
		}
	}
	out := execute(t, short).out
	for _, text := range []string{"2 1 0 recovered runtime error: index out of range", "second, first", "ended <nil>", "main.callers main.main"} {
		if !strings.Contains(out, text) {
			t.Errorf("%q is not in\n%s", text, out)
		}
	}
}

// trace is a stack trace without addresses of data.
func trace(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if at := strings.IndexByte(line, '('); at > 0 && !strings.HasPrefix(line, "\t") {
			line = line[:at]
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

// A version of Go that writes jumps in another way shows here, and not by guests
// that are slow again.
func TestGoFormIsRecognised(t *testing.T) {
	long, _ := modules(t)
	m, err := wasmbin.Parse(long)
	if err != nil {
		t.Fatal(err)
	}
	section, _ := m.Custom("name")
	names, err := wasmbin.ParseFunctionNames(section)
	if err != nil {
		t.Fatal(err)
	}
	done, left, err := wasmflow.Structure(m, names)
	if err != nil || len(left) > 0 || done < len(m.Code)*9/10 {
		t.Errorf("%d of %d functions have the new form, and %v can't: %v", done, len(m.Code), left, err)
	}
	first := m.Imported(wasmbin.FunctionKind)
	own, pushes, based := 0, 0, 0
	for i, body := range m.Code {
		typ, _ := m.TypeOf(first + uint32(i))
		if _, ok := replaced(names[first+uint32(i)], typ); ok {
			own++
		}
		_, steps, err := wasmbin.Body(body)
		if err != nil {
			t.Fatal(err)
		}
		if f := (rebased{steps: steps, local: uint64(len(typ.Params))}); !f.standard() {
			continue
		}
		pushes++
		if short, err := frames(body, uint32(len(typ.Params))); err == nil && !bytes.Equal(short, body) {
			based++
		}
	}
	if own != 2 || pushes < len(m.Code)/2 || based < pushes*9/10 {
		t.Errorf("%d functions are replaced, not memchr and memeqbody; of %d that push, %d can be based below", own, pushes, based)
	}
}

// Where functions have no names, nobody knows where a recovered panic comes back.
func TestWithoutNamesItDoesTheSame(t *testing.T) {
	long, _ := modules(t)
	m, err := wasmbin.Parse(long)
	if err != nil {
		t.Fatal(err)
	}
	m.Customs = nil
	short, err := shrink(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	want, have := execute(t, long), execute(t, short)
	if want.out == "" || have.out != want.out || have.code != want.code {
		t.Errorf("exit %d, not %d; it prints\n%s\ninstead of\n%s\n%s", have.code, want.code, have.out, want.out, have.err)
	}
}

func TestSmallerAndDeterministic(t *testing.T) {
	long, short := modules(t)
	if len(short) >= len(long)*19/20 {
		t.Errorf("%d bytes became %d", len(long), len(short))
	}
	before, after := codeSize(t, long), codeSize(t, short)
	if after >= before*9/10 {
		t.Errorf("%d bytes of code became %d", before, after)
	}
	again, err := shrink(long)
	if err != nil || !bytes.Equal(again, short) {
		t.Errorf("a second time it gives other bytes: %v", err)
	}
}

func codeSize(t *testing.T, module []byte) int {
	t.Helper()
	n, err := wasmbin.CodeSize(module)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	return n
}

// Everything but code, types and function numbers is as it was; custom sections go.
func TestOnlyCodeChanges(t *testing.T) {
	long, short := modules(t)
	before, err := wasmbin.Split(long)
	if err != nil {
		t.Fatal(err)
	}
	after, err := wasmbin.Split(short)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range before {
		switch s.ID {
		case wasmbin.SectionCustom:
			continue
		case wasmbin.SectionType, wasmbin.SectionFunction, wasmbin.SectionCode:
		default:
			if !bytes.Equal(after[0].Body, s.Body) {
				t.Errorf("section %d changed", s.ID)
			}
		}
		if after[0].ID != s.ID {
			t.Fatalf("section %d stands where %d was", after[0].ID, s.ID)
		}
		after = after[1:]
	}
	if len(after) > 0 {
		t.Errorf("%d sections more", len(after))
	}
}

// What is shrunk once has nothing left to take, and still runs.
func TestShrinkingTwice(t *testing.T) {
	long, short := modules(t)
	twice, err := shrink(short)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := execute(t, twice).out, execute(t, long).out; have != want {
		t.Errorf("it prints\n%s\ninstead of\n%s", have, want)
	}
}

func TestMalformedModules(t *testing.T) {
	long, _ := modules(t)
	for cut := 0; cut < len(long); cut += 1000 {
		if out, err := shrink(long[:cut]); err == nil && !wholeSections(long, cut) {
			t.Errorf("cut after %d of %d bytes: no error and %d bytes", cut, len(long), len(out))
		}
	}
	for name, module := range map[string]string{
		"nothing": "", "no module": "hello, world", "version 2": "\x00asm\x02\x00\x00\x00", "a component": "\x00asm\x0d\x00\x01\x00",
		"a section without a size":      wasmbin.Header + "\x01",
		"a section that is too long":    wasmbin.Header + "\x01\xff\xff\xff\xff\x0f",
		"a size without an end":         wasmbin.Header + "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"more imports than there are":   wasmbin.Header + "\x02\x05\xff\xff\xff\xff\x0f",
		"code without functions":        wasmbin.Header + "\x0a\x04\x01\x02\x00\x0b",
		"functions of another number":   wasmbin.Header + "\x01\x04\x01\x60\x00\x00\x03\x03\x02\x00\x00\x0a\x04\x01\x02\x00\x0b",
		"a body that is cut":            wasmbin.Header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x03\x01\x05\x00",
		"an instruction of another Go":  wasmbin.Header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x05\x01\x03\x00\xfd\x0b",
		"a branch table without an end": wasmbin.Header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x09\x01\x07\x00\x0e\xff\xff\xff\xff\x0f",
		"more locals than there are":    wasmbin.Header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x07\x01\x05\xff\xff\xff\xff\x0f",
		"names that are cut":            wasmbin.Header + "\x00\x09\x04name\x01\x05\x01\x00",
	} {
		if out, err := shrink([]byte(module)); err == nil || out != nil {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// wholeSections says whether a cut is between two sections, which no reader can tell from an end.
func wholeSections(module []byte, cut int) bool {
	_, err := wasmbin.Split(module[:cut])
	return err == nil
}

// A small module without anything of Go's stays as it is, but for the two new functions.
func TestForeignModule(t *testing.T) {
	module := wasmbin.Header + "\x01\x05\x01\x60\x00\x01\x7f" + "\x03\x02\x01\x00" + "\x07\x05\x01\x01f\x00\x00" + "\x0a\x06\x01\x04\x00\x41\x2a\x0b"
	out, err := shrink([]byte(module))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte("\x04\x00\x41\x2a\x0b")) || !bytes.Contains(out, []byte("\x07\x05\x01\x01f\x00\x00")) {
		t.Errorf("%q", out)
	}
}

func TestRun(t *testing.T) {
	long, short := modules(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wasm"), filepath.Join(dir, "out.wasm")
	if err := os.WriteFile(in, long, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, out); err != nil {
		t.Fatal(err)
	}
	if written, err := os.ReadFile(out); err != nil || !bytes.Equal(written, short) {
		t.Errorf("%d bytes, %v", len(written), err)
	}
	if err := run(filepath.Join(dir, "none"), out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no input: %v", err)
	}
	if err := os.WriteFile(in, long[:5000], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, filepath.Join(dir, "new.wasm")); err == nil || !strings.Contains(err.Error(), "in.wasm") {
		t.Errorf("half a module: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new.wasm")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a module left a file: %v", err)
	}
}

// Nothing panics, and what is taken can be taken apart again.
func FuzzShrink(f *testing.F) {
	f.Add([]byte(wasmbin.Header))
	f.Add([]byte(wasmbin.Header + "\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x0a\x06\x01\x04\x00\x41\x2a\x0b"))
	f.Add([]byte(wasmbin.Header + "\x01\x05\x01\x60\x01\x7f\x00\x02\x07\x01\x01a\x01b\x00\x00\x00\x0b\x04name\x01\x04\x01\x00\x01f"))
	push := "\x20\x01\x41\x08\x6b\x22\x01\x24\x00\x20\x01\x42\x07\x37\x03\x00\x41\x00\x10\x00\x23\x00\x21\x01"
	pop := "\x20\x01\x41\x10\x6a\x22\x01\x24\x00\x20\x01\x41\x08\x6a\x22\x01\x24\x00\x41\x00\x0f"
	body := "\x01\x01\x7f" + push + pop + "\x0b"
	f.Add([]byte(wasmbin.Header + "\x01\x06\x01\x60\x01\x7f\x01\x7f\x03\x02\x01\x00\x0a" + string(rune(len(body)+2)) + "\x01" + string(rune(len(body))) + body))
	f.Fuzz(func(t *testing.T, module []byte) {
		out, err := shrink(module)
		if err != nil {
			if out != nil {
				t.Error("bytes beside an error")
			}
			return
		}
		if _, err := wasmbin.Split(out); err != nil {
			t.Errorf("the result can't be read: %v", err)
		}
		again, err := shrink(module)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("a second time it gives other bytes: %v", err)
		}
	})
}
