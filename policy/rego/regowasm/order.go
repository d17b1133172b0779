package regowasm

import "kest.example/kest/internal/wasmbin"

// OPA's runtime goes over sets and objects in the order of their hashes, and
// sorts by insertion. Natively they are gone over in order, which shows in array
// comprehensions, concat, walk and JSON. So the runtime's calls of
// opa_value_iter and opa_array_sort go to these functions.

// What a slot is: a block of OPA's heap with the copy of a key, and the address
// of the next slot.
const (
	slotSize = 64
	slotNext = 32
)

// Types of OPA's values, and where their parts are.
const (
	typeBoolean = 2 // null is 1; of those interned opa_value_type says what they are
	typeNumber  = 3
	typeString  = 4
	typeArray   = 5
	typeObject  = 6
	typeSet     = 7

	arrayElements = 4 // address of pairs: index, value
	arrayLength   = 8
	stringLength  = 4
	stringText    = 8
)

// ordering are the functions that make order.
type ordering struct {
	iter, sort, list uint32
}

func (m *opaModule) addOrdering() ordering {
	mergesort := m.add(2, false, m.mergesortBody())
	first := m.add(1, true, m.firstBody(mergesort))
	iter := m.add(2, true, m.iterBody(first))
	return ordering{iter: iter, sort: m.add(2, false, m.sortBody(mergesort)), list: m.add(1, true, m.listBody(iter))}
}

// add adds a function of parameters of type i32.
func (m *opaModule) add(params int, result bool, body []byte) uint32 {
	results := ints(1)
	if !result {
		results = nil
	}
	return m.AddFunction(m.AddType(ints(params), results), body)
}

// load and store are of i32, at an offset.
func load(c *wasmbin.Code, offset byte) *wasmbin.Code { return c.Op(wasmbin.OpI32Load, 2, offset) }

func store(c *wasmbin.Code, offset byte) *wasmbin.Code { return c.Op(wasmbin.OpI32Store, 2, offset) }

// entry puts the address of the i-th of a table of addresses on the stack.
func entry(c *wasmbin.Code, table, i uint32) *wasmbin.Code {
	return c.Get(table).Get(i).I32(2).Op(wasmbin.OpI32Shl, wasmbin.OpI32Add)
}

// iterBody: 0 node, 1 the key before, or 0 → the next key, or 0.
func (m *opaModule) iterBody(first uint32) []byte {
	c := new(wasmbin.Code).
		Get(0).Call(m.runtime("opa_value_type")).I32(typeObject).Op(wasmbin.OpI32Eq).
		Get(0).Call(m.runtime("opa_value_type")).I32(typeSet).Op(wasmbin.OpI32Eq, wasmbin.OpI32Or, wasmbin.OpIf, wasmbin.NoResult).
		Get(0).Call(m.runtime("opa_value_length")).I32(1).Op(wasmbin.OpI32GtU, wasmbin.OpIf, wasmbin.NoResult).
		Get(1).Op(wasmbin.OpIf, wasmbin.NoResult).Get(1)
	load(c, slotNext).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	return c.Get(0).Call(first).Op(wasmbin.OpReturn, wasmbin.OpEnd, wasmbin.OpEnd).
		Get(0).Get(1).Call(m.runtime("opa_value_iter")).Body()
}

// firstBody: 0 node → the first of its keys in order, each copied into a slot
// that names the next.
func (m *opaModule) firstBody(mergesort uint32) []byte {
	const table, n, key, next, slot = 1, 2, 3, 4, 5
	c := new(wasmbin.Code).
		Get(0).Call(m.runtime("opa_value_length")).I32(2).Op(wasmbin.OpI32Shl).Call(m.runtime("opa_malloc")).Set(table).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(0).Get(key).Call(m.runtime("opa_value_iter")).Tee(key).Op(wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1)
	entry(c, table, n).Get(key)
	store(c, 0).
		Get(n).I32(1).Op(wasmbin.OpI32Add).Set(n).With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd).
		Get(table).Get(n).Call(mergesort).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(n).Op(wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1).
		Get(n).I32(1).Op(wasmbin.OpI32Sub).Set(n)
	load(entry(c, table, n), 0).Set(key).
		I32(slotSize).Call(m.runtime("opa_malloc")).Tee(slot).Get(key)
	m.valueSize(c, key).Copy(0, 0).
		Get(slot).Get(next)
	store(c, slotNext).
		Get(slot).Set(next).With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd).
		Get(table).Call(m.runtime("opa_free"))
	return c.Get(next).Body(ints(5)...)
}

// valueSize puts on the stack how many bytes of a value there are at the least:
// those of its type's structure.
func (m *opaModule) valueSize(c *wasmbin.Code, value uint32) *wasmbin.Code {
	kind := func() *wasmbin.Code { return c.Get(value).Call(m.runtime("opa_value_type")) }
	kind().I32(typeNumber).Op(wasmbin.OpI32Eq, wasmbin.OpIf, wasmbin.I32).I32(24).Op(wasmbin.OpElse)
	kind().I32(typeBoolean + 1).Op(wasmbin.OpI32LtU)
	c.Op(wasmbin.OpIf, wasmbin.I32).I32(2).Op(wasmbin.OpElse).I32(16).Op(wasmbin.OpEnd, wasmbin.OpEnd)
	return c
}

