package regobuiltin

import (
	"strconv"
	"unicode/utf8"

	"kest.example/kest/internal/jcs"
)

// Append adds the text of v. The error is ErrValue for one that is too deep or
// too large, or has a string that isn't valid UTF-8.
func Append(dst []byte, v *Value) ([]byte, error) {
	w := writer{out: dst, room: len(dst) + MaxText, quote: jcs.AppendString}
	w.value(v, MaxDepth)
	if w.failed || len(w.out) > w.room || !utf8.Valid(w.out[len(dst):]) {
		return dst, ErrValue
	}
	return w.out, nil
}

// rego is v as Rego writes it, for sprintf. Strings are quoted as in Go.
func (v *Value) rego() string {
	w := writer{room: MaxText, quote: strconv.AppendQuote}
	w.value(v, MaxDepth)
	return string(w.out)
}

type writer struct {
	out    []byte
	room   int // no array, object or set starts beyond
	quote  func([]byte, string) []byte
	failed bool
}

func (w *writer) value(v *Value, depth int) {
	switch v.kind {
	case array:
		w.items(v, depth, "[", "]")
	case set, object:
		if v.kind == set && len(v.items) == 0 {
			w.write("set()")
			return
		}
		w.items(v, depth, "{", "}")
	case str:
		w.out = w.quote(w.out, v.text)
	default:
		w.write(v.text)
	}
}

//go:noinline
func (w *writer) write(s string) { w.out = append(w.out, s...) }

func (w *writer) items(v *Value, depth int, opening, closing string) {
	if depth == 0 || len(w.out) > w.room {
		w.failed = true
		return
	}
	w.write(opening)
	for i, item := range v.items {
		if i > 0 {
			w.write(", ")
		}
		if v.kind == object {
			w.value(item.key, depth-1)
			w.write(": ")
		}
		w.value(item, depth-1)
	}
	w.write(closing)
}
