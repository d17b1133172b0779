package cedar

import (
	"slices"
	"strings"

	"kest.example/kest/internal/cedarcontext"
)

// partType is the type of the entities that stand for parts of the context in
// the other form of a policy (lazy.go).
const partType = "KestContext"

// place is where a text reads the context, and which part of it.
type place struct {
	at      int // the token
	section string
	field   *field // nil where the section has no such member
	path    []step
	taken   int // steps that lead to the part
}

// rewrite puts entities in place of a text's context, line by line the same, and
// says which parts the text uses; ok is false where some section is used as a
// whole, or in a way that it doesn't see through.
func rewrite(text string, tokens []token) (other string, uses *usage, ok bool) {
	if slices.ContainsFunc(tokens, func(t token) bool { return t.text == partType }) {
		return "", nil, false
	}
	places, ok := placesIn(tokens)
	if !ok {
		return "", nil, false
	}
	uses = &usage{members: make(map[string]*usage)}
	for _, p := range places {
		if p.field != nil {
			uses.mark(append([]step{{name: p.part()}}, p.path[p.taken:]...))
		}
	}
	var b strings.Builder
	done := 0
	for _, p := range places {
		from, until := p.span(tokens)
		b.WriteString(text[done:from])
		b.WriteString(p.text(uses))
		b.WriteString(strings.Repeat("\n", strings.Count(text[from:until], "\n")))
		done = until
	}
	b.WriteString(text[done:])
	return b.String(), uses, true
}

// placesIn leaves out what no context has: it reads a context that is empty.
func placesIn(tokens []token) (places []place, ok bool) {
	for i := range tokens {
		if !isContext(tokens, i) {
			continue
		}
		path := pathAt(tokens, i+1)
		if len(path) == 0 || path[len(path)-1].next > len(tokens) {
			return nil, false
		}
		p := place{at: i, path: path}
		p.resolve()
		switch {
		case p.taken == 0:
			continue
		case p.field == nil && len(path) == 1: // a section as a whole
			return nil, false
		}
		places = append(places, p)
	}
	return places, true
}

// resolve follows the nested, the flat and the short names.
func (p *place) resolve() {
	first := p.path[0].name
	for _, s := range sections() {
		if s.name == first {
			p.section, p.taken = first, 1
			if len(p.path) > 1 {
				p.member(p.path[1].name, 2)
			}
			return
		}
	}
	for _, s := range cedarcontext.ShortNames {
		if s.Name == first {
			p.section = s.Section
			p.member(s.Member, 1)
			return
		}
	}
	section, name, _ := strings.Cut(first, ".")
	if _, flat := member(section, name); flat {
		p.section = section
		p.member(name, 1)
	}
}

func (p *place) member(name string, taken int) {
	if f, _ := member(p.section, name); f != nil {
		p.field, p.taken = f, taken
	}
}

func partName(section, member string) string { return section + "_" + member }

// part is the entity's name. A section's own has no members: what the context
// has stands in its parts.
func (p *place) part() string {
	if p.field == nil {
		return p.section
	}
	return partName(p.section, p.field.name)
}

// extended reports whether the part stands in the midst of has a.b.
func (p *place) extended() bool { return p.path[p.taken-1].has && p.taken < len(p.path) }

func (p *place) span(tokens []token) (from, until int) {
	last := p.path[p.taken-1].next - 1
	if p.extended() {
		last++ // the dot
	}
	return tokens[p.at].from, tokens[last].to
}

// text is the part in place of the steps to it.
func (p *place) text(uses *usage) string {
	entity, name := partType+`::"`+p.part()+`"`, p.part()
	direct := p.field == nil || isDirect(p.field, uses.members[name])
	switch has := p.path[p.taken-1].has; {
	case direct && p.extended():
		return entity + " has "
	case direct:
		return entity
	case p.extended():
		return entity + " has " + name + "."
	case has:
		return entity + " has " + name
	}
	return entity + "." + name
}

// isDirect reports whether a part's entity is the record itself. Else it has the
// value as a member of its own name.
func isDirect(f *field, below *usage) bool { return f.record && below != nil }
