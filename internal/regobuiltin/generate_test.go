package regobuiltin

import (
	"math/rand/v2"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// gen makes arguments.
type gen struct{ *rand.Rand }

func newGen(seed int) gen { return gen{rand.New(rand.NewPCG(uint64(seed), 1))} }

func (g gen) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g gen) word() string {
	return g.pick("", "a", "b", "ab", "aab", "abc", "A", "é", "日本", " ", "\n", "\x00", "\x1f\"\\", "~", "/", "a/b", "%", "0", "1", "-", "😀", "\u2028", "\u007f")
}

func (g gen) text() string {
	var b strings.Builder
	for range g.IntN(5) {
		b.WriteString(g.word())
	}
	return b.String()
}

func (g gen) number() string {
	return g.pick("0", "1", "-1", "2", "3", "1.0", "1.5", "-0", "1e2", "-2.50", "1E+2", "0.1", "1e-7", "9007199254740993", "9223372036854775807", "-9223372036854775808",
		"9223372036854775808", "123456789012345678901234567890", "1e21", "1e300", "0.30000000000000004", "10", "100.00", "1700000000000000000", "1.7e18")
}

func (g gen) scalar() ast.Value {
	switch g.IntN(6) {
	case 0:
		return ast.Null{}
	case 1:
		return ast.Boolean(g.IntN(2) == 0)
	case 2, 3:
		return ast.Number(g.number())
	}
	return ast.String(g.word())
}

// value has at most depth levels.
func (g gen) value(depth int) ast.Value {
	if depth == 0 || g.IntN(3) == 0 {
		return g.scalar()
	}
	n := g.IntN(4)
	switch g.IntN(3) {
	case 0:
		return ast.NewArray(g.terms(n, depth-1)...)
	case 1:
		return ast.NewSet(g.terms(n, depth-1)...)
	}
	o := ast.NewObject()
	for range n {
		key := ast.Value(ast.String(g.word()))
		if g.IntN(6) == 0 {
			key = g.value(depth - 1)
		}
		// OPA loses keys with the same hash when one is inserted again.
		if v := ast.NewTerm(g.value(depth - 1)); o.Get(ast.NewTerm(key)) == nil {
			o.Insert(ast.NewTerm(key), v)
		}
	}
	return o
}

func (g gen) terms(n, depth int) []*ast.Term {
	list := make([]*ast.Term, n)
	for i := range list {
		list[i] = ast.NewTerm(g.value(depth))
	}
	return list
}

func (g gen) str(s string) *ast.Term { return ast.StringTerm(s) }

func (g gen) strings(word func() string) *ast.Term {
	if g.IntN(3) == 0 {
		return g.str(word())
	}
	list := make([]*ast.Term, g.IntN(4))
	for i := range list {
		list[i] = g.str(word())
	}
	if g.IntN(2) == 0 {
		return ast.ArrayTerm(list...)
	}
	return ast.SetTerm(list...)
}

