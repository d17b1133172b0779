package jcs

// Scanner reads a text value by value, as strictly as Parse, for callers that
// know what they expect and need no tree. After an error every method returns
// zero values; End tells it.
type Scanner struct{ p parser }

// NewScanner starts at the beginning of a text. Strings that it returns may
// share the text's memory.
func NewScanner(text string) *Scanner { return &Scanner{parser{s: text}} }

// End wants nothing but white space to be left, and returns the first error.
func (s *Scanner) End() error {
	s.p.space()
	if s.p.err == nil && s.p.i < len(s.p.s) {
		s.p.fail("text behind the value")
	}
	if s.p.err != nil {
		return s.p.err
	}
	return nil
}

// Stop gives up reading: End then returns an error.
func (s *Scanner) Stop() { s.p.fail("reading was given up") }

// Kind returns what the next value is, without reading it. A text that isn't
// JSON is told when the value is read.
func (s *Scanner) Kind() Kind {
	s.p.space()
	switch c := s.p.peek(); {
	case c == '"':
		return String
	case c == '{':
		return Object
	case c == '[':
		return Array
	case c == 't' || c == 'f':
		return Bool
	case c == 'n':
		return Null
	case c == '-' || c >= '0' && c <= '9':
		return Number
	}
	return Invalid
}

// String reads a string. The next value must be one.
func (s *Scanner) String() string { return s.p.string() }

// Number reads a number. The next value must be one.
func (s *Scanner) Number() float64 { return s.p.number() }

// Value reads any value as a tree.
func (s *Scanner) Value() *Value {
	v := s.p.value(0)
	return &v
}

// Object reads an object, the next value, and calls member for each of its
// members, which must read the value. The depth is that of the object itself.
func (s *Scanner) Object(depth int, member func(name string)) {
	if !s.p.enter(depth, '}') {
		return
	}
	var room [24]string
	seen := room[:0]
	ascending := true
	for s.p.err == nil {
		name := s.p.name()
		if s.p.err != nil {
			return
		}
		if n := len(seen); n > 0 && seen[n-1] >= name {
			ascending = false
		}
		seen = append(seen, name)
		member(name)
		if s.p.next('}') {
			break
		}
	}
	if s.p.err == nil && !ascending && repeats(seen) {
		s.p.fail("a repeated member name")
	}
}

// Array reads an array, the next value, and calls element for each of its
// elements, which must read it.
func (s *Scanner) Array(depth int, element func()) {
	if !s.p.enter(depth, ']') {
		return
	}
	for s.p.err == nil {
		element()
		if s.p.next(']') {
			break
		}
	}
}
