package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"kest.example/kest/internal/wasmbounds"
	"kest.example/kest/plugin/proxywasm"
)

// program is a module, ready to be instantiated.
type program struct {
	runtime  wazero.Runtime
	cache    wazero.CompilationCache // nil without one
	compiled wazero.CompiledModule
}

// compile rewrites, meters and compiles a module and sets up what it may import: the
// proxy-wasm functions and WASI, nothing else.
func compile(ctx context.Context, wasm []byte, o *options) (_ *program, err error) {
	metered, err := meter(wasmbounds.Module(wasm))
	if err != nil {
		return nil, err
	}
	const most = 1 << 16
	pages := min(o.pages+1, most) // one for the room behind the end
	config := wazero.NewRuntimeConfig().WithDebugInfoEnabled(false).WithMemoryLimitPages(pages)
	p := &program{}
	if o.cacheDir != "" {
		if p.cache, err = wazero.NewCompilationCacheWithDir(o.cacheDir); err != nil {
			return nil, fmt.Errorf("host: compile cache: %w", err)
		}
		config = config.WithCompilationCache(p.cache)
	}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	defer func() {
		if err != nil {
			_ = p.close(ctx)
		}
	}()
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return nil, fmt.Errorf("host: WASI: %w", err)
	}
	if err = exportFunctions(ctx, p.runtime); err != nil {
		return nil, fmt.Errorf("host: host functions: %w", err)
	}
	if p.compiled, err = p.runtime.CompileModule(ctx, metered); err != nil {
		return nil, fmt.Errorf("%w: %w", errModule, err)
	}
	if _, ok := p.compiled.ExportedFunctions()[proxywasm.Version]; !ok {
		return nil, fmt.Errorf("%w: it does not export %s", errModule, proxywasm.Version)
	}
	return p, nil
}

func (p *program) close(ctx context.Context) error {
	err := p.runtime.Close(ctx)
	if p.cache != nil {
		err = errors.Join(err, p.cache.Close(ctx))
	}
	return err
}
