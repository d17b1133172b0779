package regex

import (
	"strings"
	"unicode"
)

// escape reads what follows a backslash outside of a class.
func (p *parser) escape() *node {
	start := p.i
	switch p.rune() {
	case 'A':
		return p.condition(beginText)
	case 'z':
		return p.condition(endText)
	case 'b':
		return p.condition(wordEdge)
	case 'B':
		return p.condition(noWordEdge)
	case 'Q':
		p.quoted = true
		return nil
	}
	p.i = start
	n := p.set()
	if p.letterClass(n.set) {
		return n
	}
	return p.literal(p.escaped())
}

// letterClass adds \d or its like, behind the backslash.
func (p *parser) letterClass(s *set) bool {
	c := p.peek()
	pairs := ""
	switch c | 0x20 {
	case 'd':
		pairs = digits
	case 's':
		pairs = spaces
	case 'w':
		pairs = words
	case 'p':
	default:
		return false
	}
	p.i++
	g := s.add()
	if g.pairs = pairs; pairs == "" {
		p.category(g)
	}
	g.not = g.not != (c < 'a')
	return true
}

// category reads the name of a category: a letter, or a name in braces.
func (p *parser) category(g *part) {
	braces := p.take("{")
	g.not = braces && p.take("^")
	for i := range categories {
		name := categories[i].name
		if braces {
			name += "}"
		}
		if p.take(name) {
			g.table = *categories[i].table
			return
		}
	}
	p.fail()
}

// escaped reads the escape of one rune, behind the backslash.
func (p *parser) escaped() rune {
	r := p.rune()
	switch {
	case r >= '0' && r <= '7':
		return p.octal(r - '0')
	case r == 'x':
		return p.hexadecimal()
	}
	if i := strings.IndexRune("afnrtv", r); i >= 0 {
		return rune("\a\f\n\r\t\v"[i])
	}
	if r >= 0x80 || r != '_' && isWord(r) {
		p.fail()
	}
	return r
}

// octal reads up to two more digits, at least one behind one other than 0,
// which would be a back-reference.
func (p *parser) octal(r rune) rune {
	start := p.i
	for c := p.peek(); c >= '0' && c <= '7' && p.i < start+2; c = p.peek() {
		r = r*8 + rune(c-'0')
		p.i++
	}
	if p.i == start && r != 0 {
		p.fail()
	}
	return r
}

func (p *parser) hexadecimal() rune {
	if !p.take("{") {
		high := p.hexDigit()
		return high<<4 | p.hexDigit()
	}
	r := p.hexDigit()
	for p.err == "" && !p.take("}") {
		if r = r<<4 | p.hexDigit(); r > unicode.MaxRune {
			p.fail()
		}
	}
	return r
}

func (p *parser) hexDigit() rune {
	c := p.peek()
	p.i++
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	p.fail()
	return 0
}

// class reads a class in brackets, behind the first.
func (p *parser) class() *node {
	n := p.set()
	n.set.not = p.take("^")
	for first := true; p.err == "" && (first || !p.take("]")); first = false {
		p.part(n.set)
	}
	return n
}

func (p *parser) part(s *set) {
	if p.named(s) {
		return
	}
	if p.take(`\`) {
		if p.letterClass(s) {
			return
		}
		p.i--
	}
	lo := p.member()
	hi := lo
	if rest := p.s[p.i:]; len(rest) >= 2 && rest[0] == '-' && rest[1] != ']' {
		p.i++
		if hi = p.member(); hi < lo {
			p.fail()
		}
	}
	g := s.add()
	g.lo, g.hi = lo, hi
}

func (p *parser) member() rune {
	if p.take(`\`) {
		return p.escaped()
	}
	return p.rune()
}

// named adds [:name:] or [:^name:].
func (p *parser) named(s *set) bool {
	rest := p.s[p.i:]
	if !strings.HasPrefix(rest, "[:") {
		return false
	}
	name, _, ok := strings.Cut(rest[2:], ":]")
	if !ok {
		return false
	}
	p.i += len(name) + 4
	g := s.add()
	name, g.not = strings.CutPrefix(name, "^")
	for i := 0; i < len(named); i += 2 {
		if named[i] == name {
			g.pairs = named[i+1]
			return true
		}
	}
	p.fail()
	return true
}

//go:noinline
func isWord(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r == '_' || r >= 'a' && r <= 'z'
}
