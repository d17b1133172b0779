package regowasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/util"

	"kest.example/kest/internal/regobuiltin"
	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regorun"
	"kest.example/kest/policy/rego"
)

// differences are the cases of OPA's own in which the compiled form does
// otherwise than strict native evaluation, and why. But for integerKey, it ends
// the evaluation, which denies, where natively there is a value.
var differences = map[string]string{
	"data/nested integer":   integerKey,
	"data/toplevel integer": integerKey,

	"aggregates/bignum exact (>64-bit integers through sum and product)":           bigSprintf,
	"aggregates/sum integer fast-path overflow (elements fit int64, sum does not)": bigSprintf,
	"arithmetic/abs, round, ceil and floor on integers and at the window edges":    bigSprintf,
	"arithmetic/bignum exact (>64-bit integers through plus, minus, multiply)":     bigSprintf,
	"arithmetic/int32 window edges (results crossing into wider integers)":         bigSprintf,
	"sprintf/big_int":                        bigSprintf,
	"sprintf/big_int/max_cert_serial_number": bigSprintf,
	"sprintf/float/zero_fraction":            bigSprintf,
	"strings/sprintf: float too big":         bigSprintf,
	"strings/format_int: bignum exact (>64-bit integer, all bases + negative)": "format_int takes integers of 64 bits",

	"jsonbuiltins/unmarshal number with large exponent within limits": "JSON's numbers are those of a double",
	"aggregates/count with invalid utf-8 chars (0xFFFD)":              "base64.decode gives UTF-8 only",
	"replacen/semantics/empty key/empty string":                       emptyKey,
	"replacen/semantics/empty key/inserts at every position":          emptyKey,
	"replacen/semantics/empty key/multi-byte key":                     emptyKey,
	"replacen/semantics/empty key/with non-empty keys":                emptyKey,
	"time/clock with NY tz":                                           zone,
	"time/date with LA tz":                                            zone,
	"time/format":                                                     zone,

	"ir/call-dynamic with ref heads and unrelated rule (issue 7399)": "OPA's compiler refuses the module",
}

const (
	integerKey = "natively a number finds a key of the root document that is its text; compiled it doesn't"
	bigSprintf = "sprintf takes integers of 64 bits"
	emptyKey   = `"" is not replaced`
	zone       = "times have no zones but UTC"
)

// published returns OPA's cases for Rego v1, from the module cache.
func published(t *testing.T) []cases.TestCase {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatal(err)
	}
	set, err := cases.Load(filepath.Join(strings.TrimSpace(string(dir)), "v1", "test", "cases", "testdata", "v1"))
	if err != nil || len(set.Cases) < 1000 {
		t.Fatalf("%d cases: %v", len(set.Cases), err)
	}
	return set.Sorted().Cases
}

// question has the query as a rule: what it gives for each variable that counts.
func question(c cases.TestCase) string {
	vars := make(map[string]bool)
	if c.WantResult != nil {
		for _, result := range *c.WantResult {
			for name := range result {
				vars[name] = true
			}
		}
	}
	if strings.HasSuffix(c.Query, "= x") {
		vars["x"] = true
	}
	terms := make([]string, 0, len(vars))
	for name := range vars {
		terms = append(terms, fmt.Sprintf("%q: %s", name, name))
	}
	slices.Sort(terms)
	return "package kest_case\n\nallow := [{" + strings.Join(terms, ", ") + "} | " + c.Query + "]\n"
}

// parse reads a case's modules, and the question beside them.
func parse(c cases.TestCase) (map[string]*ast.Module, error) {
	modules := make(map[string]*ast.Module)
	for i, text := range append(slices.Clone(c.Modules), question(c)) {
		name := fmt.Sprintf("%d.rego", i)
		m, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			return nil, err
		}
		modules[name] = m
	}
	return modules, nil
}

func documents(t *testing.T, c cases.TestCase) (input, data []byte) {
	t.Helper()
	var in any = map[string]any{} // ours is always an object
	if c.Input != nil {
		in = *c.Input
	}
	root := map[string]any{}
	if c.Data != nil {
		root = *c.Data
	}
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = json.Marshal(root); err != nil {
		t.Fatal(err)
	}
	return input, data
}

