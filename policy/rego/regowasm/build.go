// Package regowasm compiles Rego to WebAssembly with OPA's compiler, and links
// it with the filter's guest, so that it runs inside a proxy (DESIGN 3, "Rego
// inside the proxy").
//
// What OPA compiles is changed so that it decides as the same text does
// natively: a built-in that fails ends the evaluation, sets and objects are gone
// over in order, and every evaluation begins with the memory of the first. What
// still differs stands in the tests of OPA's own cases.
package regowasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regolink"
	"kest.example/kest/internal/regorun"
	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/policy/rego"
)

// Module is a bundle's policies, compiled.
type Module struct {
	wasm []byte
	info *regoinfo.Info
}

// Build compiles a bundle and links it with a guest, the bytes of policy.wasm.
// What it returns runs in a proxy as it is; the Go host sees in it what to run
// beside the guest. The same bundle and guest give the same bytes. The error is
// rego.Faults where it is the policies' fault.
func Build(ctx context.Context, b *rego.Bundle, guest []byte) ([]byte, error) {
	m, err := Compile(ctx, b)
	if err != nil {
		return nil, err
	}
	return m.Link(guest)
}

// Compile compiles a bundle, and has every policy evaluated once.
func Compile(ctx context.Context, b *rego.Bundle) (*Module, error) {
	s := source{modules: b.Parsed(), data: b.Data}
	s.paths = slices.Sorted(maps.Keys(s.modules))
	for i, p := range b.Policies {
		policy := regoinfo.Policy{Name: p.Name, Digest: p.Digest, Entry: uint32(i)}
		if uses := b.Uses(p.Name); uses.Kind() == jcs.Object {
			policy.Uses = &uses
		}
		s.policies = append(s.policies, policy)
	}
	return s.compile(ctx)
}

// Link links the policies with a guest, as Build does.
func (m *Module) Link(guest []byte) ([]byte, error) {
	info := m.info.Append(nil)
	linked, err := regolink.Link(guest, m.wasm, info)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(guest)
	linked.Customs = append(linked.Customs,
		wasmbin.Custom{Name: regoinfo.SectionRego, Bytes: m.wasm},
		wasmbin.Custom{Name: regoinfo.SectionBase, Bytes: []byte(hex.EncodeToString(sum[:]))},
		wasmbin.Custom{Name: regoinfo.SectionPolicies, Bytes: info})
	return linked.Encode(), nil
}

// source is what policies are compiled of. OPA's compiler changes the modules.
type source struct {
	modules  map[string]*ast.Module // by path
	paths    []string               // in the order in which they are compiled
	policies []regoinfo.Policy      // in the order of their entry points
	data     []byte                 // the root document, JSON
}

// How large the memory of a policy may be, in pages of 64 KiB: what the root
// document takes, and 16 MiB for each evaluation.
const (
	mostPages       = 4096
	evaluationPages = 256
)

func (s source) compile(ctx context.Context) (*Module, error) {
	compiled, err := compileOPA(ctx, s)
	if err != nil {
		return nil, err
	}
	m := &Module{info: &regoinfo.Info{Policies: s.policies}}
	if m.info.Builtins, err = builtinIDs(compiled); err != nil {
		return nil, err
	}
	if m.wasm, err = adapt(compiled, s.data, mostPages); err != nil {
		return nil, err
	}
	pages, err := m.tryOut(ctx)
	if err != nil {
		return nil, err
	}
	if m.wasm, err = adapt(compiled, s.data, pages+evaluationPages); err != nil {
		return nil, err
	}
	_, err = m.tryOut(ctx)
	return m, err
}

// tryOut has the module make itself ready and every policy evaluated on an
// empty input, which may well abort. It returns how many pages the module takes
// before that.
func (m *Module) tryOut(ctx context.Context) (pages uint32, err error) {
	run, err := regorun.Try(ctx, m.wasm, m.info, regocall.Call)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, run.Close(ctx)) }()
	for _, p := range m.info.Policies {
		_, err := run.Evaluate(p.Entry, []byte("{}"), time.UnixMilli(0))
		if _, aborted := errors.AsType[*regoinfo.AbortError](err); err != nil && !aborted {
			return 0, fmt.Errorf("policy %s: %w", p.Name, err)
		}
	}
	return run.Pages(), nil
}
