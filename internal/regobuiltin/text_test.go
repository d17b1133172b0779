package regobuiltin

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

func parse(t testing.TB, text string) *Value {
	t.Helper()
	v, err := Parse(text)
	if err != nil {
		t.Fatalf("%.100s: %v", text, err)
	}
	return v
}

// Texts as opa_value_dump writes them come back as they are, sorted.
func TestValuesComeBack(t *testing.T) {
	for text, want := range map[string]string{
		`null`: `null`, `true`: `true`, ` false `: `false`, `""`: `""`, `[]`: `[]`, `{}`: `{}`, `set()`: `set()`,
		`{1, 2}`: `{1, 2}`, `{2,1}`: `{1, 2}`, `{{1}, set(), [], {}, "a", 0, true, null}`: `{null, true, 0, "a", [], {}, set(), {1}}`,
		`{"b": 1, "a": {2: [3], [1]: null, {1}: 4}}`:                                 `{"a": {2: [3], [1]: null, {1}: 4}, "b": 1}`,
		`[9007199254740993, 123456789012345678901234567890, 0.10, 1E+2, -0, 1e-400]`: `[9007199254740993, 123456789012345678901234567890, 0.10, 1E+2, -0, 1e-400]`,
		`"\u0000\u001f\n\"\\\/é😀\u00e9"`:                                             "\"\\u0000\\u001f\\n\\\"\\\\/é😀é\"",
	} {
		out, err := Append([]byte("x"), parse(t, text))
		if err != nil || string(out) != "x"+want {
			t.Errorf("%s: %s %v, want %s", text, out, err, want)
		}
	}
}

func TestTextsRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "nul", "truefalse", "[1,]", "[1 2]", "[", "]", "{", "{1", "{1,", "{1,}", "{1:2,}", "{1:2, 3}", "{1, 2:3}", "{:1}", "{1::2}", "set(", "set( )", "set", "{1, 1}", "{1, 1.0}", `{"a": 1, "a": 2}`, "{1: 1, 1.0: 2}",
		"01", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "--1", "1-1", "0x1", "Infinity", "NaN", "1e400", "-1e309", `"`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\ud800"`, "\"\n\"", "\"\xff\"", "\"\xe9\"", "1 2", "[1] [2]", "\x00", "null\x00",
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), `"` + strings.Repeat("a", MaxText) + `"`, "[" + strings.Repeat("1,", MaxValues) + "1]",
	} {
		if v, err := Parse(text); !errors.Is(err, ErrValue) || v != nil {
			t.Errorf("%.100q is read: %v", text, err)
		}
	}
	parse(t, strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth))
	parse(t, "["+strings.Repeat("1,", MaxValues-2)+"1]")
}

// What no policy module could read is not written.
func TestValuesNotWritten(t *testing.T) {
	deep := &Value{kind: array}
	for range MaxDepth {
		outer := &Value{kind: array}
		outer.push(deep)
		deep = outer
	}
	for _, v := range []*Value{stringValue("\xff"), stringValue(strings.Repeat("a", MaxText)), deep} {
		if out, err := Append([]byte("x"), v); !errors.Is(err, ErrValue) || string(out) != "x" {
			t.Errorf("%.20q is written: %.20s", v.text, out)
		}
	}
}

