package regowasm

import (
	"slices"
	"strconv"

	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/wasmbin"
)

// maxDepth is how deep functions of OPA's runtime may call themselves: the
// stack of C has 64 KiB, and running over it would be a trap.
const maxDepth = 256

// guardCalls puts guards around functions, and has the calls that matter go to
// the guards: those of built-ins from Rego, those by which a function comes back
// to itself, and those that go over sets and objects.
func (m *opaModule) guardCalls() error {
	if err := m.needRuntime(); err != nil {
		return err
	}
	calls := make([][]uint32, len(m.Code))
	imported := m.Imported(wasmbin.FunctionKind)
	for i, body := range m.Code {
		var err error
		if calls[i], err = wasmbin.Calls(body); err != nil {
			return err
		}
	}
	g := &guards{
		opaModule: m, groups: circles(calls, imported), failing: make(map[uint32]uint32), deep: make(map[uint32]uint32),
		order: m.addOrdering(), memo: m.addMemo(), depth: m.AddGlobal(0), tooDeep: m.addText("a value is nested too deep"),
	}
	g.insert = m.add(3, false, g.insertBody())
	g.number = m.add(1, true, g.numberBody())
	g.again, g.kept, g.top = m.AddGlobal(0), m.AddGlobal(0), m.AddGlobal(0)
	for _, e := range []wasmbin.Export{
		{Name: exportDepth, Index: g.depth}, {Name: exportAgain, Index: g.again}, {Name: exportKept, Index: g.kept}, {Name: exportTop, Index: g.top},
	} {
		e.Kind = wasmbin.GlobalKind
		m.Exports = append(m.Exports, e)
	}
	for i, body := range m.Code[:len(calls)] {
		self := imported + uint32(i)
		guarded, err := wasmbin.RedirectCalls(body, func(f uint32) uint32 { return g.target(self, f) })
		if err != nil {
			return err
		}
		m.Code[i] = guarded
	}
	return nil
}

// guards are made as they are needed, by the function that each is of.
type guards struct {
	*opaModule
	groups        map[uint32]int // of functions that come back to themselves
	failing, deep map[uint32]uint32
	order         ordering
	memo          memo
	insert        uint32 // in place of opa_object_insert
	number        uint32 // in place of opa_json_lex_read_number
	depth         uint32 // a global
	again         uint32 // a global, as are kept and top
	kept, top     uint32
	tooDeep       int32 // a text
}

// target says where a call from one function to another goes.
func (g *guards) target(from, to uint32) uint32 {
	switch g.names[to] {
	case "opa_value_iter":
		return g.order.iter
	case "opa_array_sort":
		return g.order.sort
	case "opa_json_lex_read_number":
		return g.number
	}
	if f, ok := g.memo.target(g.names[to]); ok {
		return f
	}
	if g.compiled[from] {
		if name, builtin := innerFunctions[g.names[to]]; builtin {
			if id := replacedID(name); id >= 0 {
				return g.guard(g.failing, to, func(_ uint32, t wasmbin.FuncType) []byte { return g.replacedBody(id, t) })
			}
			return g.guard(g.failing, to, g.failingBody)
		}
		if g.names[to] == "opa_object_insert" {
			return g.insert
		}
	}
	if g.names[from] == "opa_eval" && g.names[to] == "opa_value_parse" {
		return g.guard(g.failing, to, g.inputBody)
	}
	if group, circular := g.groups[to]; circular && g.groups[from] == group {
		return g.guard(g.deep, to, g.deepBody)
	}
	return to
}

