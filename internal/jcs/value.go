// Package jcs reads JSON strictly and writes it in the canonical form of
// RFC 8785 (JCS).
//
// Strict means what I-JSON (RFC 7493) asks for: no repeated member names, no
// invalid UTF-8, no lone surrogates, no byte order mark, nothing behind the
// value, and numbers that an IEEE 754 double can hold. The package is used in
// guests, so it needs neither reflection nor fmt.
package jcs

import "strconv"

// Kind says what a Value holds.
type Kind uint8

// The kinds of a JSON value. The zero Value is Invalid, not null.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// String returns the kind's name as error messages use it.
func (k Kind) String() string {
	names := [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// maxExact is the largest integer that every double below it can hold exactly.
const maxExact = 1 << 53

// Value is one JSON value. It is immutable once made.
type Value struct {
	kind  Kind
	num   float64 // Number; 1 for true
	str   string  // String
	items []Member
}

// Member is one member of an object, or an element of an array with an empty name.
type Member struct {
	Name  string
	Value Value
}

// NullValue returns the JSON value null.
func NullValue() Value { return Value{kind: Null} }

// BoolValue returns true or false.
func BoolValue(b bool) Value {
	v := Value{kind: Bool}
	if b {
		v.num = 1
	}
	return v
}

// IntValue returns a number. Integers beyond 2^53 lose precision, as in JSON itself.
func IntValue(i int64) Value { return Value{kind: Number, num: float64(i)} }

// FloatValue returns a number; f must be finite.
func FloatValue(f float64) Value { return Value{kind: Number, num: f} }

// StringValue returns a string, which must be valid UTF-8.
func StringValue(s string) Value { return Value{kind: String, str: s} }

// ArrayValue returns an array of the values.
func ArrayValue(vs ...Value) Value {
	items := make([]Member, len(vs))
	for i, v := range vs {
		items[i].Value = v
	}
	return Value{kind: Array, items: items}
}

// StringsValue returns an array of strings.
func StringsValue(list []string) Value {
	items := make([]Member, len(list))
	for i, s := range list {
		items[i].Value = StringValue(s)
	}
	return Value{kind: Array, items: items}
}

// ObjectValue returns an object of the members, whose names must differ.
func ObjectValue(ms ...Member) Value { return Value{kind: Object, items: ms} }

// Kind returns what the value holds.
func (v *Value) Kind() Kind { return v.kind }

// Str returns the string, or "" when the value is none.
func (v *Value) Str() string { return v.str }

// IsTrue reports whether the value is the boolean true.
func (v *Value) IsTrue() bool { return v.kind == Bool && v.num == 1 }

// Float returns the number, or 0 when the value is none.
func (v *Value) Float() float64 {
	if v.kind != Number {
		return 0
	}
	return v.num
}

// Int returns the number as an integer; ok is false when it is none, or lies beyond 2^53.
func (v *Value) Int() (i int64, ok bool) {
	if v.kind != Number || v.num < -maxExact || v.num > maxExact || v.num != float64(int64(v.num)) {
		return 0, false
	}
	return int64(v.num), true
}

// Items returns an object's members or an array's elements. The slice must not be changed.
func (v *Value) Items() []Member { return v.items }

// Len returns the number of members or elements.
func (v *Value) Len() int { return len(v.items) }

// none is what Get finds where there is nothing. Nobody can change it.
var none = &Value{}

// Get returns the member with the name; a Value of kind Invalid, never nil,
// when there is none.
//
//go:noinline
func (v *Value) Get(name string) *Value {
	if v.kind == Object {
		for i := range v.items {
			if v.items[i].Name == name {
				return &v.items[i].Value
			}
		}
	}
	return none
}

// Strings returns an array's strings; ok is false when it is no array of strings.
func (v *Value) Strings() (list []string, ok bool) {
	if v.kind != Array {
		return nil, false
	}
	list = make([]string, len(v.items))
	for i := range v.items {
		if v.items[i].Value.kind != String {
			return nil, false
		}
		list[i] = v.items[i].Value.str
	}
	return list, true
}

// SyntaxError says where a text stops being strict JSON.
type SyntaxError struct {
	Offset int // bytes from the start
	Detail string
}

func (e *SyntaxError) Error() string {
	return "json: " + e.Detail + " at byte " + strconv.Itoa(e.Offset)
}
