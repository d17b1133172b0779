package kest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kest.example/kest"
)

func TestTrust(t *testing.T) { // F-TS-02, F-TS-05
	for _, c := range []struct {
		evaluator kest.TrustEvaluator
		self      int
		parents   []int
		want      int
	}{
		{kest.DefaultTrust{}, 100, []int{10}, 10}, // TC-04
		{kest.DefaultTrust{}, 90, []int{37, 80}, 33},
		{kest.DefaultTrust{}, 0, []int{100}, 0},
		{kest.DefaultTrust{}, 100, []int{0, 100}, 0},
		{kest.DefaultTrust{}, 60, nil, 60},
		{kest.DefaultTrust{}, 200, []int{50}, 50},
		{kest.DefaultTrust{}, -5, []int{50}, 0},
		{kest.DefaultTrust{}, 99, []int{1}, 0},
		{kest.WeightedTrust{Weight: 100}, 50, []int{80}, 40},
		{kest.WeightedTrust{Weight: 50}, 50, []int{80}, 60},
		{kest.WeightedTrust{Weight: 0}, 50, []int{80}, 80},
		{kest.WeightedTrust{Weight: 500}, 50, []int{80}, 40},
		{kest.WeightedTrust{Weight: -1}, 0, []int{80, 70}, 70},
	} {
		if got := c.evaluator.Calculate(c.self, c.parents); got != c.want {
			t.Errorf("%T%+v of %d and %v is %d, want %d", c.evaluator, c.evaluator, c.self, c.parents, got, c.want)
		}
	}
}

func TestWeightedTrustNeverRaises(t *testing.T) {
	for range 10000 {
		parents := []int{rand.IntN(101), rand.IntN(101)}
		w := kest.WeightedTrust{Weight: rand.IntN(101)}
		if got := w.Calculate(rand.IntN(101), parents); got > slices.Min(parents) || got < 0 {
			t.Fatalf("%+v of %v gives %d", w, parents, got)
		}
	}
}

// An evaluator of somebody's own can't raise trust above the parents: every
// verifier would refuse the entry.
func TestTrustOfAnEvaluatorIsBounded(t *testing.T) {
	f := newFleet(t)
	root := f.operation(f.hook(edge, kest.AllowAll()), kest.Hop{Operation: "in", RootOrigin: "internet"})
	generous := f.operation(f.hook(worker, kest.AllowAll(), kest.WithTrustEvaluator(constantTrust(1000))), kest.Hop{Operation: "step"})
	negative := f.operation(f.hook(worker, kest.AllowAll(), kest.WithTrustEvaluator(constantTrust(-1))), kest.Hop{Operation: "step"})
	l := f.must(context.Background(), root)
	for o, want := range map[*kest.Operation]int{generous: 10, negative: 0} {
		after := f.must(kest.WithLineage(context.Background(), l, kest.Actor{}), o)
		if got := after.Trust(); got != want {
			t.Errorf("trust %d, want %d", got, want)
		}
		if _, err := f.verifier(nil).Verify(context.Background(), after.Passport()); err != nil {
			t.Error(err)
		}
	}
}

type constantTrust int

func (c constantTrust) Calculate(int, []int) int { return int(c) }

func TestOrigins(t *testing.T) { // F-TS-01
	o, err := kest.NewOrigins(map[string]int{"partner": 70, "zero": 0})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"system": 100, "internal": 100, "verified_rag": 90, "third_party_api": 60, "user_input": 40, "internet": 10, "llm": 0, "partner": 70, "zero": 0,
	} {
		if got, known := o.Score(name); !known || got != want {
			t.Errorf("%s scores %d, %v; want %d", name, got, known, want)
		}
	}
	for _, name := range []string{"", "mars", "System", "internal "} {
		if _, known := o.Score(name); known {
			t.Errorf("%q is known", name)
		}
	}
	for name, extra := range map[string]map[string]int{
		"overridden": {"internet": 100}, "the same": {"internet": 10}, "too high": {"x": 101}, "negative": {"x": -1}, "no name": {"": 1},
	} {
		if _, err := kest.NewOrigins(extra); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mine := map[string]int{"partner": 70}
	o, err = kest.NewOrigins(mine)
	mine["partner"] = 100
	if got, _ := o.Score("partner"); err != nil || got != 70 {
		t.Errorf("a caller changed a score to %d", got)
	}
}

func TestRegisteredOrigins(t *testing.T) {
	f := newFleet(t)
	origins, err := kest.NewOrigins(map[string]int{"partner": 70})
	if err != nil {
		t.Fatal(err)
	}
	o := f.operation(f.hook(edge, kest.AllowAll(), kest.WithHookOrigins(origins)), kest.Hop{Operation: "in", RootOrigin: "partner"})
	p := f.must(context.Background(), o).Passport()
	if _, err := f.verifier(nil, kest.WithOrigins(origins)).Verify(context.Background(), p); err != nil {
		t.Error(err)
	}
	if _, err := f.verifier(nil).Verify(context.Background(), p); reasonOf(err) != kest.ReasonTrust {
		t.Errorf("who doesn't know the origin: %v", err) // there it scores 10
	}
}

