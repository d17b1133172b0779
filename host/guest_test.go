package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// GuestWasm is testdata/guest, built for this run of the tests. CacheDir keeps
// what is compiled of it between filters.
var (
	GuestWasm []byte
	CacheDir  string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kest-host")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	CacheDir = filepath.Join(dir, "cache")
	file := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-p=2", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the test guest does not build: %v\n%s", err, out)
		return 1
	}
	if GuestWasm, err = os.ReadFile(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
