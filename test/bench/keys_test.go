package bench

import (
	"os"
	"strings"
	"sync"
	"testing"

	"kest.example/kest"
)

// keyOf returns the public JWK of a workload of configuration.
func keyOf(tb testing.TB, name string) string {
	tb.Helper()
	id, err := kest.SeedIdentity("spiffe://example.org/"+name, []byte(strings.Repeat(name, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	return id.Key.JWK()
}

var cache = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "kest-bench-") })

// cacheDir is one folder of compiled modules for all benchmarks of a run.
func cacheDir(tb testing.TB) string {
	tb.Helper()
	dir, err := cache()
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := cache(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}
