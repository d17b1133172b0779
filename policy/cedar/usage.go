package cedar

import "strings"

// usage is the tree of context attributes that a policy's text can touch; nil
// means all. Building only those keeps a decision cheap: a policy that reads
// one score needs no record of sixty.
type usage struct {
	members map[string]*usage
	dotted  bool // one of the members is a flat name such as "subject.user"
}

// flat reports whether the flat names are used.
func (u *usage) flat() bool { return u == nil || u.dotted }

// wants returns what is used below a member, and whether it is used at all.
func (u *usage) wants(name string) (below *usage, used bool) {
	if u == nil {
		return nil, true
	}
	below, used = u.members[name]
	return below, used
}

// usageOf reads a policy's text. Wherever "context" is used in a way that it
// doesn't see through, it answers nil, everything.
func usageOf(text string) *usage { return usageOfTokens(tokenize(text)) }

func usageOfTokens(tokens []token) *usage {
	root := &usage{members: make(map[string]*usage)}
	for i := range tokens {
		if !isContext(tokens, i) {
			continue
		}
		path := pathAt(tokens, i+1)
		if len(path) == 0 {
			return nil
		}
		root.mark(path)
	}
	return root
}

// isContext reports whether a token is the variable, or at least may be.
func isContext(tokens []token, i int) bool {
	return tokens[i].text == "context" && (i == 0 || tokens[i-1].text != ".")
}

func (u *usage) mark(path []step) {
	name := path[0].name
	u.dotted = u.dotted || strings.Contains(name, ".")
	below, seen := u.members[name]
	switch {
	case len(path) == 1:
		u.members[name] = nil // all of it
	case seen && below == nil: // all of it already
	default:
		if !seen {
			below = &usage{members: make(map[string]*usage)}
			u.members[name] = below
		}
		below.mark(path[1:])
	}
}

// step is one name of a path: .name, ["name"], or in has name.
type step struct {
	name string
	has  bool
	next int // the token behind it
}

// pathAt reads .name, ["name"] and has name from the token at i on.
func pathAt(tokens []token, i int) (path []step) {
	at := func(n int) string { return textAt(tokens, n) }
	for {
		switch {
		case at(i) == "." && at(i+2) == "(": // a method of what was read so far
			return path
		case at(i) == ".":
			path = append(path, step{name: at(i + 1), next: i + 2})
			i += 2
		case at(i) == "[" && strings.HasPrefix(at(i+1), `"`) && at(i+2) == "]":
			path = append(path, step{name: at(i + 1)[1:], next: i + 3})
			i += 3
		case at(i) == "has" && at(i+1) == "\\": // a name that needs unescaping
			return path
		case at(i) == "has":
			path = append(path, step{strings.TrimPrefix(at(i+1), `"`), true, i + 2})
			for i += 2; at(i) == "."; i += 2 {
				path = append(path, step{at(i + 1), true, i + 2})
			}
			return path
		default:
			return path
		}
	}
}

func textAt(tokens []token, n int) string {
	if n < len(tokens) {
		return tokens[n].text
	}
	return ""
}

// token is a word, a single other byte, or a string, of which it keeps the
// opening quote; from and to are where it stands in the text.
type token struct {
	text     string
	from, to int
}

// tokenize splits Cedar text into words, single other bytes, and strings, of
// which it keeps the opening quote. A string with an escape becomes a lone
// quote that equals no name, and a path through one is cut short there.
func tokenize(text string) (tokens []token) {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case strings.HasPrefix(text[i:], "//"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return tokens
			}
			i += end
		case c == '"':
			end := stringEnd(text, i+1)
			word := text[i:end]
			if strings.IndexByte(word, '\\') >= 0 {
				word = "\\"
			}
			tokens = append(tokens, token{word, i, min(end+1, len(text))})
			i = end + 1
		case wordByte(c):
			start := i
			for i < len(text) && wordByte(text[i]) {
				i++
			}
			tokens = append(tokens, token{text[start:i], start, i})
		default:
			tokens = append(tokens, token{text[i : i+1], i, i + 1})
			i++
		}
	}
	return tokens
}

// stringEnd returns the index of the closing quote, or the text's end.
func stringEnd(text string, i int) int {
	for i < len(text) && text[i] != '"' {
		if text[i] == '\\' {
			i++
		}
		i++
	}
	return min(i, len(text))
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}
