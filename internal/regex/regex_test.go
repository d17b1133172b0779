package regex

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
)

// pieces that patterns are made of, besides what makes a tree.
var atoms = []string{
	"a", "b", "ab", "k", "K", "s", "é", "É", "ſ", "日", ".", "^", "$", `\A`, `\z`, `\b`, `\B`, `\d`, `\D`, `\w`, `\W`, `\s`, `\S`, "[ab]", "[^a]", "[^ab\\n]", "[a-c]",
	"[]a]", "[^]a]", "[a-]", "[-a]", "[[:alpha:]]", "[[:^digit:]b]", "[[:word:]]", `[\w.]`, `[\W]`, `[^\W]`, `[\d-z]`, `\n`, `\.`, `\x61`, `\x{e9}`, `\141`, `\0`, `\Qa.b\E`, `\Q\E`, `\Q`,
	`\pL`, `\PL`, `\p{Lu}`, `[\p{Ll}\d]`, `\p{^N}`, "(?i)", "(?s)", "(?m)", "(?U)", "(?-i)", "(?i-s)", "{", "{,2}", "{1", "}", "]", " ", "_", "\\_", "-", "", "()", "(?:)", "|", "\u212a", "\uFFFD",
	// Not valid, most of them.
	`\8`, `\C`, `\pX`, `\`, "(?P<n>", "(", ")", "(?", "[", "[b-a]", "[[:x:]]", "*", "a**", "a{2,1}", "a{1001}", `\x{110000}`, "(?-)", "\xff", `[\8]`, `\E`,
}

var repeats = []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,}", "{2,3}?", "{0}", "{,2}", "{0,1}"}

func pattern(r *rand.Rand, depth int) string {
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	if depth == 0 {
		if r.IntN(8) > 0 {
			return atoms[r.IntN(66)]
		}
		return pick(atoms)
	}
	switch r.IntN(9) {
	case 0, 1:
		return pattern(r, depth-1) + pick(repeats)
	case 2:
		return "(" + pattern(r, depth-1) + ")" + pick(repeats)
	case 3:
		return "(?:" + pattern(r, depth-1) + ")" + pick(repeats)
	case 4:
		return "(?P<n" + string(rune('a'+r.IntN(3))) + ">" + pattern(r, depth-1) + ")"
	case 5:
		return pattern(r, depth-1) + "|" + pattern(r, depth-1)
	case 6:
		return "(?i:" + pattern(r, depth-1) + ")"
	}
	return pattern(r, depth-1) + pattern(r, depth-1)
}

func text(r *rand.Rand) string {
	letters := []string{"a", "b", "ab", "A", "k", "K", "\u212a", "s", "ſ", "é", "É", "日", "\n", " ", "0", "_", ".", "-", "z", "\xff", "\xe6\x97", "\uFFFD", "ǅ"}
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteString(letters[r.IntN(len(letters))])
	}
	return b.String()
}

var templates = []string{"", "x", "$0", "<$1>", "${1}a", "$1a", "$na${nb}", "$$", "$", "${", "${x", "$2$01", "é$日x", "$1$2$3$n", "a$", "$10", "${0}$"}

// goReplace is what OPA does with Go's package.
func goReplace(re *regexp.Regexp, text, template string) string {
	var out []byte
	done := 0
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		out = append(out, text[done:m[0]]...)
		out = re.ExpandString(out, template, text, m)
		done = m[1]
	}
	return string(append(out, text[done:]...))
}

// compare holds one pattern against Go's package over a text, and reports
// whether the pattern compiles.
func compare(t *testing.T, pattern, text, template string, n int) bool {
	t.Helper()
	want, wantErr := regexp.Compile(pattern)
	got, err := Compile(pattern)
	if err != nil {
		if wantErr == nil && !limited(pattern) {
			t.Fatalf("%q is refused: %v", pattern, err)
		}
		return false
	}
	if wantErr != nil {
		t.Fatalf("%q is taken, Go says %v", pattern, wantErr)
	}
	found, err := find(got, text, n)
	if other := want.FindAllStringIndex(text, n); err != nil || !slices.EqualFunc(found, other, slices.Equal) {
		t.Fatalf("%q finds %d in %q: %v %v, Go %v", pattern, n, text, found, err, other)
	}
	s := got.Search(text)
	replaced := s.Replace(template)
	if other := goReplace(want, text, template); s.Err() != nil || replaced != other {
		t.Fatalf("%q replaces in %q by %q: %q %v, Go %q", pattern, text, template, replaced, s.Err(), other)
	}
	return true
}

// find returns the first n matches, all if n is below 0.
func find(re *Regexp, text string, n int) (list [][]int, err error) {
	s := re.Search(text)
	for len(list) != n && s.Next() {
		list = append(list, []int{s.Start, s.End})
	}
	return list, s.Err()
}

// limited reports whether the pattern has what only Go's package does.
func limited(pattern string) bool {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false
	}
	program, err := syntax.Compile(tree.Simplify())
	return err != nil || len(program.Inst) > MaxProgram/2 || len(pattern) > MaxPattern || strings.Count(pattern, "(") > MaxDepth || strings.Contains(pattern, `\p`) || strings.Contains(pattern, `\P`)
}

func TestLikeGo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pairs := 0
	for range 35_000 {
		p := pattern(r, r.IntN(5))
		for range 4 {
			if !compare(t, p, text(r), templates[r.IntN(len(templates))], r.IntN(5)-1) {
				break
			}
			pairs++
		}
	}
	t.Logf("%d pairs of a pattern and a text", pairs)
	if pairs < 100_000 {
		t.Errorf("only %d pairs", pairs)
	}
}
