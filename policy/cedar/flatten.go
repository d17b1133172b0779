package cedar

import "strings"

// A record costs cedar-go a copy and a hash each time that one is made. So a
// policy that names all that it reads is evaluated in another form of the same
// text, which reads context["lineage/depth"] for context.lineage.depth: its
// context is one flat record.

// flatSeparator stands between the names of a section and its member.
const flatSeparator = "/"

// isSection reports whether a member of the context is a record of fixed members.
func isSection(name string) bool {
	return name == "subject" || name == "object" || name == "environment" || name == "lineage"
}

// flatten rewrites a policy's text, line by line the same; ok is false where
// some section is used as a whole, or in a way that it doesn't see through.
func flatten(text string, tokens []token, uses *usage) (flat string, ok bool) {
	if uses == nil {
		return "", false
	}
	for name, below := range uses.members {
		if strings.Contains(name, flatSeparator) || isSection(name) && below == nil {
			return "", false
		}
	}
	var b strings.Builder
	done := 0
	for i, t := range tokens {
		if t.text != "context" || i > 0 && tokens[i-1].text == "." {
			continue
		}
		section, next := memberAt(tokens, i+1)
		switch {
		case textAt(tokens, i+1) == "has" && isSection(strings.TrimPrefix(textAt(tokens, i+2), `"`)):
			return "", false
		case !isSection(section):
			continue
		}
		member, end := memberAt(tokens, next)
		open, shut := "[", "]"
		if textAt(tokens, next) == "has" {
			member, end = strings.TrimPrefix(textAt(tokens, next+1), `"`), next+2
			open, shut = " has ", ""
			if textAt(tokens, end) == "." {
				return "", false
			}
		}
		if member == "" || strings.ContainsAny(member, "\\\n") || end > len(tokens) {
			return "", false
		}
		until := tokens[end-1].to
		b.WriteString(text[done:t.to])
		b.WriteString(open + `"` + section + flatSeparator + member + `"` + shut)
		b.WriteString(strings.Repeat("\n", strings.Count(text[t.to:until], "\n")))
		done = until
	}
	b.WriteString(text[done:])
	return b.String(), true
}

// memberAt reads .name or ["name"] from the token at i on; "" is neither.
func memberAt(tokens []token, i int) (name string, next int) {
	switch {
	case textAt(tokens, i) == "." && textAt(tokens, i+2) != "(":
		return textAt(tokens, i+1), i + 2
	case textAt(tokens, i) == "[" && strings.HasPrefix(textAt(tokens, i+1), `"`) && textAt(tokens, i+2) == "]":
		return textAt(tokens, i+1)[1:], i + 3
	}
	return "", i
}

// flatPlan is planOf for a text that was flattened.
func flatPlan(uses *usage) plan {
	p := planOf(uses)
	var flat plan
	for _, f := range p {
		if f.in == nil {
			flat = append(flat, f)
			continue
		}
		for _, inner := range f.in {
			inner.name = f.name + flatSeparator + inner.name
			flat = append(flat, inner)
		}
	}
	return flat
}