// inputBody reads the input, unless it is the one before again. One that is no
// JSON would be undefined, and not what a policy says of it.
func (g *guards) inputBody(f uint32, _ wasmbin.FuncType) []byte {
	const value = 2
	c := new(wasmbin.Code).
		With(wasmbin.OpGlobalGet, g.again).Op(wasmbin.OpIf, wasmbin.NoResult).With(wasmbin.OpGlobalGet, g.kept).Op(wasmbin.OpReturn, wasmbin.OpEnd).
		Get(0).Get(1).Call(f).Tee(value).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult)
	return g.abort(c, "the input is no JSON").Op(wasmbin.OpEnd).
		Call(g.runtime("opa_heap_ptr_get")).I32(7).Op(wasmbin.OpI32Add).I32(-8).Op(wasmbin.OpI32And).With(wasmbin.OpGlobalSet, g.top).
		Get(value).With(wasmbin.OpGlobalSet, g.kept).
		Get(value).Body(wasmbin.I32)
}

func (g *guards) guard(known map[uint32]uint32, f uint32, body func(f uint32, t wasmbin.FuncType) []byte) uint32 {
	if guard, ok := known[f]; ok {
		return guard
	}
	t, ok := g.TypeOf(f)
	if !ok {
		return f // the module names a function that isn't there: linking says so
	}
	guard := g.AddFunction(g.AddType(t.Params, t.Results), body(f, t))
	known[f] = guard
	return guard
}

// firstReplaced is the id of the first built-in of regocall.Replaced: far above
// those that OPA's compiler counts.
const firstReplaced = 1 << 20

// replacedID is the id by which a module calls a built-in that its embedder
// serves in place of OPA's runtime; below 0 for the others.
func replacedID(name string) int32 {
	if i := slices.Index(regocall.Replaced, name); i >= 0 {
		return firstReplaced + int32(i) //nolint:gosec // a few
	}
	return -1
}

// replacedBody calls the embedder's built-in, which aborts when it fails.
func (g *guards) replacedBody(id int32, t wasmbin.FuncType) []byte {
	c := new(wasmbin.Code).I32(id).I32(0)
	for i := range t.Params {
		c.Get(uint32(i))
	}
	return c.Call(g.runtime("opa_builtin" + strconv.Itoa(len(t.Params)))).Body()
}

// failingBody calls a built-in and aborts when it gives nothing.
func (g *guards) failingBody(f uint32, t wasmbin.FuncType) []byte {
	c, n := &wasmbin.Code{}, uint32(len(t.Params)) //nolint:gosec // a few
	if g.names[f] == "opa_strings_concat" {        // of a set: in order
		g.ifType(c, 1, typeSet).Get(1).Call(g.order.list).Set(1).Op(wasmbin.OpEnd)
	}
	g.refuse(c, f)
	for i := range n {
		c.Get(i)
	}
	c.Call(f).Tee(n).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult)
	if undefinedIfEmpty[g.names[f]] {
		g.ifType(c, 0, typeArray).I32(0).Op(wasmbin.OpReturn, wasmbin.OpEnd)
		g.ifType(c, 0, typeSet).I32(0).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	}
	return g.abort(c, "the built-in "+innerFunctions[g.names[f]]+" failed").
		Op(wasmbin.OpEnd).Get(n).Body(ints(4)...) // the result, and what refuse uses
}

// maxShift bounds bits.lsh and bits.rsh.
const maxShift = 1024