// mergesortBody: 0 table of addresses of values, 1 n. Runs of growing width are
// merged; equal values keep their places, as natively.
func (m *opaModule) mergesortBody() []byte {
	const other, width, begin, left, middle, right, end, to = 2, 3, 4, 5, 6, 7, 8, 9
	c := new(wasmbin.Code).
		Get(1).I32(2).Op(wasmbin.OpI32Shl).Call(m.runtime("opa_malloc")).Set(other).
		I32(1).Set(width).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(width).Get(1).Op(wasmbin.OpI32LtU, wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1).
		I32(0).Set(begin).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(begin).Get(1).Op(wasmbin.OpI32LtU, wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1).
		Get(begin).Tee(left).Tee(to).Get(width).Op(wasmbin.OpI32Add).Set(middle)
	atMost(c, middle, 1)
	c.Get(middle).Tee(right).Get(width).Op(wasmbin.OpI32Add).Set(end)
	atMost(c, end, 1)
	m.merge(c, other, left, middle, right, end, to)
	c.Get(end).Set(begin).With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd).
		Get(0).Get(other).Get(1).I32(2).Op(wasmbin.OpI32Shl).Copy(0, 0).
		Get(width).I32(1).Op(wasmbin.OpI32Shl).Set(width).
		With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd)
	return c.Get(other).Call(m.runtime("opa_free")).Body(ints(8)...)
}

// atMost bounds a local by another.
func atMost(c *wasmbin.Code, local, bound uint32) {
	c.Get(local).Get(bound).Get(local).Get(bound).Op(wasmbin.OpI32LtU, wasmbin.OpSelect).Set(local)
}

// merge writes the runs from left to middle and from right to end of table 0
// into another, in order.
func (m *opaModule) merge(c *wasmbin.Code, other, left, middle, right, end, to uint32) {
	take := func(from uint32) {
		load(entry(entry(c, other, to), 0, from), 0)
		store(c, 0).Get(from).I32(1).Op(wasmbin.OpI32Add).Set(from)
	}
	c.Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(to).Get(end).Op(wasmbin.OpI32Eq).With(wasmbin.OpBrIf, 1).
		// The left one, while there is one and the right one isn't less.
		Get(left).Get(middle).Op(wasmbin.OpI32LtU, wasmbin.OpIf, wasmbin.I32).
		Get(right).Get(end).Op(wasmbin.OpI32LtU, wasmbin.OpIf, wasmbin.I32)
	load(entry(c, 0, right), 0)
	load(entry(c, 0, left), 0).Call(m.runtime("opa_value_compare")).
		I32(0).Op(wasmbin.OpI32LtS, wasmbin.OpI32Eqz).
		Op(wasmbin.OpElse).I32(1).Op(wasmbin.OpEnd).
		Op(wasmbin.OpElse).I32(0).Op(wasmbin.OpEnd).
		Op(wasmbin.OpIf, wasmbin.NoResult)
	take(left)
	c.Op(wasmbin.OpElse)
	take(right)
	c.Op(wasmbin.OpEnd).
		Get(to).I32(1).Op(wasmbin.OpI32Add).Set(to).
		With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd)
}

// sortBody: 0 array, 1 how its values compare, which is always by
// opa_value_compare. In place.
func (m *opaModule) sortBody(mergesort uint32) []byte {
	const table, n, i, pair = 2, 3, 4, 5
	each := func(c *wasmbin.Code, step func()) {
		c.I32(0).Set(i).Get(0)
		load(c, arrayElements).Set(pair).
			Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
			Get(i).Get(n).Op(wasmbin.OpI32Eq).With(wasmbin.OpBrIf, 1)
		step()
		c.Get(i).I32(1).Op(wasmbin.OpI32Add).Set(i).
			Get(pair).I32(8).Op(wasmbin.OpI32Add).Set(pair).
			With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd)
	}
	c := new(wasmbin.Code).Get(0)
	load(c, arrayLength).Tee(n).I32(2).Op(wasmbin.OpI32Shl).Call(m.runtime("opa_malloc")).Set(table)
	each(c, func() {
		load(entry(c, table, i).Get(pair), 4)
		store(c, 0)
	})
	c.Get(table).Get(n).Call(mergesort)
	each(c, func() {
		load(entry(c.Get(pair), table, i), 0)
		store(c, 4)
	})
	return c.Get(table).Call(m.runtime("opa_free")).Body(ints(4)...)
}

// listBody: 0 set → array of its values in order.
func (m *opaModule) listBody(iter uint32) []byte {
	const array, key = 1, 2
	return new(wasmbin.Code).
		Call(m.runtime("opa_array")).Set(array).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(0).Get(key).Call(iter).Tee(key).Op(wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1).
		Get(array).Get(key).Call(m.runtime("opa_array_append")).
		With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd).
		Get(array).Body(ints(2)...)
}