// Numbers are ordered by their value, however they are written and however many digits they have.
func TestNumbersByValue(t *testing.T) {
	list := []string{
		"-1e300", "-12345678901234567890.2", "-12345678901234567890.1", "-10", "-9", "-1.5", "-1", "-0.1", "-1e-300", "0", "1e-99999", "1e-400", "1e-399", "0.09", "0.1", "0.10000000000000000000000001", "1", "1.0000000000000001", "9", "10",
		"9007199254740992", "9007199254740993", "1e20", "100000000000000000000.5", "1e300",
	}
	for i, a := range list {
		for j, b := range list {
			if got := compare(numberValue(a), numberValue(b)); got < 0 != (i < j) || got == 0 != (i == j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for _, same := range [][]string{{"0", "-0", "0.00", "0e5", "-0e-99999999999999999999"}, {"100", "1e2", "1E+2", "100.0", "0.1e3", "1000e-1"}} {
		for _, s := range same {
			if compare(numberValue(same[0]), numberValue(s)) != 0 {
				t.Errorf("%s and %s differ", same[0], s)
			}
		}
	}
}

// Values sort as OPA's do.
func TestOrderLikeOPA(t *testing.T) {
	g := newGen(3)
	for range 20_000 {
		a, b := g.value(3), g.value(3)
		if got, want := compare(value(t, a), value(t, b)), a.Compare(b); (got < 0) != (want < 0) || (got == 0) != (want == 0) {
			t.Fatalf("%v and %v: %d, OPA %d", a, b, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) || len(names) < 20 {
		t.Errorf("%q", names)
	}
	for _, f := range functions {
		b := ast.BuiltinMap[f.name]
		if b == nil || b.Decl.Arity() != f.arity {
			t.Errorf("OPA has no %s with %d arguments", f.name, f.arity)
		}
	}
	// POLICY.md, Rego.
	for _, name := range []string{
		"sprintf", "time.now_ns", "time.parse_rfc3339_ns", "regex.replace", "regex.split", "regex.find_n", "crypto.sha256", "semver.compare", "semver.is_valid", "object.subset", "json.patch", "strings.any_prefix_match", "strings.count",
		"urlquery.decode",
	} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestCallsRefused(t *testing.T) {
	for _, c := range []struct {
		name, args string
		want       error
	}{
		{"http.send", `[{"method": "get", "url": "http://127.0.0.1"}]`, ErrUnknown},
		{"opa.runtime", `[]`, ErrUnknown},
		{"", `[]`, ErrUnknown},
		{"crypto.sha256", `[]`, ErrFailed},
		{"crypto.sha256", `["a", "b"]`, ErrFailed},
		{"crypto.sha256", `[1]`, ErrFailed},
		{"crypto.sha256", `{"a"}`, ErrValue},
		{"crypto.sha256", `["a"`, ErrValue},
		{"hex.decode", `["ff"]`, ErrValue}, // not UTF-8
		{"sprintf", `["%d", [9223372036854775808]]`, ErrFailed},
		{"time.clock", `[[0, "Europe/Oslo"]]`, ErrFailed},
		{"time.clock", `[[0, "Local"]]`, ErrFailed},
		{"time.clock", `[0.5]`, ErrFailed},
		{"time.clock", `[9223372036854775808]`, ErrFailed},
		{"semver.compare", `["1.0.0-99999999999999999998", "1.0.0-99999999999999999999"]`, ErrFailed}, // OPA does not come to an end
		{"regex.replace", `["a", "\\p{Greek}", "b"]`, ErrFailed},
		{"regex.find_n", `["(", "a", -1]`, ErrFailed},
		{"json.patch", `[{"a": 1}, [{"op": "remove", "path": ""}]]`, ErrFailed},
	} {
		if out, err := CallText(c.name, c.args, Env{}); !errors.Is(err, c.want) || out != nil {
			t.Errorf("%s%s: %s %v, want %v", c.name, c.args, out, err, c.want)
		}
	}
}

// Whatever is asked for, a call ends soon and takes a bounded amount of memory.
func TestWorkIsBounded(t *testing.T) {
	many := "[" + strings.Repeat(`"a",`, 8000) + `"b"]`
	ones := "[" + strings.Repeat("1,", 15_000) + "1]"
	row := "[" + strings.Repeat("1,", 7_000) + "2]"
	doubled := `[{"a": [1]}, [` + strings.Repeat(`{"op": "copy", "from": "", "path": "/b"},`, 40) + `{"op": "test", "path": "/c", "value": 1}]]`
	for name, args := range map[string]string{
		"strings.any_prefix_match": `[` + many + `, ` + strings.ReplaceAll(many, "a", "c")[:len(many)-3] + `"d"]]`,
		"object.subset":            `[` + ones + `, ` + row + `]`,
		"json.patch":               doubled,
		"sprintf":                  `["` + strings.Repeat("%999999d", 20) + `", [` + strings.Repeat("1,", 19) + `1]]`,
		"regex.replace":            `["` + strings.Repeat("a", 5000) + `", "a", "` + strings.Repeat("$0", 400) + `"]`,
		"regex.find_n":             `[".", "` + strings.Repeat("a", MaxValues+1) + `", -1]`,
		"regex.split":              `["(((a{1,30}){1,30})x){1}|[^a]{900}", "` + strings.Repeat("a", 20_000) + `"]`,
	} {
		if out, err := CallText(name, args, Env{}); err == nil {
			t.Errorf("%s gives %.60s", name, out)
		}
	}
	if _, err := CallText("sprintf", `["%[1]s%[1]s%*d", ["`+strings.Repeat("a", 100_000)+`", 5, 3]]`, Env{}); err != nil {
		t.Errorf("sprintf with a long argument: %v", err)
	}
}

// FuzzValue: what is read is written as text that comes back as it is, and means
// the same to OPA.
func FuzzValue(f *testing.F) {
	for _, text := range []string{`{"a": [1, 2.50, -0], 1: set(), {null}: "é\n"}`, `{{1, 2}, "\u00e9\\"}`, `[[[]], {}, true]`, `1E+10`, `"\"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		out, err := Append(nil, v)
		if err != nil {
			return // longer than it was
		}
		again := parse(t, string(out))
		if second, err := Append(nil, again); err != nil || string(second) != string(out) || compare(v, again) != 0 {
			t.Fatalf("%s comes back as %s: %v", out, second, err)
		}
		term, err := ast.ParseTerm(string(out))
		if err != nil {
			return // a number with an exponent that OPA won't take
		}
		if other := value(t, term.Value); compare(v, other) != 0 {
			t.Fatalf("%s is %v to OPA", out, term)
		}
	})
}

// FuzzCall: no call panics, whatever it is given.
func FuzzCall(f *testing.F) {
	for _, fn := range functions {
		g := newGen(1)
		for range 4 {
			f.Add(fn.name, dump(ast.NewArray(g.arguments(fn.name, fn.arity)...)))
		}
	}
	f.Fuzz(func(t *testing.T, name, args string) {
		out, err := CallText(name, args, Env{Now: now})
		if err != nil {
			return
		}
		parse(t, string(out))
	})
}
