package regobuiltin

import "kest.example/kest/internal/regex"

func regexFind(c *call) *Value {
	pattern, text, n := c.str(0), c.str(1), c.integer(2)
	s := c.search(pattern, text)
	v := &Value{kind: array}
	for len(v.items) != n && c.next(s, v) {
		v.push(stringValue(text[s.Start:s.End]))
	}
	c.done(s)
	return v
}

// search begins one, of nothing if that is not possible.
func (c *call) search(pattern, text string) *regex.Search {
	re, err := regex.Compile(pattern)
	if err != nil || c.failed {
		c.failed = true
		return &regex.Search{}
	}
	return re.Search(text)
}

// next goes on with a search whose results are gathered in v.
func (c *call) next(s *regex.Search, v *Value) bool {
	if len(v.items) == MaxValues {
		c.failed = true
		return false
	}
	return s.Next()
}

// done is behind a search.
//
//go:noinline
func (c *call) done(s *regex.Search) {
	if s.Err() != nil {
		c.failed = true
	}
}

// regexSplit gives what is between the matches, but nothing before an empty one
// at the start or behind one at the end.
func regexSplit(c *call) *Value {
	pattern, text := c.str(0), c.str(1)
	s := c.search(pattern, text)
	v := &Value{kind: array}
	start, end := 0, 0
	for c.next(s, v) {
		if end = s.Start; s.End > 0 {
			v.push(stringValue(text[start:end]))
		}
		start = s.End
	}
	if c.done(s); end != len(text) || text == "" && pattern != "" {
		v.push(stringValue(text[start:]))
	}
	return v
}

func regexReplace(c *call) *Value {
	text, pattern, template := c.str(0), c.str(1), c.str(2)
	s := c.search(pattern, text)
	out := s.Replace(template)
	c.done(s)
	return stringValue(out)
}
