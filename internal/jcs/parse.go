package jcs

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"

	"kest.example/kest/internal/words"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 64

// Parse reads exactly one JSON value, with white space around it allowed.
func Parse(text []byte) (*Value, error) { return ParseString(string(text)) }

// ParseString is Parse for a string; strings of the result may share its memory.
func ParseString(text string) (*Value, error) {
	p := parser{s: text, open: make([]Member, 0, 32)}
	v := p.value(0)
	p.space()
	if p.err == nil && p.i < len(p.s) {
		p.fail("text behind the value")
	}
	if p.err != nil {
		return nil, p.err
	}
	return &v, nil
}

// parser reads a text. The members of arrays and objects that are not closed
// yet lie on one stack, so that a closed one is allocated once, at its size.
type parser struct {
	s    string
	i    int
	open []Member
	err  *SyntaxError
}

// fail keeps the first error and moves to the end, so that every loop stops.
func (p *parser) fail(detail string) {
	if p.err == nil {
		p.err = &SyntaxError{Offset: p.i, Detail: detail}
	}
	p.i = len(p.s)
}

func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *parser) value(depth int) Value {
	p.space()
	switch c := p.peek(); {
	case c == '"':
		return Value{kind: String, str: p.string()}
	case c == '{':
		return Value{kind: Object, items: p.object(depth + 1)}
	case c == '[':
		return Value{kind: Array, items: p.array(depth + 1)}
	case c == '-' || c >= '0' && c <= '9':
		return Value{kind: Number, num: p.number()}
	case c == 't':
		p.literal("true")
		return Value{kind: Bool, num: 1}
	case c == 'f':
		p.literal("false")
		return Value{kind: Bool}
	case c == 'n':
		p.literal("null")
		return Value{kind: Null}
	case p.i >= len(p.s):
		p.fail("the text ends too early")
	default:
		p.fail("no value")
	}
	return Value{}
}

func (p *parser) literal(word string) {
	if len(p.s)-p.i < len(word) || p.s[p.i:p.i+len(word)] != word {
		p.fail("no value")
		return
	}
	p.i += len(word)
}

func (p *parser) array(depth int) []Member {
	if !p.enter(depth, ']') {
		return nil
	}
	start := len(p.open)
	for p.err == nil {
		p.open = append(p.open, Member{Value: p.value(depth)})
		if p.next(']') {
			break
		}
	}
	return p.close(start)
}

func (p *parser) object(depth int) []Member {
	if !p.enter(depth, '}') {
		return nil
	}
	start := len(p.open)
	ascending := true
	for p.err == nil {
		name := p.name()
		if n := len(p.open); n > start && ascending {
			ascending = p.open[n-1].Name < name
		}
		p.open = append(p.open, Member{name, p.value(depth)})
		if p.next('}') {
			break
		}
	}
	items := p.close(start)
	if !ascending && repeats(names(items)) {
		p.fail("a repeated member name")
	}
	return items
}

// enter steps over an opening bracket; false when the value is empty or too deep.
func (p *parser) enter(depth int, closing byte) bool {
	p.i++
	if depth > MaxDepth {
		p.fail("nested too deep")
		return false
	}
	if p.space(); p.peek() == closing {
		p.i++
		return false
	}
	return true
}

// close takes the members from start on off the stack.
func (p *parser) close(start int) []Member {
	if p.err != nil {
		return nil
	}
	items := make([]Member, len(p.open)-start)
	copy(items, p.open[start:])
	p.open = p.open[:start]
	return items
}

func (p *parser) name() string {
	if p.space(); p.peek() != '"' {
		p.fail("no member name")
		return ""
	}
	name := p.string()
	if p.space(); p.peek() != ':' {
		p.fail("no colon behind a member name")
		return ""
	}
	p.i++
	return name
}

// next steps over a comma, or over the closing bracket, which it reports.
func (p *parser) next(closing byte) (closed bool) {
	p.space()
	switch p.peek() {
	case closing:
		p.i++
		return true
	case ',':
		p.i++
		return false
	}
	p.fail("neither a comma nor a closing bracket")
	return false
}

func names(items []Member) []string {
	list := make([]string, len(items))
	for i := range items {
		list[i] = items[i].Name
	}
	return list
}

// repeats reports whether a name is there twice, in linear time for many.
func repeats(names []string) bool {
	if len(names) > 16 {
		seen := make(map[string]struct{}, len(names))
		for _, n := range names {
			seen[n] = struct{}{}
		}
		return len(seen) != len(names)
	}
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			return true
		}
	}
	return false
}

