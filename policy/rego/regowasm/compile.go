package regowasm

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"

	"kest.example/kest/policy/rego"
)

// compileOPA has OPA's compiler make a module with an entry point for each rule
// allow of the packages named, in their order. It changes the source's modules.
// The error is rego.Faults.
func compileOPA(ctx context.Context, s source) ([]byte, error) {
	b := &bundle.Bundle{Data: map[string]any{}}
	for _, path := range s.paths {
		mocksLast(s.modules[path])
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: path, Path: path, RelativePath: path, Parsed: s.modules[path]})
	}
	b.SetRegoVersion(ast.RegoV1)
	entries := make([]string, len(s.policies))
	for i := range s.policies {
		entries[i] = s.policies[i].Name + "/allow"
	}
	c := compile.New().WithTarget(compile.TargetWasm).WithRegoVersion(ast.RegoV1).
		WithEntrypoints(entries...).WithCapabilities(rego.Capabilities()).WithBundle(b)
	if err := c.Build(ctx); err != nil {
		return nil, faultsOf(s.paths[0], err)
	}
	if len(c.Bundle().WasmModules) != 1 {
		return nil, foreign("it is not one module")
	}
	return c.Bundle().WasmModules[0].Raw, nil
}

// faultsOf says where what OPA finds is.
func faultsOf(file string, err error) rego.Faults {
	list, ok := errors.AsType[ast.Errors](err)
	if one, single := errors.AsType[*ast.Error](err); !ok && single {
		list = ast.Errors{one}
	}
	if len(list) == 0 {
		f := &rego.Fault{File: file, Line: 1, Text: oneLine(err.Error())}
		if m := positioned.FindStringSubmatch(f.Text); m != nil {
			f.File, f.Text = m[1], m[3]
			f.Line, _ = strconv.Atoi(m[2])
		}
		return rego.Faults{f}
	}
	faults := make(rego.Faults, len(list))
	for i, e := range list {
		faults[i] = &rego.Fault{File: file, Line: 1, Text: oneLine(e.Message)}
		if e.Location != nil && e.Location.File != "" {
			faults[i].File, faults[i].Line = e.Location.File, max(e.Location.Row, 1)
		}
	}
	return faults
}

// positioned is what OPA's planner says, which returns no ast.Error.
var positioned = regexp.MustCompile(`^(\S+):([0-9]+): (.*)$`)

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
