package regowasm

import "kest.example/kest/internal/wasmbin"

// OPA's runtime keeps what a rule gave in an object whose keys are functions, as
// numbers of Rego: some 200 ns to keep a value and 80 to find one. So the calls
// of it go to these functions, which keep it in a table, an entry a function.
//
// An entry holds where it was stamped with the scope that asks: a scope is an
// evaluation, or what is below a "with", and has a stamp that none had before.
// So nothing is ever cleared but new memory.
type memo struct {
	get, insert, start, push, pop uint32 // functions
}

// A table is a head, and an entry for each compiled function.
const (
	memoHead    = 16
	memoOuter   = 0 // in the head: the table of the scope around; of a spare one, the next spare
	memoStamped = 8 // in the head: that scope's stamp, i64
	memoEntry   = 16
	memoStamp   = 0 // in an entry: the stamp, i64
	memoValue   = 8 // in an entry: the value's address
)

// memoState are globals: the scope's table and stamp, the last stamp that was
// given out, and tables that no scope has.
type memoState struct {
	table, stamp, last, spare uint32
	first, n                  uint32 // compiled functions
	base                      int32  // the outermost table
}

// addMemo adds the functions.
func (m *opaModule) addMemo() memo {
	s := memoState{table: m.AddGlobal(0), stamp: m.AddGlobal64(0), last: m.AddGlobal64(0), spare: m.AddGlobal(0)}
	s.first, s.n = m.rules()
	s.base = m.reserve(s.size())
	return memo{
		get: m.add(1, true, s.getBody()), insert: m.add(2, false, s.insertBody()), start: m.add(0, false, s.startBody()),
		push: m.add(0, false, s.pushBody(m.runtime("opa_malloc"))), pop: m.add(0, false, s.popBody()),
	}
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

func (s *memoState) size() int32 { return memoHead + int32(s.n)*memoEntry } //nolint:gosec // a module has no millions of functions

// scope begins one with a stamp of its own.
func (s *memoState) scope(c *wasmbin.Code) *wasmbin.Code {
	return c.With(wasmbin.OpGlobalGet, s.last).I64(1).Op(wasmbin.OpI64Add).With(wasmbin.OpGlobalSet, s.last).
		With(wasmbin.OpGlobalGet, s.last).With(wasmbin.OpGlobalSet, s.stamp)
}

// startBody begins an evaluation, whatever the one before left.
func (s *memoState) startBody() []byte {
	return s.scope(new(wasmbin.Code)).I32(s.base).With(wasmbin.OpGlobalSet, s.table).
		I32(0).With(wasmbin.OpGlobalSet, s.spare).Body()
}

// pushBody takes a table that a scope before this one had, or makes one.
func (s *memoState) pushBody(malloc uint32) []byte {
	const table = 0
	c := new(wasmbin.Code).With(wasmbin.OpGlobalGet, s.spare).Tee(table).Op(wasmbin.OpIf, wasmbin.NoResult).Get(table)
	load(c, memoOuter).With(wasmbin.OpGlobalSet, s.spare).Op(wasmbin.OpElse).
		I32(s.size()).Call(malloc).Tee(table).I32(0).I32(s.size()).Fill(0).Op(wasmbin.OpEnd).
		Get(table).With(wasmbin.OpGlobalGet, s.table)
	store(c, memoOuter).Get(table).With(wasmbin.OpGlobalGet, s.stamp).Op(wasmbin.OpI64Store, 3, memoStamped).
		Get(table).With(wasmbin.OpGlobalSet, s.table)
	return s.scope(c).Body(wasmbin.I32)
}

func (s *memoState) popBody() []byte {
	const table = 0
	c := new(wasmbin.Code).With(wasmbin.OpGlobalGet, s.table).Tee(table)
	load(c, memoOuter).With(wasmbin.OpGlobalSet, s.table).
		Get(table).Op(wasmbin.OpI64Load, 3, memoStamped).With(wasmbin.OpGlobalSet, s.stamp).
		Get(table).With(wasmbin.OpGlobalGet, s.spare)
	return store(c, memoOuter).Get(table).With(wasmbin.OpGlobalSet, s.spare).Body(wasmbin.I32)
}

// entry puts the address of a function's entry, behind the head's length, into a
// local. 0 is the function.
func (s *memoState) entry(local uint32) *wasmbin.Code {
	return new(wasmbin.Code).
		Get(0).I32(int32(s.first)).Op(wasmbin.OpI32Sub).Tee(0).I32(int32(s.n)).Op(wasmbin.OpI32LtU, wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult). //nolint:gosec // indexes of functions
		Op(wasmbin.OpUnreachable, wasmbin.OpEnd).
		With(wasmbin.OpGlobalGet, s.table).Get(0).I32(4).Op(wasmbin.OpI32Shl, wasmbin.OpI32Add).Set(local)
}

// getBody: 0 function → the value, or 0.
func (s *memoState) getBody() []byte {
	const at = 1
	c := s.entry(at).Get(at).Op(wasmbin.OpI64Load, 3, memoHead+memoStamp).With(wasmbin.OpGlobalGet, s.stamp).
		Op(wasmbin.OpI64Eq, wasmbin.OpIf, wasmbin.I32).Get(at)
	return load(c, memoHead+memoValue).Op(wasmbin.OpElse).I32(0).Op(wasmbin.OpEnd).Body(wasmbin.I32)
}

// insertBody: 0 function, 1 value.
func (s *memoState) insertBody() []byte {
	const at = 2
	c := s.entry(at).Get(at).With(wasmbin.OpGlobalGet, s.stamp).Op(wasmbin.OpI64Store, 3, memoHead+memoStamp).Get(at).Get(1)
	return store(c, memoHead+memoValue).Body(wasmbin.I32)
}
