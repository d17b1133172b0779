package regex

import "unicode"

// set is a set of runes: those of its parts, or with not the others.
type set struct {
	not   bool
	fold  bool // also what differs from one of a part by case alone
	parts []part
}

// part is a range, the ranges of ASCII that a string holds in pairs, or a table.
type part struct {
	not    bool
	lo, hi rune
	pairs  string
	table  *unicode.RangeTable
}

func (s *set) has(r rune) bool {
	for i := range s.parts {
		p := &s.parts[i]
		found := p.has(r)
		if s.fold {
			for f := unicode.SimpleFold(r); !found && f != r; f = unicode.SimpleFold(f) {
				found = p.has(f)
			}
		}
		if found != p.not {
			return !s.not
		}
	}
	return s.not
}

func (p *part) has(r rune) bool {
	if p.table != nil {
		return unicode.Is(p.table, r)
	}
	for i := 0; i < len(p.pairs); i += 2 {
		if rune(p.pairs[i]) <= r && r <= rune(p.pairs[i+1]) {
			return true
		}
	}
	return p.lo <= r && r <= p.hi
}

// add adds a part that nothing is in yet.
//
//go:noinline
func (s *set) add() *part {
	s.parts = append(s.parts, part{lo: 1})
	return &s.parts[len(s.parts)-1]
}

const (
	digits = "09"
	spaces = "\t\n\f\r  "
	words  = "09AZ__az"
)

// named are the classes [:name:], each behind its name.
var named = [...]string{
	"alnum", "09AZaz", "alpha", "AZaz", "ascii", "\x00\x7f", "blank", "\t\t  ", "cntrl", "\x00\x1f\x7f\x7f",
	"digit", digits, "graph", "!~", "lower", "az", "print", " ~", "punct", "!/:@[`{~",
	"space", "\t\r  ", "upper", "AZ", "word", words, "xdigit", "09AFaf",
}

// categories that \p{…} may name.
var categories = [...]struct {
	name  string
	table **unicode.RangeTable
}{
	{"L", &unicode.L},
	{"Lu", &unicode.Lu},
	{"Ll", &unicode.Ll},
	{"M", &unicode.M},
	{"N", &unicode.N},
	{"Nd", &unicode.Nd},
	{"P", &unicode.P},
	{"S", &unicode.S},
	{"Z", &unicode.Z},
}
