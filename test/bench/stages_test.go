package bench

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"kest.example/kest/test/bench/stages"
)

// BenchmarkStage is every stage of a hop, natively and on wazero.
func BenchmarkStage(b *testing.B) {
	module := stageGuest(b)
	for i, s := range stages.All() {
		b.Run(s.Name+"/native", func(b *testing.B) {
			run := s.Prepare()
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(s.Name+"/wazero", func(b *testing.B) {
			ctx := context.Background()
			if _, err := module.ExportedFunction("prepare").Call(ctx, uint64(i)); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			good, err := module.ExportedFunction("repeat").Call(ctx, uint64(b.N))
			if err != nil || good[0] != 1 {
				b.Fatal(good, err)
			}
		})
	}
}

func stageGuest(b *testing.B) api.Module {
	b.Helper()
	file := filepath.Join(b.TempDir(), "bench.wasm")
	build := exec.Command("go", "build", "-tags", "force64bit", "-trimpath", "-buildmode=c-shared", "-o", file, "../guests/bench")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOEXPERIMENT=nogreenteagc")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	shrink := exec.Command("go", "run", "../../internal/tools/wasmshrink", file, file) // as build.sh does
	if out, err := shrink.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	b.Cleanup(func() { _ = r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	m, err := r.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions("_initialize").
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime())
	if err != nil {
		b.Fatal(err)
	}
	return m
}
