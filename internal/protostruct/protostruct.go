// Package protostruct reads a serialised google.protobuf.Struct as JSON.
//
// Envoy hands a Wasm filter whose configuration is a Struct the protobuf
// encoding of it, not JSON. The message is small and fixed (struct.proto,
// https://protobuf.dev/reference/protobuf/google.protobuf/), and a protobuf
// library would double a guest.
package protostruct

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"

	"kest.example/kest/internal/jcs"
)

// ErrFormat is returned for anything that is not one serialised Struct.
var ErrFormat = errors.New("protostruct: not a serialised google.protobuf.Struct")

// Field numbers of Struct.fields, its map entries, Value and ListValue.
const (
	fields                    = 1
	entryKey, entryValue      = 1, 2
	nullValue, numberValue    = 1, 2
	stringValue, boolValue    = 3, 4
	structValue, listValue    = 5, 6
	values                    = 1
	wireVarint, wire64, wireN = 0, 1, 2
)

// Parse reads a serialised Struct.
func Parse(b []byte) (*jcs.Value, error) {
	d := decoder{}
	v := d.object(b, 0)
	if d.failed {
		return nil, ErrFormat
	}
	return &v, nil
}

type decoder struct{ failed bool }

// field takes one field off b: its number, and its bytes or its number's bits.
func (d *decoder) field(b []byte) (number uint64, data []byte, bits uint64, rest []byte) {
	tag, n := binary.Uvarint(b)
	if n <= 0 {
		d.failed = true
		return 0, nil, 0, nil
	}
	b = b[n:]
	switch tag & 7 {
	case wireVarint:
		if bits, n = binary.Uvarint(b); n > 0 {
			return tag >> 3, nil, bits, b[n:]
		}
	case wire64:
		if len(b) >= 8 {
			return tag >> 3, nil, binary.LittleEndian.Uint64(b), b[8:]
		}
	case wireN:
		if size, n := binary.Uvarint(b); n > 0 && size <= uint64(len(b)-n) { //nolint:gosec // n is at most len(b)
			end := n + int(size) //nolint:gosec // not above len(b)
			return tag >> 3, b[n:end], 0, b[end:]
		}
	}
	d.failed = true
	return 0, nil, 0, nil
}

func (d *decoder) object(b []byte, depth int) jcs.Value {
	if depth > jcs.MaxDepth {
		d.failed = true
	}
	var members []jcs.Member
	seen := make(map[string]bool)
	for len(b) > 0 && !d.failed {
		number, entry, _, rest := d.field(b)
		b = rest
		if number != fields {
			d.failed = true
		}
		m := d.entry(entry, depth)
		if seen[m.Name] {
			d.failed = true
		}
		seen[m.Name] = true
		members = append(members, m)
	}
	return jcs.ObjectValue(members...)
}

func (d *decoder) entry(b []byte, depth int) jcs.Member {
	m := jcs.Member{Value: jcs.NullValue()}
	for len(b) > 0 && !d.failed {
		number, data, _, rest := d.field(b)
		b = rest
		switch number {
		case entryKey:
			m.Name = d.text(data)
		case entryValue:
			m.Value = d.value(data, depth)
		default:
			d.failed = true
		}
	}
	return m
}

func (d *decoder) value(b []byte, depth int) jcs.Value {
	v := jcs.NullValue()
	for len(b) > 0 && !d.failed {
		number, data, bits, rest := d.field(b)
		b = rest
		switch number {
		case nullValue:
			v = jcs.NullValue()
		case numberValue:
			f := math.Float64frombits(bits)
			d.failed = d.failed || math.IsInf(f, 0) || math.IsNaN(f)
			v = jcs.FloatValue(f)
		case stringValue:
			v = jcs.StringValue(d.text(data))
		case boolValue:
			v = jcs.BoolValue(bits != 0)
		case structValue:
			v = d.object(data, depth+1)
		case listValue:
			v = d.list(data, depth+1)
		default:
			d.failed = true
		}
	}
	return v
}

func (d *decoder) list(b []byte, depth int) jcs.Value {
	if depth > jcs.MaxDepth {
		d.failed = true
	}
	var list []jcs.Value
	for len(b) > 0 && !d.failed {
		number, data, _, rest := d.field(b)
		b = rest
		if number != values {
			d.failed = true
		}
		list = append(list, d.value(data, depth))
	}
	return jcs.ArrayValue(list...)
}

func (d *decoder) text(b []byte) string {
	if !utf8.Valid(b) {
		d.failed = true
	}
	return string(b)
}