// claimed are the built-ins inside and those that are served.
func claimed() *ast.Capabilities {
	c := rego.Capabilities()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return slices.Contains(rego.Served, b.Name) && !slices.Contains(regobuiltin.Names(), b.Name)
	})
	return c
}

var caseTime = time.Unix(1767225600, 0)

// natively evaluates a case with OPA's own evaluator and strict errors. refused
// says that the same capabilities refuse it, or that it is wrong.
func natively(t *testing.T, modules map[string]*ast.Module, input, data []byte) (result string, refused bool, err error) {
	t.Helper()
	var in any
	var root map[string]any
	if err := errors.Join(util.UnmarshalJSON(input, &in), util.UnmarshalJSON(data, &root)); err != nil {
		t.Fatal(err)
	}
	options := []func(*oparego.Rego){
		oparego.Query("data.kest_case.allow"), oparego.StrictBuiltinErrors(true), oparego.Store(inmem.NewFromObject(root)),
		oparego.SetRegoVersion(ast.RegoV1), oparego.Capabilities(claimed()), oparego.Input(in), oparego.Time(caseTime),
	}
	for _, m := range modules {
		options = append(options, oparego.ParsedModule(m))
	}
	query, err := oparego.New(options...).PrepareForEval(context.Background())
	if err != nil {
		return "", true, err
	}
	set, err := query.Eval(context.Background(), oparego.EvalInput(in), oparego.EvalTime(caseTime))
	if err != nil {
		return "", false, err
	}
	if len(set) == 0 {
		return "[]", false, nil
	}
	text, err := json.Marshal([]any{map[string]any{"result": set[0].Expressions[0].Value}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text), false, nil
}

// compiled evaluates a case in a policy module.
func compiled(t *testing.T, modules map[string]*ast.Module, input, data []byte) (result string, refused bool, err error) {
	t.Helper()
	s := source{modules: modules, paths: slices.Sorted(maps.Keys(modules)), policies: []regoinfo.Policy{{Name: "kest_case"}}, data: data}
	raw, err := compileOPA(context.Background(), s)
	if err != nil {
		return "", true, err
	}
	info := &regoinfo.Info{Policies: s.policies}
	if info.Builtins, err = builtinIDs(raw); err != nil {
		t.Fatal(err)
	}
	wasm, err := adapt(raw, data, 1024)
	if err != nil {
		t.Fatal(err)
	}
	run, err := regorun.Try(context.Background(), wasm, info, regocall.Call)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = run.Close(context.Background()) }()
	text, again, err := run.EvaluateTwice(0, input, caseTime)
	if !bytes.Equal(again, text) {
		t.Errorf("first %s\nand again on the same input %s", text, again)
	}
	if _, aborted := errors.AsType[*regoinfo.AbortError](err); err != nil && !aborted {
		t.Errorf("it trapped: %v", err)
	}
	return string(text), false, err
}

// normal is JSON with the members in order and numbers as they are written.
func normal(text string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return text
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return out.String()
}

// OPA's own cases, natively and compiled: the same results, and an error
// natively is an abort compiled.
func TestPublishedCases(t *testing.T) {
	var same, refused atomic.Int32
	t.Run("cases", func(t *testing.T) {
		for _, c := range published(t) {
			if c.InputTerm != nil {
				continue // no JSON
			}
			t.Run(c.Note, func(t *testing.T) {
				t.Parallel()
				modules, err := parse(c)
				if err != nil {
					refused.Add(1)
					return
				}
				copies := make(map[string]*ast.Module, len(modules))
				for name, m := range modules {
					copies[name] = m.Copy()
				}
				input, data := documents(t, c)
				want, wantRefused, wantErr := natively(t, modules, input, data)
				if wantRefused {
					refused.Add(1)
					return
				}
				have, haveRefused, haveErr := compiled(t, copies, input, data)
				equal := !haveRefused && (wantErr == nil) == (haveErr == nil) && normal(have) == normal(want)
				why, known := differences[c.Note]
				switch {
				case equal && known:
					t.Errorf("it is listed as a difference, and is none any more: %s", why)
				case !equal && !known:
					t.Errorf("compiled %s %v\nnatively %s %v", have, haveErr, want, wantErr)
				}
				same.Add(1)
			})
		}
	})
	t.Logf("%d cases of OPA's own were compared; %d use what is refused", same.Load(), refused.Load())
	if same.Load() < 1300 {
		t.Error("too few cases were compared")
	}
}