// refuse aborts on arguments on which OPA's runtime would go on for ever, or
// give a value where natively there is an error.
func (g *guards) refuse(c *wasmbin.Code, f uint32) {
	name := innerFunctions[g.names[f]]
	switch name {
	case "bits.lsh", "bits.rsh": // by one bit at a time
		c.Get(1).I64(maxShift).Call(g.runtime("opa_number_int")).Call(g.runtime("opa_value_compare")).
			I32(0).Op(opI32GtS, wasmbin.OpIf, wasmbin.NoResult)
		g.abort(c, "the built-in "+name+" shifts too far").Op(wasmbin.OpEnd)
	case "replace", "indexof": // of ""
		load(g.ifType(c, 1, typeString).Get(1), stringLength).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult)
		g.abort(c, "the built-in "+name+" looks for nothing").Op(wasmbin.OpEnd, wasmbin.OpEnd)
	case "glob.match":
		g.refuseGlob(c, uint32(4)) // behind its parameters and the result
	case "regex.match", "regex.is_valid", "regex.find_all_string_submatch_n":
		g.refuseText(c, f, 0, func(at, _ uint32) { // which the runtime would cut there
			c.Get(at).Load8().Op(wasmbin.OpI32Eqz)
		}, "has a pattern with U+0000")
	case "net.cidr_contains", "net.cidr_intersects":
		g.refuseMapped(c, f, 0)
		g.refuseMapped(c, f, 1)
	case "json.filter", "json.remove":
		g.refusePaths(c, f)
	case "strings.replace_n":
		g.ifType(c, 0, typeObject).
			Get(0).I32(g.addText("")).Call(g.runtime("opa_string_terminated")).Call(g.runtime("opa_value_get")).
			Op(wasmbin.OpIf, wasmbin.NoResult)
		g.abort(c, "the built-in "+name+" looks for nothing").Op(wasmbin.OpEnd, wasmbin.OpEnd)
	}
}

// refuseText aborts on a string in a parameter of which a byte meets a condition,
// which is written onto the stack; it is given locals with the byte's address and
// of its own. The function's result is behind its parameters, locals behind that.
func (g *guards) refuseText(c *wasmbin.Code, f, param uint32, condition func(at, own uint32), text string) {
	t, _ := g.TypeOf(f)
	at := uint32(len(t.Params)) + 1 //nolint:gosec // a few
	end, own := at+1, at+2
	load(g.ifType(c, param, typeString).I32(0).Set(own).Get(param), stringText).Tee(at)
	load(c.Get(param), stringLength).Op(wasmbin.OpI32Add).Set(end).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(at).Get(end).Op(wasmbin.OpI32LtU, wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1)
	condition(at, own)
	c.Op(wasmbin.OpIf, wasmbin.NoResult)
	g.abort(c, "the built-in "+innerFunctions[g.names[f]]+" "+text).Op(wasmbin.OpEnd).
		Get(at).I32(1).Op(wasmbin.OpI32Add).Set(at).With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd, wasmbin.OpEnd)
}

// refuseMapped aborts on an address in which ffff stands, and that starts as one
// of IPv4 in IPv6 does: natively that is the IPv4 address, to OPA's runtime another.
func (g *guards) refuseMapped(c *wasmbin.Code, f, param uint32) {
	first := func(char int32) *wasmbin.Code {
		return load(c.Get(param), stringText).Load8().I32(char).Op(wasmbin.OpI32Eq)
	}
	g.refuseText(c, f, param, func(at, run uint32) {
		// The count of f until here, or 0; none for what starts as another.
		c.Get(run).I32(1).Op(wasmbin.OpI32Add).I32(0).
			Get(at).Load8().I32(0x20).Op(wasmbin.OpI32Or).I32('f').Op(wasmbin.OpI32Eq, wasmbin.OpSelect).Tee(run).
			I32(len4).Op(wasmbin.OpI32Eq)
		first(':')
		first('0').Op(wasmbin.OpI32Or, wasmbin.OpI32And)
	}, "is asked of an IPv4 address in IPv6")
}

const len4 = 4 // of ffff

// refusePaths aborts on a path, in the list that is the second parameter, that is
// "" or [], of which OPA's runtime would read the last part.
func (g *guards) refusePaths(c *wasmbin.Code, f uint32) {
	const key, path = 3, 4 // behind the parameters and the result
	empty := func(kind int32, length byte) {
		load(g.ifType(c, path, kind).Get(path), length).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult)
		g.abort(c, "the built-in "+innerFunctions[g.names[f]]+" has an empty path").Op(wasmbin.OpEnd, wasmbin.OpEnd)
	}
	c.I32(0).Set(key).Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(1).Get(key).Call(g.runtime("opa_value_iter")).Tee(key).Op(wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1).
		Get(key).Set(path)
	g.ifType(c, 1, typeArray).Get(1).Get(key).Call(g.runtime("opa_value_get")).Set(path).Op(wasmbin.OpEnd)
	empty(typeString, stringLength)
	empty(typeArray, arrayLength)
	c.With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd)
}