func TestTaints(t *testing.T) { // F-TT-04
	for _, c := range []struct {
		parents        [][]string
		added, removed []string
		want           string
	}{
		{[][]string{{"a", "b"}}, []string{"c"}, []string{"b"}, "a c"}, // TC-06
		{nil, nil, nil, ""},
		{nil, []string{"b", "a", "b"}, nil, "a b"},
		{[][]string{{"b"}, {"a", "b"}}, nil, nil, "a b"},
		{[][]string{{"a"}}, []string{"a"}, []string{"a"}, ""},
		{[][]string{{"a"}}, nil, []string{"x"}, "a"},
		{[][]string{{"\U0001F600", "\uFFFD"}}, nil, nil, "\uFFFD \U0001F600"}, // by code point, not by UTF-16
	} {
		if got := strings.Join(kest.Taints(c.parents, c.added, c.removed), " "); got != c.want {
			t.Errorf("%+v gives %q", c, got)
		}
	}
	parent := []string{"b", "a"}
	kest.Taints([][]string{parent}, nil, []string{"a"})
	if parent[0] != "b" || parent[1] != "a" {
		t.Error("a parent's taints were changed")
	}
}

func TestTaintLabels(t *testing.T) { // POLICY.md: subject.labels
	labels := kest.TaintLabels([]string{"pii", "region=eu", "region=us", "=x", "a=", "k=v=w"})
	want := map[string]string{"region": "eu us", "a": "", "k": "v=w"}
	if labels.Len() != len(want) {
		t.Errorf("%d labels", labels.Len())
	}
	for key, values := range want {
		got, ok := labels.Get(key).Strings()
		if !ok || strings.Join(got, " ") != values {
			t.Errorf("%s has %q", key, got)
		}
	}
}

func TestPattern(t *testing.T) { // CONTRACT 3.7
	for _, c := range []struct {
		pattern kest.Pattern
		text    string
		want    bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "ab", false},
		{"ab", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"*", "a/b", false},
		{"**", "", true},
		{"**", "a/b/c", true},
		{"***", "a/b", true},
		{"spiffe://t/gw/*", "spiffe://t/gw/a", true},
		{"spiffe://t/gw/*", "spiffe://t/gw/", true},
		{"spiffe://t/gw/*", "spiffe://t/gw", false},
		{"spiffe://t/gw/*", "spiffe://t/gw/a/b", false},
		{"spiffe://t/gw/**", "spiffe://t/gw/a/b", true},
		{"spiffe://t/**/x", "spiffe://t/a/b/x", true},
		{"spiffe://t/**/x", "spiffe://t/x", false},
		{"spiffe://*/x", "spiffe://t/x", true},
		{"spiffe://*/x", "spiffe://t/u/x", false},
		{"*.example.org", "a.example.org", true},
		{"*.example.org", "a.b.example.org", true},
		{"*.example.org", "example.org", false},
		{"*.example.org", ".example.org", true},
		{"a*c*e", "abcde", true},
		{"a*c*e", "ace", true},
		{"a*c*e", "aec", false},
		{"*a*b", "xaab/b", false},
		{"**a*b", "x/aab", true},
		{"A", "a", false},
		{"?", "a", false},
		{"[a]", "a", false},
		{"a.c", "abc", false},
		{"**b**", "a/b/c", true},
		{"**/*/x", "a/b/x", true},
		{"*/**", "a", false},
		{"pii", "pii", true},
		{"p*", "pii", true},
	} {
		if got := c.pattern.Match(c.text); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.text, got)
		}
	}
}

// A pattern means what the regular expression means that it reads as.
func TestPatternAgainstRegularExpressions(t *testing.T) {
	pick := func(from string, n int) string {
		var b strings.Builder
		for range rand.IntN(n) {
			b.WriteByte(from[rand.IntN(len(from))])
		}
		return b.String()
	}
	for range 100000 {
		pattern, text := pick("ab/**", 9), pick("aab/", 9)
		var expression strings.Builder
		for rest := pattern; rest != ""; {
			switch {
			case strings.HasPrefix(rest, "**"):
				expression.WriteString("(?s:.*)")
				rest = rest[2:]
			case rest[0] == '*':
				expression.WriteString("[^/]*")
				rest = rest[1:]
			default:
				expression.WriteString(regexp.QuoteMeta(rest[:1]))
				rest = rest[1:]
			}
		}
		want := regexp.MustCompile("^(?:" + expression.String() + ")$").MatchString(text)
		if got := kest.Pattern(pattern).Match(text); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, text, got, want)
		}
	}
}

// A pattern that was made to be slow is not.
func TestPatternIsNotExponential(t *testing.T) {
	pattern := kest.Pattern(strings.Repeat("*a", 200) + "**" + strings.Repeat("*a", 200) + "b")
	if pattern.Match(strings.Repeat("a", 5000)) {
		t.Error("it matched")
	}
}
