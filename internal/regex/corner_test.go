package regex

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// Corners of RE2's syntax, each held against Go's package: which match of several
// is taken, what empty matches are, what groups keep, and what is refused.
func TestCorners(t *testing.T) {
	for _, c := range []struct{ pattern, text string }{
		{"a|ab", "ab"},
		{"ab|a", "ab"},
		{"(a|ab)(c|bcd)(d*)", "abcd"},
		{"(a+|b+)*c", "aabbc"},
		{"(a*)+", "b"},
		{"(a*)*", "b"},
		{"(a|b*)*", "ab"},
		{"(?:(a)|b)*", "ab"},
		{"(a)|(b)", "b"},
		{"(|a)*", "aa"},
		{"(|a)+", "aa"},
		{"(a|)+", "aa"},
		{"a*?", "aaa"},
		{"a+?", "aaa"},
		{"a??b", "ab"},
		{"(a*?)(a*)", "aaa"},
		{"(?U)a+", "aaa"},
		{"(?U)a+?", "aaa"},
		{"a{0}", "a"},
		{"a{0,0}b", "ab"},
		{"(a){0}b", "ab"},
		{"a{2}", "aaaaa"},
		{"a{2,}", "aaaaa"},
		{"a{2,3}", "aaaaaaa"},
		{"a{,2}", "a{,2}"},
		{"x{1000}", "x"},
		{"x{1001}", "x"},
		{"(x{30}){33}", "x"},
		{"(x{30}){34}", "x"},
		{"((x{10}){10}){11}", "x"},
		{"(x{0}){1000}{1}", "x"},
		{"a**", "a"},
		{"a*+", "a"},
		{"a{1}{2}", "a"},
		{"(a*)*", "a"},
		{"a(?i)*", "aA"},
		{"(?i)*", ""},
		{"a*(?i)*", "aA"},
		{"^*", "a"},
		{"$+", "a"},
		{`\b?`, "a"},
		{"|", "a"},
		{"a||b", "b"},
		{"()", "a"},
		{"(|)", ""},
		{"*", ""},
		{"a|*", ""},
		{"(*)", ""},
		{"(", ""},
		{")", ""},
		{"(a", ""},
		{"a)", ""},
		{"((a)", ""},
		{"(?)", "a"},
		{"(?:)", "a"},
		{"(?-:a)", ""},
		{"(?i", ""},
		{"^a|b$", "ab"},
		{"(?m)^a$", "b\na\nb"},
		{"(?m)^$", "\n\n"},
		{"(?m)$", "a\n"},
		{"$", "a\n"},
		{`\A`, "\na"},
		{`(?m)\A.`, "\na"},
		{`a\z`, "a\na"},
		{`\Z`, ""},
		{".", "\n"},
		{"(?s).", "\n"},
		{"(?s:.).", "\n\na"},
		{"(?s)(?-s).", "\n"},
		{`\bfoo\b`, "foo_ foo éfoo"},
		{`\B`, "ab c"},
		{`\b`, ""},
		{`\B`, ""},
		{`(?i)\bK`, "\u212a k"},
		{`\w+`, "aé_1"},
		{`\d`, "１1"},
		{`\s`, "\v\t\u00a0"},
		{`[[:space:]]`, "\v\t\u00a0"},
		{`[^\s]`, "\v \n"},
		{`[[:^space:]]`, "a "},
		{`[[:word:]-]+`, "a-b c"},
		{"(?i)ß", "ẞß"},
		{"(?i)s", "ſS"},
		{"(?i)ſ", "sS"},
		{"(?i)[k-l]", "K\u212aL"},
		{"(?i)[^k]", "K\u212aL"},
		{`(?i)\W`, "\u212aſk"},
		{`(?i)[\W]`, "\u212a"},
		{`(?i)[^\W]`, "\u212a"},
		{`(?i)[[:upper:]]`, "aſ\u212a"},
		{"(?i)ǆ", "Ǆǅ"},
		{"(?i)σ", "ςΣ"},
		{"(?i:a)b", "AB"},
		{"((?i)a)b", "AbAB"},
		{"(?i)a|b", "B"},
		{"[]]", "]"},
		{"[^]]", "]a"},
		{"[]-a]+", "]^_`ab"},
		{"[a-]", "-"},
		{"[-a]", "-"},
		{"[a-b-c]", "b-c"},
		{`[\]]`, "]"},
		{`[\-a]`, "-"},
		{`[a\-c]`, "b-"},
		{"[", ""},
		{"[]", ""},
		{"[^]", ""},
		{"[a", ""},
		{"[z-a]", ""},
		{`[a-\d]`, ""},
		{`[\d-a]`, "-"},
		{"[[:foo:]]", ""},
		{"[[:alpha:]", ""},
		{"[[:alpha]", "["},
		{"[[a]]", "[]"},
		{"[[:]", ":"},
		{`[^\x00-\x{10FFFF}]`, "a"},
		{"[^\\n]", "\n"},
		{`\x41\x{1F600}\101\0\07\a\f\n\r\t\v`, "A😀A\x00\x07\a\f\n\r\t\v"},
		{`\x`, ""},
		{`\x4`, ""},
		{`\x{}`, ""},
		{`\x{110000}`, ""},
		{`\x{D800}`, "\uFFFD"},
		{`\x{00000000041}`, "A"},
		{`\8`, ""},
		{`\1`, ""},
		{`\12`, "\n"},
		{`\1234`, "S4"},
		{`\é`, ""},
		{`\_\-\ `, "_- "},
		{`\q`, ""},
		{`\C`, ""},
		{`\`, ""},
		{`a\`, ""},
		{`\Q.*\E+`, ".***"},
		{`\Qa`, "a"},
		{`\Q\E`, "a"},
		{`a\Q\E*`, "aa"},
		{`\E`, ""},
		{`\Q\\E`, `\`},
		{`\Q|)\E`, "|)"},
		{"(?P<a>a)(?P<a>b)", "ab"},
		{"(?<n>a)", "a"},
		{"(?P<>a)", ""},
		{"(?P<n", ""},
		{"(?P<é>a)", ""},
		{"(?'n'a)", ""},
		{"(?=a)", ""},
		{"(?P=n)", ""},
		{"(?i)(?P<n>a)", "A"},
		{"(?P>n)", ""},
		{"a\xff", ""},
		{"\xff", ""},
		{".", "\xff\xe6\x97"},
		{"\uFFFD", "\xff"},
		{"[^a]", "\xff"},
		{"é", "\xc3"},
		{"", "日本\xff"},
		{`\b`, "日a本"},
		{"日*", "日日本"},
		{`\pL+`, "aé1"},
		{`\PL`, "a1"},
		{`\p{Lu}\p{^Lu}`, "Aa"},
		{`[\p{Nd}\pP]+`, "1.２a"},
		{`(?i)\p{Lu}`, "aAǅ"},
		{`(?i)\P{Ll}`, "aA1"},
		{`\p`, ""},
		{`\p{`, ""},
		{`\p{L`, ""},
		{`\p{}`, ""},
		{`\pLu`, "Lu"},
		{"a{", "a{"},
		{"a{1", "a{1"},
		{"a{1,", "a{1,"},
		{"a{1,2", "a{1,2"},
		{"a{01}", "a{01}"},
		{"a{-1}", "a{-1}"},
		{"a{1,1000000000000}", ""},
		{"a{99999999999999999999}", ""},
		{"a{3,2}", ""},
		{"{", "{"},
		{"{1}", "{1}"},
		{"({1})", ""},
		{"a|{1}", ""},
		{"a{1}?", "a"},
		{"a{0,1}?", "a"},
		{"(?:a{2,}?)b", "aaab"},
	} {
		for _, template := range []string{"<$0|$1|$2|$n>", "${a}$a$1x"} {
			compare(t, c.pattern, c.text, template, -1)
		}
	}
}

// What only Go's package does is refused, not done in another way.
func TestBeyond(t *testing.T) {
	for pattern, want := range map[string]error{
		`\p{Greek}`: ErrSyntax, `\p{Any}`: ErrSyntax, `[\p{Lt}]`: ErrSyntax, `\p{Letter}`: ErrSyntax, `\p{lu}`: ErrSyntax, `\pC`: ErrSyntax,
		strings.Repeat("a", MaxPattern+1):                                 ErrLarge,
		strings.Repeat("(", MaxDepth+1) + strings.Repeat(")", MaxDepth+1): ErrSyntax,
		strings.Repeat("[ab]{1000}", 11):                                  ErrLarge,
		"((a{9}){9}){9}" + strings.Repeat("(((bcdefghijk){9}){9}){9}", 2): ErrLarge,
	} {
		if _, err := regexp.Compile(pattern); err != nil {
			t.Errorf("%.40q is nothing to Go either: %v", pattern, err)
		}
		if re, err := Compile(pattern); re != nil || !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", pattern, err, want)
		}
	}
	for _, pattern := range []string{strings.Repeat("a", MaxProgram-1), strings.Repeat("(", MaxDepth) + strings.Repeat(")", MaxDepth)} {
		if _, err := Compile(pattern); err != nil {
			t.Errorf("%.40q: %v", pattern, err)
		}
	}
}

func steps(t *testing.T, pattern, text string) int {
	t.Helper()
	re, err := Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	s := re.Search(text)
	for s.Next() {
		if s.End > s.Start {
			break // each further match is a search of its own
		}
	}
	if s.Err() != nil {
		t.Fatalf("%q: %v", pattern, s.Err())
	}
	return MaxSteps - s.steps
}

// A search takes at most so many steps for each rune as the program has
// instructions, whatever the pattern: patterns on which engines that go back
// take exponential time.
func TestLinear(t *testing.T) {
	for _, pattern := range []string{"(a*)*b", "(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)(.*)(.*)(.*)b", "a?a?a?a?a?a?a?a?a?a?aaaaaaaaaab", "(a{1,20}){1,20}b", "(?:a?){60}a{60}b", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"} {
		re, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{100, 1000, 5000} {
			text := strings.Repeat("a", n)
			// One for what is added and two for what is moved, by rune and instruction.
			if got, most := steps(t, pattern, text), 3*(n+2)*len(re.program); got > most {
				t.Errorf("%q takes %d steps for %d bytes, above %d", pattern, got, n, most)
			}
		}
		if short, long := steps(t, pattern, strings.Repeat("a", 1000)), steps(t, pattern, strings.Repeat("a", 2000)); long > 2*short+short/8 {
			t.Errorf("%q takes %d steps for a text and %d for one that is twice as long", pattern, short, long)
		}
	}
}

// A search that takes too long, or a result that is too large, is an error.
func TestGivesUp(t *testing.T) {
	for _, c := range []struct {
		pattern, text, template string
		want                    error
	}{
		{"(a{1,30}){1,30}b", strings.Repeat("a", 40_000), "", ErrSteps},
		{"a*b|a", strings.Repeat("a", 10_000), "", ErrSteps}, // each match looks at all that is left
		{"a", strings.Repeat("a", 3000), strings.Repeat("b", 1000), ErrLarge},
		{"(a*)", strings.Repeat("a", 3000), strings.Repeat("$1", 1000), ErrLarge},
		{strings.Repeat("()", 200) + "a{1000}", "a", "$1", ErrSteps}, // too many groups for as many threads
	} {
		re, err := Compile(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		s := re.Search(c.text)
		s.Replace(c.template)
		if !errors.Is(s.Err(), c.want) {
			t.Errorf("%.40q: %v, want %v", c.pattern, s.Err(), c.want)
		}
	}
	if s := new(Search); s.Next() || s.Replace("a") != "" || s.Err() != nil {
		t.Error("the zero search finds something")
	}
}

func FuzzLikeGo(f *testing.F) {
	for _, s := range []string{"(a|ab)(c|bcd)*", `(?i)[^\W_]+?\b`, "(?P<n>a{2,3})|$", `\Qa.\E|[[:^alpha:]\x{e9}]`} {
		f.Add(s, "abcd Éa.\n", "<$1${n}>")
	}
	f.Fuzz(func(t *testing.T, pattern, text, template string) {
		if len(pattern) > 200 || len(text) > 200 || len(template) > 200 {
			return
		}
		compare(t, pattern, text, template, -1)
	})
}
