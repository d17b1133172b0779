package kest_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"kest.example/kest"
)

func TestPassportIsImmutable(t *testing.T) { // F-PA-02
	base := kest.NewPassport("a", "b")
	left, right := base.Append("l"), base.Append("r")
	for name, c := range map[string]struct {
		p    kest.Passport
		want []string
	}{
		"base": {base, []string{"a", "b"}}, "left": {left, []string{"a", "b", "l"}}, "right": {right, []string{"a", "b", "r"}},
	} {
		if !slices.Equal(c.p.Entries(), c.want) || c.p.Len() != len(c.want) {
			t.Errorf("%s holds %v", name, c.p.Entries())
		}
	}
	list := base.Entries()
	list[0] = "changed"
	if base.Entries()[0] != "a" {
		t.Error("a caller changed the passport")
	}
}

func TestMergeKeepsTheFirst(t *testing.T) { // F-PA-06
	p := kest.NewPassport
	for name, c := range map[string]struct{ got, want kest.Passport }{
		"nothing":             {kest.Merge(), p()},
		"one":                 {kest.Merge(p("a", "b")), p("a", "b")},
		"with empty ones":     {kest.Merge(p(), p("a"), p(), p("b")), p("a", "b")},
		"a common beginning":  {kest.Merge(p("a", "b"), p("a", "c")), p("a", "b", "c")},
		"the same":            {kest.Merge(p("a", "b"), p("a", "b")), p("a", "b")},
		"order of the second": {kest.Merge(p("a"), p("c", "b", "a", "d")), p("a", "c", "b", "d")},
		"three":               {kest.Merge(p("a"), p("b", "a"), p("c", "b")), p("a", "b", "c")},
		"twice in the second": {kest.Merge(p("a"), p("b", "b")), p("a", "b")},
	} {
		if c.got.String() != c.want.String() {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

func TestPassportWireForm(t *testing.T) { // F-PA-01
	for text, want := range map[string]string{
		"[]": "[]", " [ ] ": "[]", `["a","b"]`: `["a","b"]`, `["\u0061" , "b"]`: `["a","b"]`, `["ä€"]`: `["ä€"]`, `["\"\\\n"]`: `["\"\\\n"]`,
	} {
		p, err := kest.ParsePassport(text)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "null", "{}", "[1]", "[null]", `[["a"]]`, `["a"`, `["a"]x`, `"a"`, "[,]", "\ufeff[]", "['a']"} {
		p, err := kest.ParsePassport(text)
		fault := kest.AsVerificationError(err)
		if p.Len() != 0 || fault == nil || fault.Reason != kest.ReasonMalformed || fault.Index != -1 {
			t.Errorf("%q: %v, %v", text, p.Entries(), err)
		}
	}
	if got := (kest.Passport{}).String(); got != "[]" {
		t.Errorf("the zero value is %q", got)
	}
}

// Appending is cheap, so that a branch costs what it adds.
func TestPassportOfManyBranches(t *testing.T) {
	p := kest.Passport{}
	for i := range 1000 {
		p = p.Append(strconv.Itoa(i))
	}
	if allocs := testing.AllocsPerRun(100, func() { _ = p.Append("x") }); allocs > 1 {
		t.Errorf("appending to 1000 entries allocates %v times", allocs)
	}
}

func TestParseEvidenceNamesNoIndexButZero(t *testing.T) {
	ev, err := kest.ParseEvidence("x", kest.SchemaLenient)
	var fault *kest.VerificationError
	if ev != nil || !errors.As(err, &fault) || fault.Index != 0 || fault.Reason != kest.ReasonMalformed {
		t.Errorf("%v, %v", ev, err)
	}
}