// refuseGlob aborts on a pattern with a bracket that is not closed or a backslash
// at its end, which OPA's runtime takes as they come. It uses three locals from first.
func (g *guards) refuseGlob(c *wasmbin.Code, first uint32) {
	at, end, open := first, first+1, first+2
	is := func(char int32) *wasmbin.Code { return c.Get(at).Load8().I32(char).Op(wasmbin.OpI32Eq) }
	next := func(local uint32, by int32) *wasmbin.Code {
		return c.Get(local).I32(by).Op(wasmbin.OpI32Add).Set(local)
	}
	load(g.ifType(c, 0, typeString).Get(0), stringText).Tee(at)
	load(c.Get(0), stringLength).Op(wasmbin.OpI32Add).Set(end).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(at).Get(end).Op(wasmbin.OpI32LtU, wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1)
	is('{')
	is('[').Op(wasmbin.OpI32Or, wasmbin.OpIf, wasmbin.NoResult)
	next(open, 1).Op(wasmbin.OpEnd)
	is('}')
	is(']').Op(wasmbin.OpI32Or, wasmbin.OpIf, wasmbin.NoResult)
	next(open, -1).Op(wasmbin.OpEnd)
	is('\\').Op(wasmbin.OpIf, wasmbin.NoResult)
	next(at, 1).Op(wasmbin.OpEnd)
	next(at, 1).With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd).
		Get(open).Get(end).Get(at).Op(wasmbin.OpI32LtU, wasmbin.OpI32Or, wasmbin.OpIf, wasmbin.NoResult)
	g.abort(c, "the built-in glob.match has a pattern that ends too early").Op(wasmbin.OpEnd, wasmbin.OpEnd)
}

// ifType begins an if on the type of a value in a local.
func (g *guards) ifType(c *wasmbin.Code, local uint32, kind int32) *wasmbin.Code {
	return c.Get(local).Call(g.runtime("opa_value_type")).I32(kind).Op(wasmbin.OpI32Eq, wasmbin.OpIf, wasmbin.NoResult)
}

func (g *guards) abort(c *wasmbin.Code, text string) *wasmbin.Code {
	return c.I32(g.addText(text)).Call(g.runtime("opa_abort")).Op(wasmbin.OpUnreachable)
}

// insertBody: 0 object, 1 key, 2 value. OPA's own takes whatever it is given for
// an object, as for "with input.a" where the input is a number.
func (g *guards) insertBody() []byte {
	c := &wasmbin.Code{}
	g.ifType(c, 0, typeObject).
		Get(0).Get(1).Get(2).Call(g.runtime("opa_object_insert")).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	return g.abort(c, "a member is put into what is no object").Body()
}

// Numbers of JSON that are longer, or have more digits in their exponents, end
// the evaluation. Natively those beyond about 10^30103 are errors; OPA's runtime
// takes any, and may then compute for hours.
const (
	maxNumber   = 1000
	maxExponent = 4 // digits and sign
)

// Where OPA's lexer says which text it read, begin and end.
const (
	lexerBegin = 8
	lexerEnd   = 12
)

