package regex

import (
	"strings"
	"unicode/utf8"
)

// flags that a pattern sets, as in (?ims-U).
type flags uint8

const (
	foldCase flags = 1 << iota
	lines          // ^ and $ match at each line
	dotAll         // . matches \n
	ungreedy       // repeats are lazy unless a ? follows
)

// parser reads a pattern, which is valid UTF-8, by recursive descent.
type parser struct {
	s      string
	i      int
	flags  flags
	quoted bool // between \Q and \E
	depth  int
	names  []string
	err    Error // the first one
}

// fail keeps the first error and moves to the end, so that every loop stops.
//
//go:noinline
func (p *parser) fail() {
	if p.err == "" {
		p.err = ErrSyntax
	}
	p.i = len(p.s)
}

func (p *parser) whole() *node {
	if len(p.s) > MaxPattern {
		p.err = ErrLarge
		return nil
	}
	if !utf8.ValidString(p.s) {
		p.fail()
	}
	tree := p.choice()
	if p.i < len(p.s) {
		p.fail() // a parenthesis that closes nothing
	}
	return tree
}

// peek returns the next byte, or 0 at the end.
//
//go:noinline
func (p *parser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

// take steps over a prefix, if it is there.
//
//go:noinline
func (p *parser) take(prefix string) bool {
	if !strings.HasPrefix(p.s[p.i:], prefix) {
		return false
	}
	p.i += len(prefix)
	return true
}

// rune steps over a rune. At the end it fails.
func (p *parser) rune() rune {
	if p.i >= len(p.s) {
		p.fail()
		return 0
	}
	r, n := utf8.DecodeRuneInString(p.s[p.i:])
	p.i += n
	return r
}

func (p *parser) choice() *node {
	first := p.sequence()
	if p.peek() != '|' {
		return first
	}
	n := &node{kind: choice}
	n.push(first)
	for p.take("|") {
		n.push(p.sequence())
	}
	return n
}

func (p *parser) sequence() *node {
	n := &node{kind: sequence}
	repeated := false // no repeat of a repeat, other than by parentheses
	for p.i < len(p.s) && (p.quoted || p.s[p.i] != '|' && p.s[p.i] != ')') {
		if lo, hi, ok := p.count(); ok {
			if repeated || len(n.subs) == 0 {
				p.fail()
				break
			}
			last := &n.subs[len(n.subs)-1]
			*last = p.repeat(*last, lo, hi)
			repeated = true
			continue
		}
		repeated = false
		if sub := p.item(); sub != nil {
			n.push(sub)
		}
	}
	n.nullable = true
	for _, sub := range n.subs {
		n.nullable = n.nullable && sub.nullable
	}
	return n
}

func (p *parser) repeat(sub *node, lo, hi int) *node {
	lazy := p.flags&ungreedy != 0
	if p.take("?") {
		lazy = !lazy
	}
	n := &node{kind: repeat, lazy: lazy, min: lo, max: hi}
	n.push(sub)
	n.nullable = n.nullable || lo == 0
	if (lo > 1 || hi > 1) && !n.copies(maxCopies) {
		p.fail()
	}
	return n
}

// maxCopies is how often a part may stand in a program through repeats (RE2).
const maxCopies = 1000

// count reads how often something repeats. What looks like {…} but isn't a
// count stands for itself.
func (p *parser) count() (lo, hi int, ok bool) {
	if p.quoted {
		return 0, 0, false
	}
	switch p.peek() {
	case '*':
		lo, hi = 0, -1
	case '+':
		lo, hi = 1, -1
	case '?':
		lo, hi = 0, 1
	case '{':
		return p.counted()
	default:
		return 0, 0, false
	}
	p.i++
	return lo, hi, true
}

func (p *parser) counted() (lo, hi int, ok bool) {
	start := p.i
	p.i++
	lo, ok = p.number()
	hi = lo
	if ok && p.take(",") {
		if hi = -1; p.peek() != '}' {
			hi, ok = p.number()
		}
	}
	if !ok || !p.take("}") {
		p.i = start
		return 0, 0, false
	}
	if lo > maxCopies || hi > maxCopies || hi >= 0 && lo > hi {
		p.fail()
	}
	return lo, hi, true
}

// number reads digits, the first of which is 0 only alone.
func (p *parser) number() (n int, ok bool) {
	start := p.i
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		n = min(n*10+int(c-'0'), maxCopies+1)
		p.i++
	}
	return n, p.i == start+1 || p.i > start && p.s[start] != '0'
}

// item reads what a repeat may follow. It is nil for what only changes how the
// pattern is read.
func (p *parser) item() *node {
	if p.quoted {
		if p.take(`\E`) {
			p.quoted = false
			return nil
		}
		return p.literal(p.rune())
	}
	switch r := p.rune(); r {
	case '(':
		return p.group()
	case '[':
		return p.class()
	case '\\':
		return p.escape()
	case '.':
		n := p.set()
		if n.set.not = true; p.flags&dotAll == 0 {
			g := n.set.add()
			g.lo, g.hi = '\n', '\n'
		}
		return n
	case '^':
		return p.edge(beginText, beginLine)
	case '$':
		return p.edge(endText, endLine)
	default:
		return p.literal(r)
	}
}

func (p *parser) literal(r rune) *node {
	return &node{kind: literal, value: int(r), fold: p.flags&foldCase != 0}
}

// set is an empty set as yet.
//
//go:noinline
func (p *parser) set() *node {
	return &node{kind: class, set: &set{fold: p.flags&foldCase != 0}}
}

func (p *parser) condition(bit int) *node {
	return &node{kind: condition, value: bit, nullable: true}
}

// edge is one condition, or where lines count the other.
func (p *parser) edge(text, line int) *node {
	if p.flags&lines != 0 {
		text = line
	}
	return p.condition(text)
}

// group reads what follows an opening parenthesis.
func (p *parser) group() *node {
	before := p.flags
	number := 0
	if p.peek() != '?' {
		number = p.capture("")
	} else if p.i++; p.take("P<") || p.take("<") {
		end := strings.IndexByte(p.s[p.i:], '>')
		if end < 1 {
			p.fail()
			return nil
		}
		name := p.s[p.i : p.i+end]
		p.i += end + 1
		number = p.capture(name)
	} else if !p.setFlags() {
		return nil
	}
	if p.depth++; p.depth > MaxDepth {
		p.fail()
	}
	n := p.choice()
	p.depth--
	if !p.take(")") {
		p.fail()
	}
	p.flags = before
	if number > 0 {
		sub := n
		n = &node{kind: group, value: number}
		n.push(sub)
	}
	return n
}

// capture counts a group.
func (p *parser) capture(name string) int {
	for i := range len(name) {
		if !isWord(rune(name[i])) {
			p.fail()
		}
	}
	p.names = append(p.names, name)
	return len(p.names) - 1
}

// setFlags reads flags and reports whether a group follows.
func (p *parser) setFlags() bool {
	on := p.flags
	off := flags(0)
	negative, empty := false, false
	for {
		flag := flags(0)
		switch r := p.rune(); r {
		case 'i':
			flag = foldCase
		case 'm':
			flag = lines
		case 's':
			flag = dotAll
		case 'U':
			flag = ungreedy
		case ':', ')':
			if negative && empty {
				p.fail()
			}
			p.flags = on &^ off
			return r == ':'
		default:
			if r != '-' || negative {
				p.fail()
				return false
			}
			negative, empty = true, true
			continue
		}
		empty = false
		if negative {
			off |= flag
		} else {
			on |= flag
		}
	}
}