// generators make arguments that suit a function. Where there is none, one of
// the functions takes texts alone.
var generators = map[string]func(g gen) []*ast.Term{
	"sprintf": func(g gen) []*ast.Term {
		var b strings.Builder
		for range g.IntN(5) {
			b.WriteString(g.pick("%d", "%v", "%s", "%q", "%x", "%X", "%5d", "%-5s|", "%05.1f", "%t", "%e", "%g", "%c", "%U", "%T", "%+v", "%#v", "%%", "%", "%[1]d", "%[2]*[1]d", "%*d", "%.2f", "%.*f",
				"%!", "%z", "% d", "%+d", "%08b", "%o", "%O", "%p", "%w", "%6.2f", "%[9]d", "%[x]d", "text", "é", "%.3s", "%5q", "% x", "%#x"))
		}
		return []*ast.Term{g.str(b.String()), ast.ArrayTerm(g.terms(g.IntN(5), 2)...)}
	},
	"time.parse_rfc3339_ns": func(g gen) []*ast.Term {
		parts := []string{"2024", "-", "02", "-", "21", "T", "23", ":", "59", ":", "43", "", "Z"}
		for range g.IntN(3) {
			i := g.IntN(len(parts))
			parts[i] = []string{
				g.pick("1970", "1677", "2262", "0000", "2023", "20", "9999"), g.pick("/", ""), g.pick("01", "12", "13", "1", "00", "09", "04"), "", g.pick("28", "29", "30", "31", "32", "1", "00"),
				g.pick("t", " ", ""), g.pick("00", "24", "1", "01", "a1"), "", g.pick("00", "60", "5"), ".", g.pick("00", "60", "5"), g.pick(".1", ".123456789", ".1234567891", ",5", ".", ".854775807", ".a"),
				g.pick("z", "+01:00", "-23:59", "+24:00", "+25:00", "+00:60", "+00:61", "+1:00", "", "-00:00", "Z ", "+01:00x", "-12:12"),
			}[i]
		}
		return []*ast.Term{g.str(strings.Join(parts, ""))}
	},
	"time.parse_duration_ns": func(g gen) []*ast.Term {
		var b strings.Builder
		b.WriteString(g.pick("", "", "-", "+", "-+"))
		for range g.IntN(4) {
			b.WriteString(g.pick("1", "0", "1.5", ".5", "5.", ".", "1.2.3", "0.333333333333333333333", "9223372036", "2562047", "106751", "15250", "292", "9223372036854775808", "1e3", ""))
			b.WriteString(g.pick("h", "m", "s", "ms", "us", "µs", "μs", "ns", "d", "w", "y", "x", "", "hd"))
		}
		return []*ast.Term{g.str(b.String())}
	},
	"time.date": times(1), "time.clock": times(1), "time.weekday": times(1),
	"time.format": func(g gen) []*ast.Term {
		return []*ast.Term{ast.ArrayTerm(ast.NewTerm(ast.Number(g.number())), g.str(g.pick("UTC", "")), g.str(g.pick("", "RFC3339", "RFC1123", "ANSIC", "2006-01-02", "Mon Jan _2 15:04:05.000 MST 2006", "x", "RFC822Z", "RFC850")))}
	},
	"time.add_date": func(g gen) []*ast.Term {
		list := times(1)(g)
		for range 3 {
			list = append(list, ast.NewTerm(ast.Number(g.pick("0", "1", "-1", "2", "13", "-400", "1.0", "1.5", "300", "9223372036854775807", "1e1"))))
		}
		return list
	},
	"semver.compare":  func(g gen) []*ast.Term { return []*ast.Term{g.str(g.version()), g.str(g.version())} },
	"semver.is_valid": func(g gen) []*ast.Term { return []*ast.Term{g.str(g.version())} },
	"regex.find_n": func(g gen) []*ast.Term {
		return []*ast.Term{g.str(g.pattern()), g.str(g.text()), ast.NewTerm(ast.Number(g.pick("-1", "0", "1", "2", "1.0", "1.5", "-2")))}
	},
	"regex.split": func(g gen) []*ast.Term { return []*ast.Term{g.str(g.pattern()), g.str(g.text())} },
	"regex.replace": func(g gen) []*ast.Term {
		return []*ast.Term{g.str(g.text()), g.str(g.pattern()), g.str(g.pick("", "x", "$0$0", "<$1>", "${1}", "$n", "$$"))}
	},
	"strings.any_prefix_match": func(g gen) []*ast.Term { return []*ast.Term{g.strings(g.text), g.strings(g.word)} },
	"strings.any_suffix_match": func(g gen) []*ast.Term { return []*ast.Term{g.strings(g.text), g.strings(g.word)} },
	"urlquery.decode": func(g gen) []*ast.Term {
		var b strings.Builder
		for range g.IntN(5) {
			b.WriteString(g.pick("%20", "+", "%e9", "%C3%A9", "%", "%4", "%zz", "a", "é", "%2B", "&", "="))
		}
		return []*ast.Term{g.str(b.String())}
	},
	"hex.decode": func(g gen) []*ast.Term {
		return []*ast.Term{g.str(g.pick("", "6", "61", "6A", "zz", "c3a9", "ff", "616", " 61"))}
	},
	"object.subset": func(g gen) []*ast.Term {
		super := g.value(3)
		sub := g.value(2)
		if g.IntN(3) > 0 {
			sub = g.part(super)
		}
		return []*ast.Term{ast.NewTerm(super), ast.NewTerm(sub)}
	},
	"json.patch": func(g gen) []*ast.Term {
		doc := g.value(3)
		list := make([]*ast.Term, g.IntN(5))
		for i := range list {
			list[i] = ast.NewTerm(g.operation(doc))
		}
		return []*ast.Term{ast.NewTerm(doc), ast.ArrayTerm(list...)}
	},
}

func times(n int) func(g gen) []*ast.Term {
	return func(g gen) []*ast.Term {
		list := make([]*ast.Term, n)
		for i := range list {
			number := ast.NewTerm(ast.Number(g.number()))
			if g.IntN(2) == 0 {
				number = ast.NewTerm(ast.Number(intValue(int(g.Uint64())).text))
			}
			switch g.IntN(4) {
			case 0:
				number = ast.ArrayTerm(number)
			case 1:
				number = ast.ArrayTerm(number, g.str(g.pick("UTC", "", "nowhere/at/all")))
			case 2:
				number = ast.ArrayTerm(number, g.str("UTC"), g.scalarTerm())
			}
			list[i] = number
		}
		return list
	}
}

