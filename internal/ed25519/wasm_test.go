//go:build !wasm

package ed25519_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// TestInWebAssembly runs this package's other tests in wazero, on the
// arithmetic of guests.
func TestInWebAssembly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ed25519.wasm")
	build := exec.Command("go", "test", "-c", "-tags", "force64bit", "-o", file, ".")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	defer func() { _ = runtime.Close(ctx) }()
	wasi_snapshot_preview1.MustInstantiate(ctx, runtime)
	var output bytes.Buffer
	_, err = runtime.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().
		WithArgs("ed25519.wasm", "-test.v").
		WithEnv(vectorsVariable, "/").
		WithFSConfig(wazero.NewFSConfig().WithReadOnlyDirMount(vectorsDir(t), "/")).
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime().
		WithStdout(&output).WithStderr(&output))
	if err != nil { // also the exit code, unless that is 0
		t.Fatalf("%v\n%s", err, output.Bytes())
	}
	t.Logf("%s", output.Bytes())
	for _, name := range []string{"TestSignAsStandardLibrary", "TestCCTV", "TestTorsion"} {
		if !strings.Contains(output.String(), "--- PASS: "+name) {
			t.Errorf("%s did not run", name)
		}
	}
}
