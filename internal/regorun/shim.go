package regorun

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/internal/regolink"
)

var errAbort = errors.New("aborted")

// exportShim serves what a policy module imports.
func exportShim(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(regolink.ModuleShim)
	one := api.ValueTypeI32
	for _, f := range []struct {
		name            string
		run             func(i *instance, stack []uint64)
		params, results []api.ValueType
	}{
		{regolink.FnAbort, (*instance).onAbort, []api.ValueType{one}, nil},
		{regolink.FnBuiltin, (*instance).onBuiltin, []api.ValueType{one, one, one}, []api.ValueType{one}},
		{regolink.FnResult, (*instance).onResult, []api.ValueType{one}, nil},
	} {
		b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			if i, ok := ctx.Value(instanceKey{}).(*instance); ok {
				f.run(i, stack)
			}
		}), f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// maxText bounds the text of an abort.
const maxText = 256

// onAbort ends the call, by wazero's way for host functions.
func (i *instance) onAbort(stack []uint64) {
	i.abort = "aborted"
	at := api.DecodeU32(stack[0])
	var text []byte
	for len(text) < maxText {
		c, ok := i.memory.ReadByte(at)
		if !ok || c == 0 {
			break
		}
		text, at = append(text, c), at+1
	}
	if len(text) > 0 {
		i.abort = string(text)
	}
	panic(errAbort)
}

// onBuiltin: id, address, n → the result's length, or -1.
func (i *instance) onBuiltin(stack []uint64) {
	id := api.DecodeU32(stack[0])
	arguments, ok := i.memory.Read(api.DecodeU32(stack[1]), api.DecodeU32(stack[2]))
	stack[0] = api.EncodeI32(-1)
	name := i.of.info.Builtins[id]
	if !ok || name == "" {
		i.failed = "without a name"
		return
	}
	result, err := i.of.builtin(name, arguments, i.now)
	if err != nil || len(result) > maxResult {
		i.failed = name
		return
	}
	i.result = result
	stack[0] = uint64(len(result))
}

// maxResult is more than the module's memory has.
const maxResult = 64 << 20

func (i *instance) onResult(stack []uint64) {
	if !i.memory.Write(api.DecodeU32(stack[0]), i.result) {
		panic(errMemory)
	}
}
