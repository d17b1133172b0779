package host

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/plugin/proxywasm"
)

// hostFunction is a function that guests import. params has an i for each i32
// and an I for each i64. All return a status.
type hostFunction struct {
	name   string
	params string
	run    func(i *instance, p params) proxywasm.Status
}

// params are what a guest passes. Addresses and sizes are its word only and
// checked where they are used. Those of 64 bits stay 0: no function here reads any.
type params [12]uint32

// hostFunctions are all of ABI 0.2.1, so that any module of it loads. The
// comment at each names its parameters in the specification's order.
func hostFunctions() []hostFunction {
	return []hostFunction{
		{proxywasm.FnLog, "iii", (*instance).fnLog},
		{proxywasm.FnGetLogLevel, "i", (*instance).fnGetLogLevel},
		{proxywasm.FnGetCurrentTime, "i", (*instance).fnGetCurrentTime},
		{proxywasm.FnSetTickPeriod, "i", (*instance).fnSetTickPeriod},
		{proxywasm.FnDone, "", (*instance).fnDone},
		{proxywasm.FnSetEffectiveContext, "i", (*instance).fnSetEffectiveContext},

		{proxywasm.FnGetBufferBytes, "iiiii", (*instance).fnGetBufferBytes},
		{proxywasm.FnGetBufferStatus, "iii", (*instance).fnGetBufferStatus},
		{proxywasm.FnSetBufferBytes, "iiiii", unimplemented},

		{proxywasm.FnGetHeaderMapSize, "ii", (*instance).fnGetHeaderMapSize},
		{proxywasm.FnGetHeaderMapPairs, "iii", (*instance).fnGetHeaderMapPairs},
		{proxywasm.FnSetHeaderMapPairs, "iii", (*instance).fnSetHeaderMapPairs},
		{proxywasm.FnGetHeaderMapValue, "iiiii", (*instance).fnGetHeaderMapValue},
		{proxywasm.FnAddHeaderMapValue, "iiiii", (*instance).fnAddHeaderMapValue},
		{proxywasm.FnReplaceHeaderMapValue, "iiiii", (*instance).fnReplaceHeaderMapValue},
		{proxywasm.FnRemoveHeaderMapValue, "iii", (*instance).fnRemoveHeaderMapValue},

		{proxywasm.FnContinueStream, "i", (*instance).fnContinueStream},
		{proxywasm.FnCloseStream, "i", (*instance).fnCloseStream},
		{proxywasm.FnSendLocalResponse, "iiiiiiii", (*instance).fnSendLocalResponse},
		{proxywasm.FnGetStatus, "iii", (*instance).fnGetStatus},
		{proxywasm.FnHTTPCall, "iiiiiiiiii", (*instance).fnHTTPCall},

		{proxywasm.FnGetSharedData, "iiiii", (*instance).fnGetSharedData},
		{proxywasm.FnSetSharedData, "iiiii", (*instance).fnSetSharedData},
		{proxywasm.FnGetProperty, "iiii", (*instance).fnGetProperty},
		{proxywasm.FnSetProperty, "iiii", (*instance).fnSetProperty},
		{proxywasm.FnCallForeignFunction, "iiiiii", (*instance).fnCallForeignFunction},

		{proxywasm.FnGRPCCall, "iiiiiiiiiiii", unimplemented},
		{proxywasm.FnGRPCStream, "iiiiiiiii", unimplemented},
		{proxywasm.FnGRPCSend, "iiii", unimplemented},
		{proxywasm.FnGRPCCancel, "i", unimplemented},
		{proxywasm.FnGRPCClose, "i", unimplemented},
		{proxywasm.FnRegisterSharedQueue, "iii", unimplemented},
		{proxywasm.FnResolveSharedQueue, "iiiii", unimplemented},
		{proxywasm.FnEnqueueSharedQueue, "iii", unimplemented},
		{proxywasm.FnDequeueSharedQueue, "iii", unimplemented},
		{proxywasm.FnDefineMetric, "iiii", unimplemented},
		{proxywasm.FnRecordMetric, "iI", unimplemented},
		{proxywasm.FnIncrementMetric, "iI", unimplemented},
		{proxywasm.FnGetMetric, "ii", unimplemented},
	}
}

// unimplemented is a function that a module may import, and no more.
func unimplemented(*instance, params) proxywasm.Status { return proxywasm.Unimplemented }

func exportFunctions(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(proxywasm.ImportModule)
	for _, f := range hostFunctions() {
		b = b.NewFunctionBuilder().WithGoModuleFunction(f.glue(), f.types(), []api.ValueType{api.ValueTypeI32}).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func (f hostFunction) types() []api.ValueType {
	types := make([]api.ValueType, len(f.params))
	for i, p := range f.params {
		types[i] = api.ValueTypeI32
		if p == 'I' {
			types[i] = api.ValueTypeI64
		}
	}
	return types
}

func (f hostFunction) glue() api.GoModuleFunc {
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		var p params
		for k, typ := range f.params {
			if typ == 'i' {
				p[k] = api.DecodeU32(stack[k])
			}
		}
		i := ctx.Value(instanceKey{}).(*instance)
		stack[0] = uint64(f.run(i, p))
	}
}

// stream returns the request that the guest acts on; nil in the root context.
func (i *instance) stream() *stream { return i.streams[i.effective] }
