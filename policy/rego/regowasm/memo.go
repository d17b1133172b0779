package regowasm

import "kest.example/kest/internal/wasmbin"

// OPA's runtime keeps what a rule gave in an object whose keys are functions, as
// numbers of Rego: some 200 ns to keep a value and 80 to find one. So outside of
// "with" it is kept in a table, an entry a function. What is below a "with" has
// rules' values of its own, and often few: there it is OPA's object still.
//
// An entry holds where it was stamped in this evaluation, so that the table is
// never cleared.
type memo struct {
	get, insert, start, push, pop uint32 // functions
}

const (
	memoEntry = 16 // bytes
	memoStamp = 0  // in an entry: the evaluation's number, i64
	memoValue = 8  // in an entry: the value's address
)

// memoState are globals, the table, and OPA's functions.
type memoState struct {
	stamp, depth uint32 // globals: the evaluation's number, how many "with" are around
	first, n     uint32 // compiled functions
	table        int32
	get, insert  uint32
}

// addMemo adds the functions.
func (m *opaModule) addMemo() memo {
	s := memoState{stamp: m.AddGlobal64(0), depth: m.AddGlobal(0), get: m.runtime("opa_memoize_get"), insert: m.runtime("opa_memoize_insert")}
	s.first, s.n = m.rules()
	s.table = m.reserve(int32(s.n) * memoEntry) //nolint:gosec // a module has no millions of functions
	o := memo{get: m.add(1, true, s.getBody()), insert: m.add(2, false, s.insertBody()), start: m.add(0, false, s.startBody())}
	if push, used := m.numbers["opa_memoize_push"]; used { // without "with" the module has none
		o.push = m.add(0, false, s.scopeBody(push, 1))
		o.pop = m.add(0, false, s.scopeBody(m.runtime("opa_memoize_pop"), -1))
	}
	return o
}

// target is what a call of OPA's function goes to.
func (o memo) target(name string) (f uint32, ok bool) {
	switch name {
	case "opa_memoize_get":
		return o.get, true
	case "opa_memoize_insert":
		return o.insert, true
	case "opa_memoize_init":
		return o.start, true
	case "opa_memoize_push":
		return o.push, true
	case "opa_memoize_pop":
		return o.pop, true
	}
	return 0, false
}

// startBody begins an evaluation, wherever the one before ended.
func (s *memoState) startBody() []byte {
	return new(wasmbin.Code).With(wasmbin.OpGlobalGet, s.stamp).I64(1).Op(wasmbin.OpI64Add).With(wasmbin.OpGlobalSet, s.stamp).
		I32(0).With(wasmbin.OpGlobalSet, s.depth).Body()
}

// scopeBody begins or ends what is below a "with".
func (s *memoState) scopeBody(opa uint32, by int32) []byte {
	return new(wasmbin.Code).With(wasmbin.OpGlobalGet, s.depth).I32(by).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, s.depth).
		Call(opa).Body()
}

// entry begins a body: below a "with" it calls OPA's function on the parameters,
// and else puts the address of a function's entry into a local. 0 is the function.
func (s *memoState) entry(opa, params, local uint32) *wasmbin.Code {
	c := new(wasmbin.Code).With(wasmbin.OpGlobalGet, s.depth).Op(wasmbin.OpIf, wasmbin.NoResult)
	for i := range params {
		c.Get(i)
	}
	return c.Call(opa).Op(wasmbin.OpReturn, wasmbin.OpEnd).
		Get(0).I32(int32(s.first)).Op(wasmbin.OpI32Sub).Tee(0).I32(int32(s.n)).Op(wasmbin.OpI32LtU, wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult). //nolint:gosec // indexes of functions
		Op(wasmbin.OpUnreachable, wasmbin.OpEnd).
		Get(0).I32(4).Op(wasmbin.OpI32Shl).I32(s.table).Op(wasmbin.OpI32Add).Set(local)
}

// getBody: 0 function → the value, or 0.
func (s *memoState) getBody() []byte {
	const at = 1
	c := s.entry(s.get, 1, at).Get(at).Op(wasmbin.OpI64Load, 3, memoStamp).With(wasmbin.OpGlobalGet, s.stamp).
		Op(wasmbin.OpI64Eq, wasmbin.OpIf, wasmbin.I32).Get(at)
	return load(c, memoValue).Op(wasmbin.OpElse).I32(0).Op(wasmbin.OpEnd).Body(wasmbin.I32)
}

// insertBody: 0 function, 1 value.
func (s *memoState) insertBody() []byte {
	const at = 2
	c := s.entry(s.insert, 2, at).Get(at).With(wasmbin.OpGlobalGet, s.stamp).Op(wasmbin.OpI64Store, 3, memoStamp).Get(at).Get(1)
	return store(c, memoValue).Body(wasmbin.I32)
}
