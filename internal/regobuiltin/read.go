package regobuiltin

import (
	"strings"

	"kest.example/kest/internal/jcs"
)

// The limits of what a call takes, and of what it gives.
const (
	MaxText   = 1 << 20 // bytes
	MaxDepth  = 64      // of arrays, objects and sets in each other
	MaxValues = 1 << 15
)

// Parse reads exactly one value as OPA dumps it. The error is ErrValue.
func Parse(text string) (*Value, error) {
	r := reader{s: text, left: MaxValues}
	if len(text) > MaxText {
		r.fail()
	}
	v := r.value(MaxDepth)
	r.space()
	if r.failed || r.i < len(r.s) {
		return nil, ErrValue
	}
	return v, nil
}

type reader struct {
	s      string
	i      int
	left   int // values
	failed bool
}

// fail also moves to the end, so that every loop stops.
func (r *reader) fail() {
	r.failed = true
	r.i = len(r.s)
}

func (r *reader) space() {
	for r.i < len(r.s) && strings.IndexByte(" \t\r\n", r.s[r.i]) >= 0 {
		r.i++
	}
}

// take steps over white space and a text, if that is next.
func (r *reader) take(text string) bool {
	r.space()
	if !strings.HasPrefix(r.s[r.i:], text) {
		return false
	}
	r.i += len(text)
	return true
}

// words are the values that are one.
var words = [...]Value{{kind: null, text: "null"}, {kind: boolean, text: "true"}, {kind: boolean, text: "false"}, {kind: set, text: "set()"}}

// value reads a value with at most depth levels.
func (r *reader) value(depth int) *Value {
	if r.left--; r.left < 0 {
		r.fail()
	}
	for i := range words {
		if r.take(words[i].text) {
			return words[i].clone()
		}
	}
	v := &Value{}
	start := r.i
	switch {
	case r.take("["):
		v.kind = array
		r.items(v, depth, "]")
	case r.take("{"):
		v.kind = object
		r.items(v, depth, "}")
	case r.take(`"`):
		v.kind = str
		r.quoted()
		v.text = r.scalar(str, start)
	default:
		v.kind = number
		for r.i < len(r.s) && strings.IndexByte("+-.0123456789Ee", r.s[r.i]) >= 0 {
			r.i++
		}
		v.text = r.scalar(number, start)
	}
	return v
}

// quoted steps over the rest of a string: to the first quote with an even number
// of backslashes before it.
func (r *reader) quoted() {
	for {
		n := strings.IndexByte(r.s[r.i:], '"')
		if n < 0 {
			r.fail()
			return
		}
		r.i += n + 1
		last := r.i - 2
		for r.s[last] == '\\' { // a quote is before them
			last--
		}
		if (r.i-last)%2 == 0 {
			return
		}
	}
}

// scalar reads what is from start on as JSON: of a string what it is, of a number
// how it is written.
func (r *reader) scalar(k kind, start int) string {
	text := r.s[start:r.i]
	s := jcs.NewScanner(text)
	if k == str {
		text = s.String()
	} else {
		s.Number()
	}
	if s.End() != nil {
		r.fail()
	}
	return text
}

// items reads the elements of v to the closing bracket. What follows the first
// one says whether an object is a set.
func (r *reader) items(v *Value, depth int, closing string) {
	if depth == 0 {
		r.fail()
	}
	if r.take(closing) {
		return
	}
	for !r.failed {
		item := r.value(depth - 1)
		if v.kind == object {
			if r.take(":") {
				key := item
				item = r.value(depth - 1)
				item.key = key
			} else if v.kind = set; len(v.items) > 0 {
				r.fail()
			}
		}
		if v.kind == array {
			v.push(item)
		} else if !r.failed && !v.add(item) {
			r.fail()
		}
		if r.take(closing) {
			return
		}
		if !r.take(",") {
			r.fail()
		}
	}
}