func (g gen) scalarTerm() *ast.Term { return ast.NewTerm(g.scalar()) }

func (g gen) version() string {
	v := g.pick("1.0.0", "1.0.0", "1.2.3", "1.10.0", "0.0.0") + g.pick("", "-alpha", "-1", "-alpha.1", "-alpha.beta", "-rc.10", "-rc.9", "-0", "--", "-1.a", "-99999999999999999999.1", "-1.99999999999999999999.2")
	switch g.IntN(8) {
	case 0:
		return g.pick("v", "V", "+", " ") + v
	case 1:
		return v + g.pick("+build", "+", "+001", "+a.b", "+a+b", "+é", "-")
	case 2:
		return g.pick("1.0", "01.0.0", "1.0.0.0", "9223372036854775807.0.0", "9223372036854775808.0.0", "a.b.c", "1..0", "1.0.0-01", "1.0.0-", "1.0.0-a..b", "1.0.0-a_b", "1.0.0-0a")
	}
	return v
}

func (g gen) pattern() string {
	return g.pick("a", "(a)(b)?", "a*", "^a", "b$", "", "[a-z]+", `\d+`, "(?i)A", "(?P<n>a)", "/", "[^/]+", `\s`, "é|日", ".", "(", "a{2}", `\pL`, "a|ab", "(a|ab)(c|bcd)*")
}

// part is v with some of it left out.
func (g gen) part(v ast.Value) ast.Value {
	switch v := v.(type) {
	case ast.Object:
		o := ast.NewObject()
		v.Foreach(func(k, x *ast.Term) {
			if g.IntN(2) == 0 {
				o.Insert(k, ast.NewTerm(g.part(x.Value)))
			}
		})
		return o
	case ast.Set:
		s := ast.NewSet()
		v.Foreach(func(x *ast.Term) {
			if g.IntN(2) == 0 {
				s.Add(x)
			}
		})
		return s
	case *ast.Array:
		if g.IntN(3) == 0 {
			s := ast.NewSet()
			v.Foreach(func(x *ast.Term) { s.Add(x) })
			return s
		}
		start := g.IntN(v.Len() + 1)
		return v.Slice(start, start+g.IntN(v.Len()-start+1))
	}
	return v
}

func (g gen) operation(doc ast.Value) ast.Value {
	o := ast.NewObject()
	insert := func(name string, v *ast.Term) {
		if g.IntN(30) > 0 {
			o.Insert(g.str(name), v)
		}
	}
	insert("op", g.str(g.pick("add", "add", "add", "remove", "remove", "replace", "replace", "move", "copy", "test", "nonsense")))
	path := g.path(doc)
	insert("path", g.pathTerm(path))
	insert("from", g.pathTerm(g.path(doc)))
	v := ast.NewTerm(g.value(2))
	if len(path) > 0 && g.IntN(3) == 0 {
		v = path[len(path)-1]
	}
	insert("value", v)
	return o
}

// path leads into doc, mostly.
func (g gen) path(doc ast.Value) (path []*ast.Term) {
	for g.IntN(5) > 0 {
		var keys []*ast.Term
		switch v := doc.(type) {
		case ast.Object:
			keys = v.Keys()
		case ast.Set:
			keys = v.Slice()
		case *ast.Array:
			for i := range v.Len() + 1 {
				keys = append(keys, ast.IntNumberTerm(i))
			}
		}
		if len(keys) == 0 || g.IntN(8) == 0 {
			keys = []*ast.Term{g.str(g.word()), g.str("-"), g.str("0"), g.str("1"), g.str("01"), g.str("+1"), g.str("."), ast.IntNumberTerm(0), g.scalarTerm()}
		}
		key := keys[g.IntN(len(keys))]
		path = append(path, key)
		next, err := doc.Find(ast.Ref{key})
		if err != nil {
			break
		}
		doc = next
	}
	return path
}

func (g gen) pathTerm(path []*ast.Term) *ast.Term {
	var b strings.Builder
	for _, key := range path {
		switch v := key.Value.(type) {
		case ast.String:
			b.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(string(v), "~", "~0"), "/", "~1"))
		case ast.Number:
			b.WriteString("/" + string(v))
		default:
			return ast.ArrayTerm(path...)
		}
	}
	if g.IntN(3) == 0 {
		return ast.ArrayTerm(path...)
	}
	return g.str(b.String())
}

func (g gen) arguments(name string, arity int) []*ast.Term {
	if g.IntN(12) == 0 {
		return g.terms(arity, 2)
	}
	if f := generators[name]; f != nil {
		return f(g)
	}
	list := make([]*ast.Term, arity)
	for i := range list {
		list[i] = g.str(g.text())
	}
	return list
}