// numberBody: 0 lexer → token.
func (g *guards) numberBody() []byte {
	const token, at, exponent, end = 1, 2, 3, 4
	c := new(wasmbin.Code).Get(0).Call(g.runtime("opa_json_lex_read_number")).Set(token).Get(0)
	load(c, lexerBegin).Set(at).Get(0)
	load(c, lexerEnd).Set(end).
		Get(token).I32(tokenNumber).Op(wasmbin.OpI32Eq, wasmbin.OpIf, wasmbin.NoResult).
		Get(end).Get(at).Op(wasmbin.OpI32Sub).I32(maxNumber).Op(wasmbin.OpI32GtU, wasmbin.OpIf, wasmbin.NoResult)
	g.abort(c, "a number is too long").Op(wasmbin.OpEnd).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(at).Get(end).Op(wasmbin.OpI32Eq).With(wasmbin.OpBrIf, 1).
		Get(at).Load8().I32(0x20).Op(wasmbin.OpI32Or).I32('e').Op(wasmbin.OpI32Eq, wasmbin.OpIf, wasmbin.NoResult).
		Get(at).I32(1).Op(wasmbin.OpI32Add).Set(exponent).Op(wasmbin.OpEnd).
		Get(at).I32(1).Op(wasmbin.OpI32Add).Set(at).With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd).
		Get(exponent).Op(wasmbin.OpIf, wasmbin.NoResult).
		Get(end).Get(exponent).Op(wasmbin.OpI32Sub).I32(maxExponent).Op(wasmbin.OpI32GtU, wasmbin.OpIf, wasmbin.NoResult)
	g.abort(c, "a number is too large").Op(wasmbin.OpEnd, wasmbin.OpEnd, wasmbin.OpEnd)
	return c.Get(token).Body(ints(4)...)
}

const tokenNumber = 5

// deepBody counts how deep it is called.
func (g *guards) deepBody(f uint32, t wasmbin.FuncType) []byte {
	c := new(wasmbin.Code).
		With(wasmbin.OpGlobalGet, g.depth).I32(1).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, g.depth).
		With(wasmbin.OpGlobalGet, g.depth).I32(maxDepth).Op(wasmbin.OpI32GtU, wasmbin.OpIf, wasmbin.NoResult).
		I32(g.tooDeep).Call(g.runtime("opa_abort")).Op(wasmbin.OpUnreachable, wasmbin.OpEnd)
	for i := range t.Params {
		c.Get(uint32(i))
	}
	return c.Call(f).
		With(wasmbin.OpGlobalGet, g.depth).I32(1).Op(wasmbin.OpI32Sub).With(wasmbin.OpGlobalSet, g.depth).
		Body()
}

// circles finds the functions that can come back to themselves by calls that
// name them, and numbers the circles (Tarjan's algorithm).
func circles(calls [][]uint32, imported uint32) map[uint32]int {
	t := &tarjan{calls: calls, imported: imported, index: make([]int, len(calls)), low: make([]int, len(calls)), on: make([]bool, len(calls)), found: make(map[uint32]int)}
	for i := range calls {
		if t.index[i] == 0 {
			t.visit(i)
		}
	}
	return t.found
}

type tarjan struct {
	calls      [][]uint32
	imported   uint32
	index, low []int
	on         []bool
	stack      []int
	next       int
	groups     int
	found      map[uint32]int
}

func (t *tarjan) visit(i int) {
	t.next++
	t.index[i], t.low[i] = t.next, t.next
	t.stack = append(t.stack, i)
	t.on[i] = true
	itself := false
	for _, f := range t.calls[i] {
		to := int(f) - int(t.imported)
		if to < 0 || to >= len(t.calls) {
			continue
		}
		itself = itself || to == i
		switch {
		case t.index[to] == 0:
			t.visit(to)
			t.low[i] = min(t.low[i], t.low[to])
		case t.on[to]:
			t.low[i] = min(t.low[i], t.index[to])
		}
	}
	if t.low[i] == t.index[i] {
		t.close(i, itself)
	}
}

// close takes a circle off the stack; one function alone is one if it calls itself.
func (t *tarjan) close(i int, itself bool) {
	at := len(t.stack) - 1
	for t.stack[at] != i {
		at--
	}
	circle := t.stack[at:]
	t.stack = t.stack[:at]
	t.groups++
	for _, f := range circle {
		t.on[f] = false
		if len(circle) > 1 || itself {
			t.found[uint32(f)+t.imported] = t.groups //nolint:gosec // counted by 32 bits
		}
	}
}