func (p *parser) number() float64 {
	start := p.i
	if p.peek() == '-' {
		p.i++
	}
	first := p.peek()
	whole := p.digits()
	if whole == 0 || whole > 1 && first == '0' {
		p.fail("a malformed number")
		return 0
	}
	if !p.fraction() && whole <= 15 {
		return small(p.s[start:p.i])
	}
	if p.err != nil {
		return 0
	}
	f, err := strconv.ParseFloat(p.s[start:p.i], 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		p.fail("a number that no double holds")
		return 0
	}
	return f
}

// fraction reads what may stand behind the whole part and says whether there was any.
func (p *parser) fraction() (found bool) {
	if p.peek() == '.' {
		found = true
		p.i++
		if p.digits() == 0 {
			p.fail("a malformed number")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		found = true
		p.i++
		if c = p.peek(); c == '+' || c == '-' {
			p.i++
		}
		if p.digits() == 0 {
			p.fail("a malformed number")
		}
	}
	return found
}

func (p *parser) digits() (n int) {
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
		n++
	}
	return n
}

// small converts up to fifteen digits, which a double holds exactly.
func small(text string) float64 {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	var n int64
	for i := range len(text) {
		n = n*10 + int64(text[i]-'0')
	}
	if negative {
		return -float64(n)
	}
	return float64(n)
}

// string reads a string. Without escapes the result is a part of the text.
func (p *parser) string() string {
	p.i++
	start, ascii := p.i, true
	p.i = plain(p.s, p.i)
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			s := p.s[start:p.i]
			if !ascii && !utf8.ValidString(s) {
				p.fail("invalid UTF-8")
			}
			p.i++
			return s
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			p.fail("a control character in a string")
			return ""
		case c >= 0x80:
			ascii = false
		}
		p.i++
	}
	p.fail("a string without an end")
	return ""
}

// plain returns where the first byte from i on is that is not printable ASCII,
// or a quote or a backslash, or where fewer than 8 are left.
func plain(s string, i int) int {
	for ; i+8 <= len(s); i += 8 {
		x := words.Load(s, i)
		if other := special(x) | x&words.High; other != 0 {
			return i + bits.TrailingZeros64(other)/8
		}
	}
	return i
}

// special has, of the bytes of x, the highest bit of the first that is a
// control character, a quote or a backslash; behind that one it says nothing.
// It is 0 without one.
func special(x uint64) uint64 {
	quote, backslash := x^words.Ones*'"', x^words.Ones*'\\'
	return ((x-words.Ones*0x20)&^x | (quote-words.Ones)&^quote | (backslash-words.Ones)&^backslash) & words.High
}

// escaped reads on from the first backslash of a string that began at start.
func (p *parser) escaped(start int) string {
	var room [128]byte
	buf := append(room[:0], p.s[start:p.i]...)
	for p.i < len(p.s) {
		if end := plain(p.s, p.i); end > p.i {
			buf = append(buf, p.s[p.i:end]...)
			p.i = end
			continue
		}
		switch c := p.s[p.i]; {
		case c == '"':
			if !utf8.Valid(buf) {
				p.fail("invalid UTF-8")
				return ""
			}
			p.i++
			return string(buf)
		case c == '\\':
			buf = p.escape(buf)
		case c < 0x20:
			p.fail("a control character in a string")
		default:
			buf = append(buf, c)
			p.i++
		}
	}
	p.fail("a string without an end")
	return ""
}

func (p *parser) escape(buf []byte) []byte {
	p.i++
	c := p.peek()
	p.i++
	switch c {
	case '"', '\\', '/':
		return append(buf, c)
	case 'b':
		return append(buf, '\b')
	case 'f':
		return append(buf, '\f')
	case 'n':
		return append(buf, '\n')
	case 'r':
		return append(buf, '\r')
	case 't':
		return append(buf, '\t')
	case 'u':
		return p.unicode(buf)
	}
	p.fail("an unknown escape")
	return buf
}

func (p *parser) unicode(buf []byte) []byte {
	r, ok := p.hex4()
	if ok && r >= 0xd800 && r < 0xdc00 && p.i+1 < len(p.s) && p.s[p.i] == '\\' && p.s[p.i+1] == 'u' {
		p.i += 2
		low, lowOK := p.hex4()
		if lowOK && low >= 0xdc00 && low < 0xe000 {
			return utf8.AppendRune(buf, (r-0xd800)<<10|(low-0xdc00)+0x10000)
		}
		ok = false
	}
	if !ok || r >= 0xd800 && r < 0xe000 {
		p.fail("a malformed or lone surrogate escape")
		return buf
	}
	return utf8.AppendRune(buf, r)
}

func (p *parser) hex4() (r rune, ok bool) {
	if len(p.s)-p.i < 4 {
		return 0, false
	}
	for range 4 {
		c := p.s[p.i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
		p.i++
	}
	return r, true
}
