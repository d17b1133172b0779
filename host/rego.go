package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regorun"
	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/plugin/proxywasm"
)

// ErrBase is wrapped by New's error for a file of kest policy build without the
// guest that it was built with: see WithBase.
var ErrBase = errors.New("host: the file holds policies and needs the guest that it was built with")

// WithBase gives the guest, policy.wasm, of which kest policy build made the
// file that New gets. wazero runs one memory a module, so that guest and
// policies run side by side here. A file without policies needs none.
func WithBase(guest []byte) Option { return func(o *options) { o.base = guest } }

// beside takes a file of kest policy build apart: the guest to run, and the
// policies to run beside it; nil where the file has none.
func beside(ctx context.Context, file []byte, o *options) (guest []byte, rego *regorun.Module, err error) {
	var sections [3][]byte
	for i, name := range [...]string{regoinfo.SectionRego, regoinfo.SectionBase, regoinfo.SectionPolicies} {
		if sections[i], err = wasmbin.FindCustom(file, name); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errModule, err)
		}
	}
	if sections[0] == nil {
		return file, nil, nil
	}
	sum := sha256.Sum256(o.base)
	if have := hex.EncodeToString(sum[:]); len(o.base) == 0 || have != string(sections[1]) {
		return nil, nil, fmt.Errorf("%w: its SHA-256 is %s, not %s", ErrBase, sections[1], have)
	}
	info, err := regoinfo.Parse(sections[2])
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errModule, err)
	}
	rego, err = regorun.New(ctx, sections[0], info, regocall.Call)
	return o.base, rego, err
}

// policyInfo serves kest.policy_info: nothing in, the list of policies out.
func (f *Filter) policyInfo() ([]byte, proxywasm.Status) {
	if f.rego == nil {
		return nil, proxywasm.NotFound
	}
	return f.rego.Info().Append(nil), proxywasm.OK
}

// policyEval serves kest.policy_eval.
func (f *Filter) policyEval(argument []byte) ([]byte, proxywasm.Status) {
	if f.rego == nil {
		return nil, proxywasm.NotFound
	}
	entry, nowMS, input, err := hostcall.ParseEval(argument)
	if err != nil {
		return nil, proxywasm.BadArgument
	}
	result, err := f.rego.Evaluate(entry, input, time.UnixMilli(nowMS))
	if abort, ok := errors.AsType[*regoinfo.AbortError](err); ok {
		return hostcall.AppendAbort(nil, abort.Text), proxywasm.OK
	}
	if err != nil {
		return nil, proxywasm.InternalFailure
	}
	return hostcall.AppendResult(nil, result), proxywasm.OK
}
