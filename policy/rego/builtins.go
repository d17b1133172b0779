package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"kest.example/kest/internal/regobuiltin"
)

// Compiled are the built-ins that OPA's compiled form has inside.
var Compiled = []string{
	"abs", "all", "and", "any", "array.concat", "array.flatten", "array.reverse", "array.slice", "base64.decode", "base64.encode",
	"base64.is_valid", "base64url.decode", "base64url.encode", "bits.and", "bits.lsh", "bits.negate", "bits.or", "bits.rsh",
	"bits.xor", "ceil", "concat", "contains", "count", "div", "endswith", "equal", "floor", "format_int", "glob.match",
	"graph.reachable", "gt", "gte", "indexof", "internal.member_2", "internal.member_3", "internal.template_string",
	"intersection", "is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "json.filter",
	"json.is_valid", "json.marshal", "json.remove", "json.unmarshal", "lower", "lt", "lte", "max", "min", "minus", "mul", "neq",
	"net.cidr_contains", "net.cidr_intersects", "net.cidr_overlap", "numbers.range", "object.filter", "object.get",
	"object.keys", "object.remove", "object.union", "object.union_n", "or", "plus", "product", "re_match",
	"regex.find_all_string_submatch_n", "regex.is_valid", "regex.match", "rem", "replace", "round", "set_diff", "sort", "split",
	"startswith", "strings.replace_n", "strings.reverse", "substring", "sum", "to_number", "trim", "trim_left", "trim_prefix",
	"trim_right", "trim_space", "trim_suffix", "type_name", "union", "upper", "walk",
}

// Served are the built-ins that this library serves to the compiled form
// (POLICY.md).
var Served = regobuiltin.Names()

// compiledAway are built-ins that no evaluation calls.
var compiledAway = []string{"eq", "assign", "print", "internal.print"}

// Capabilities are what policies may use: what runs natively and compiled
// alike. Nothing of it reaches a network, a file, an environment or another
// clock than the entry's.
func Capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return !slices.Contains(Compiled, b.Name) && !slices.Contains(Served, b.Name) && !slices.Contains(compiledAway, b.Name)
	})
	c.AllowNet = []string{}
	return c
}

func newCompiler(data []byte) (*ast.Compiler, error) {
	store, err := newStore(data)
	if err != nil {
		return nil, err
	}
	txn := storage.NewTransactionOrDie(background, store)
	return withoutIndex(ast.NewCompiler()).SetErrorLimit(0).WithCapabilities(Capabilities()).WithDefaultRegoVersion(ast.RegoV1).
		WithPathConflictsCheck(storage.NonEmpty(background, store, txn)), nil
}

func newStore(data []byte) (storage.Store, error) {
	object, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	return inmem.NewFromObjectWithOpts(object, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true)), nil
}
