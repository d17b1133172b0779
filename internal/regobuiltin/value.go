package regobuiltin

import (
	"strconv"
	"strings"
)

// kind is what a Value holds, in the order in which Rego sorts values.
type kind uint8

const (
	null kind = iota
	boolean
	number
	str
	array
	object
	set
)

// Value is a value of Rego. It is immutable once made. Pointers to it and not
// values are what functions hand on, which takes a third less code.
type Value struct {
	kind kind
	text string // a string's bytes; null, a boolean or a number as it is written

	// The elements of an array; those of a set, ascending; the values of an object
	// by their keys, ascending.
	items []*Value
	key   *Value // of an object's value
	was   *Value // of an array that is being patched: at first
}

//go:noinline
func stringValue(s string) *Value { return &Value{kind: str, text: s} }

//go:noinline
func numberValue(text string) *Value { return &Value{kind: number, text: text} }

func intValue(i int) *Value { return numberValue(strconv.Itoa(i)) }

//go:noinline
func boolValue(b bool) *Value { return &Value{kind: boolean, text: strconv.FormatBool(b)} }

// The compiler would put a copy of small functions at each of their calls. Those
// marked noinline are called so often that guests would have kilobytes more.

// push adds to the items of a value that is being made.
//
//go:noinline
func (v *Value) push(item *Value) { v.items = append(v.items, item) }

// keyAt is what an item of a set or an object is found by.
//
//go:noinline
func (v *Value) keyAt(i int) *Value {
	if v.kind == object {
		return v.items[i].key
	}
	return v.items[i]
}

// compare orders values as Rego does: by kind, then by what they hold.
func compare(a, b *Value) int {
	if a.kind != b.kind {
		return int(a.kind) - int(b.kind)
	}
	if a.kind == number {
		return compareNumbers(a.text, b.text)
	}
	if a.kind < array {
		return compareTexts(a.text, b.text)
	}
	for i := range min(len(a.items), len(b.items)) {
		c := 0
		if a.kind == object {
			c = compare(a.items[i].key, b.items[i].key)
		}
		if c == 0 {
			c = compare(a.items[i], b.items[i])
		}
		if c != 0 {
			return c
		}
	}
	return len(a.items) - len(b.items)
}

//go:noinline
func compareTexts(a, b string) int {
	switch {
	case a == b:
		return 0
	case a < b:
		return -1
	}
	return 1
}

// find returns where among the ascending items of a set or an object a key is,
// or where it belongs.
func (v *Value) find(key *Value) (at int, ok bool) {
	high := len(v.items)
	for at < high {
		middle := (at + high) / 2
		c := compare(v.keyAt(middle), key)
		if c == 0 {
			return middle, true
		}
		if c < 0 {
			at = middle + 1
		} else {
			high = middle
		}
	}
	return at, false
}

// add adds an item to a set, or to an object one that knows its key; false if
// there is one already.
func (v *Value) add(item *Value) bool {
	key := item
	if v.kind == object {
		key = item.key
	}
	at, ok := v.find(key)
	if !ok {
		v.insert(at, item)
	}
	return !ok
}

// insert puts an item before the one at a place.
//
//go:noinline
func (v *Value) insert(at int, item *Value) {
	v.push(item)
	copy(v.items[at+1:], v.items[at:])
	v.items[at] = item
}

// get returns the value of a key, nil if there is none.
func (v *Value) get(name string) *Value {
	if v.kind == object {
		if at, ok := v.find(stringValue(name)); ok {
			return v.items[at]
		}
	}
	return nil
}

// cut is strings.Cut, which would come out ten times.
//
//go:noinline
func cut(s, separator string) (before, after string, found bool) {
	return strings.Cut(s, separator)
}

// clone makes a value of its own, with the same items.
//
//go:noinline
func (v *Value) clone() *Value {
	n := *v
	return &n
}
