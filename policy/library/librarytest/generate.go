package librarytest

import (
	"maps"
	"math/rand/v2"
	"slices"

	"kest.example/kest/internal/jcs"
)

// source makes parts of contexts. Most are such as a model's configuration has
// them; some are missing, null or of another type.
type source struct{ *rand.Rand }

// maker makes one value of an attribute.
type maker func(s source) jcs.Value

// odd are values that no attribute should have: of another type, or such as
// one language can't hold.
var odd = []string{
	`null`, `""`, `"x"`, `"true"`, `true`, `false`, `0`, `1`, `-1`, `101`, `1.5`, `0.1`, `1e300`, `-1e300`, `9007199254740993`,
	`[]`, `{}`, `[null]`, `[1]`, `[1.5]`, `["x"]`, `["secret",null]`, `["high",2]`, `[["x",0.5]]`, `[{"a":1e300}]`, `[true]`,
	`{"a":1.5}`, `{"a":null}`,
}

func (s source) odd() jcs.Value {
	v, err := jcs.ParseString(odd[s.IntN(len(odd))])
	if err != nil {
		panic(err) // it is a constant
	}
	return *v
}

func (s source) percent(n int) bool { return s.IntN(100) < n }

// word is one of the words, the earlier ones rather.
func word(words ...string) maker {
	return func(s source) jcs.Value { return jcs.StringValue(words[s.early(len(words))]) }
}

// early is an index below n; 0 about half of the time.
func (s source) early(n int) int {
	if s.percent(40) {
		return 0
	}
	return s.IntN(n)
}

func number(numbers ...int64) maker {
	return func(s source) jcs.Value { return jcs.IntValue(numbers[s.early(len(numbers))]) }
}

func flag(s source) jcs.Value { return jcs.BoolValue(s.percent(60)) }

// list is some of the words, each with the chance given in percent.
func list(chance int, words ...string) maker {
	return func(s source) jcs.Value {
		have := s.some(chance, words)
		if len(have) > 0 && s.percent(5) {
			have = append(have, have[0])
		}
		v := jcs.StringsValue(have)
		if s.percent(3) {
			v = jcs.ArrayValue(append(values(v), s.odd())...)
		}
		return v
	}
}

func values(v jcs.Value) []jcs.Value {
	items := make([]jcs.Value, v.Len())
	for i := range items {
		items[i] = v.Items()[i].Value
	}
	return items
}

func (s source) some(chance int, words []string) (have []string) {
	for _, w := range words {
		if s.percent(chance) {
			have = append(have, w)
		}
	}
	s.Shuffle(len(have), func(i, j int) { have[i], have[j] = have[j], have[i] })
	return have
}

// attribute is one member of an open object.
type attribute struct {
	name  string
	make  maker
	there int // in percent
}

func must(name string, m maker) attribute { return attribute{name, m, 98} }

func may(name string, m maker) attribute { return attribute{name, m, 50} }

func (s source) attributes(list []attribute) jcs.Value {
	var members []jcs.Member
	for _, a := range list {
		if !s.percent(a.there) {
			continue
		}
		v := a.make(s)
		if s.percent(3) {
			v = s.odd()
		}
		members = append(members, jcs.Member{Name: a.name, Value: v})
	}
	return jcs.ObjectValue(members...)
}

// context is one context for a model, as JSON.
func (s source) context(m *vocabulary) jcs.Value {
	subject := []jcs.Member{
		member("workload", jcs.StringValue(s.of(principals))),
		member("trust_score", jcs.IntValue(int64(s.of100()))),
		member("taints", jcs.StringsValue(append(s.some(m.tainted, m.labels), s.some(8, m.taints)...))),
		member("attributes", s.attributes(m.subject)),
	}
	if s.percent(80) {
		subject = append(subject, member("user", jcs.StringValue(s.of(users))))
	}
	if s.percent(4) {
		subject = append(subject, member("labels", s.told(m.told)))
	}
	root := s.percent(15)
	return jcs.ObjectValue(
		member("subject", jcs.ObjectValue(subject...)),
		member("object", jcs.ObjectValue(member("attributes", s.attributes(m.object)))),
		member("environment", jcs.ObjectValue(member("is_root", jcs.BoolValue(root)))),
		member("lineage", s.lineage(root)),
	)
}

// told are labels that no taint gives, as a context written by hand may have them.
func (s source) told(labels map[string][]string) jcs.Value {
	var members []jcs.Member
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		switch s.IntN(4) {
		case 0:
			members = append(members, member(name, jcs.NullValue()))
		case 1, 2:
			members = append(members, member(name, jcs.StringsValue(s.some(35, labels[name]))))
		}
	}
	return jcs.ObjectValue(members...)
}

func member(name string, v jcs.Value) jcs.Member { return jcs.Member{Name: name, Value: v} }

func (s source) of(words []string) string { return words[s.early(len(words))] }

func (s source) of100() int { return []int{90, 100, 60, 40, 10, 0, 59, 61}[s.early(8)] }

var (
	principals = []string{"spiffe://example.org/gateway", "spiffe://example.org/batch", "spiffe://example.org/elsewhere"}
	users      = []string{"bob", "ana", "eve"}
	operations = []string{"request", "review", "enter"}
)

// lineage is one that could be, and sometimes one whose parts contradict each other.
func (s source) lineage(root bool) jcs.Value {
	if root && s.percent(90) {
		return jcs.ObjectValue(member("min_trust", jcs.IntValue(int64(s.of100()))))
	}
	var acts []jcs.Value
	var done []string
	for _, operation := range s.some(70, operations) {
		done = append(done, operation)
		act := []jcs.Member{member("operation", jcs.StringValue(operation))}
		if s.percent(85) {
			act = append(act, member("user", jcs.StringValue([]string{"ana", "eve", "ana", "bob"}[s.IntN(4)])))
		}
		acts = append(acts, jcs.ObjectValue(act...))
	}
	if s.percent(5) {
		done = s.some(50, operations)
	}
	return jcs.ObjectValue(
		member("depth", jcs.IntValue(int64(1+s.IntN(5)))), member("min_trust", jcs.IntValue(int64(s.of100()))),
		member("roots", jcs.StringsValue(s.some(45, principals))), member("operations", jcs.StringsValue(done)),
		member("acts", jcs.ArrayValue(acts...)),
	)
}
