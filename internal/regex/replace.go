package regex

import (
	"strings"
	"unicode"
)

// Replace returns the text with the template in place of each match. In the
// template $1, $name, ${1} and ${name} stand for what a group has matched, and $$
// for a dollar. It must come before Next, and Err must be asked behind it.
func (s *Search) Replace(template string) string {
	if s.re != nil && strings.Contains(template, "$") {
		s.keep(len(s.re.names))
	}
	for s.Next() {
		s.copy(s.done, s.Start)
		s.expand(template)
		s.done = s.End
	}
	s.copy(s.done, len(s.text))
	return string(s.out)
}

// copy adds a part of the text to the output, unless that is too large already.
//
//go:noinline
func (s *Search) copy(start, end int) { s.write(s.text[start:end]) }

//go:noinline
func (s *Search) write(text string) {
	if len(s.out) <= MaxOutput {
		s.out = append(s.out, text...)
	}
}

// expand writes the template for the match at hand.
func (s *Search) expand(template string) {
	for {
		text, rest, dollar := strings.Cut(template, "$")
		s.write(text)
		if !dollar {
			return
		}
		name, behind := templateName(rest)
		if name == "" {
			// Neither a name nor a second dollar: the dollar itself.
			s.write("$")
			template = strings.TrimPrefix(rest, "$")
			continue
		}
		template = behind
		number := groupNumber(name)
		for i, known := range s.re.names {
			if start := s.found[2*i]; start >= 0 && (i == number || number < 0 && known == name) {
				s.copy(start, s.found[2*i+1])
				break
			}
		}
	}
}

// templateName reads the name behind a dollar: letters, digits and _, with or
// without braces. It is empty when there is none.
func templateName(s string) (name, rest string) {
	s, brace := strings.CutPrefix(s, "{")
	end := len(s)
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			end = i
			break
		}
	}
	name, rest = s[:end], s[end:]
	if brace {
		if rest == "" || rest[0] != '}' {
			return "", ""
		}
		rest = rest[1:]
	}
	return name, rest
}

// groupNumber is -1 for a name that is no number, as is one with a leading 0.
func groupNumber(name string) (n int) {
	if name[0] == '0' && len(name) > 1 {
		return -1
	}
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' || n >= 1e8 {
			return -1
		}
		n = n*10 + int(name[i]-'0')
	}
	return n
}
