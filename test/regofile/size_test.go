package regofile_test

import (
	"testing"
	"testing/fstest"

	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/policy/library"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/rego/regowasm"
)

// maxAdded bounds what one model adds to policy.wasm, in bytes of code and of
// the file: it is start-up time in a proxy.
const maxAdded = 400_000

func codeSize(t *testing.T, module []byte) int {
	t.Helper()
	n, err := wasmbin.CodeSize(module)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	return n
}

func TestModelsAreSmall(t *testing.T) {
	guest := base(t)
	for _, m := range library.Models() {
		b, err := rego.LoadFS(fstest.MapFS{"policy.rego": &fstest.MapFile{Data: []byte(m.Rego)}}, ".")
		if err != nil {
			t.Fatal(err)
		}
		file, err := regowasm.Build(t.Context(), b, guest)
		if err != nil {
			t.Fatal(err)
		}
		if code, all := codeSize(t, file)-codeSize(t, guest), len(file)-len(guest); code <= 0 || code > maxAdded || all > maxAdded {
			t.Errorf("%s adds %d bytes of code, %d in all, of at most %d", m.Name, code, all, maxAdded)
		}
	}
}
