package proxywasm_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"kest.example/kest/plugin/proxywasm"
)

func TestPairsLayout(t *testing.T) {
	got := proxywasm.AppendPairs(nil, []proxywasm.Pair{{Name: "a", Value: "1"}, {Name: "b", Value: "22"}})
	want := []byte{
		2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
		'a', 0, '1', 0, 'b', 0, '2', '2', 0,
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestParsePairs(t *testing.T) {
	good := proxywasm.AppendPairs(nil, []proxywasm.Pair{{Name: "baggage", Value: "x"}, {Name: "baggage"}, {Name: "", Value: "v"}})
	pairs, err := proxywasm.ParsePairs(good)
	if err != nil || !slices.Equal(pairs, []proxywasm.Pair{{Name: "baggage", Value: "x"}, {Name: "baggage"}, {Name: "", Value: "v"}}) {
		t.Fatal(pairs, err)
	}
	for _, empty := range [][]byte{nil, {0}, {0, 0, 0, 0}} {
		if pairs, err := proxywasm.ParsePairs(empty); err != nil || len(pairs) != 0 {
			t.Errorf("%v: %v %v", empty, pairs, err)
		}
	}
}

func TestParsePairsRefuses(t *testing.T) {
	one := proxywasm.AppendPairs(nil, []proxywasm.Pair{{Name: "ab", Value: "c"}})
	change := func(at int, to byte) []byte {
		b := bytes.Clone(one)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"a lone byte":             {1},
		"three bytes":             {0, 0, 0},
		"a count without sizes":   {1, 0, 0, 0},
		"a huge count":            {255, 255, 255, 255},
		"bytes behind a zero":     {0, 0, 0, 0, 0},
		"too many":                change(0, 2),
		"too few":                 change(0, 0),
		"a long name":             change(4, 3),
		"a short name":            change(4, 1),
		"a name of 4 GiB":         append([]byte{1, 0, 0, 0, 255, 255, 255, 255}, one[8:]...),
		"no NUL behind the name":  change(14, 'x'),
		"no NUL behind the value": change(16, 'x'),
		"a NUL in the name":       change(12, 0),
		"trailing":                append(bytes.Clone(one), 0),
		"cut":                     one[:len(one)-1],
		"over 1 MiB":              proxywasm.AppendPairs(nil, []proxywasm.Pair{{Name: "a", Value: string(make([]byte, 1<<20))}}),
		"over 1024 pairs":         proxywasm.AppendPairs(nil, make([]proxywasm.Pair, 1025)),
	} {
		if pairs, err := proxywasm.ParsePairs(b); !errors.Is(err, proxywasm.ErrPairs) || pairs != nil {
			t.Errorf("%s: %v %v", name, pairs, err)
		}
	}
}

func FuzzPairs(f *testing.F) {
	f.Add([]byte{0})
	f.Add(proxywasm.AppendPairs(nil, []proxywasm.Pair{{Name: ":path", Value: "/"}, {Name: "x"}, {}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		pairs, err := proxywasm.ParsePairs(b)
		if err != nil {
			return
		}
		if len(pairs) == 0 {
			if len(bytes.Trim(b, "\x00")) > 0 {
				t.Fatalf("%v read as empty", b)
			}
			return
		}
		if again := proxywasm.AppendPairs(nil, pairs); !bytes.Equal(again, b) {
			t.Fatalf("%v became %v", b, again)
		}
	})
}

func TestPath(t *testing.T) {
	if got := proxywasm.JoinPath("connection", "mtls"); got != "connection\x00mtls" {
		t.Errorf("%q", got)
	}
	for _, path := range [][]string{nil, {""}, {"a", ""}, {"a\x00b"}} {
		if got := proxywasm.JoinPath(path...); got != "" {
			t.Errorf("%q became %q", path, got)
		}
	}
	for _, b := range []string{"", "\x00", "\x00a", "a\x00\x00", "a\x00\x00b"} {
		if path, err := proxywasm.ParsePath([]byte(b)); !errors.Is(err, proxywasm.ErrPath) {
			t.Errorf("%q became %q", b, path)
		}
	}
}

func FuzzPath(f *testing.F) {
	f.Add("request\x00path")
	f.Add("a\x00")
	f.Fuzz(func(t *testing.T, b string) {
		path, err := proxywasm.ParsePath([]byte(b))
		if err != nil {
			return
		}
		if again := proxywasm.JoinPath(path...); again != b && again+"\x00" != b {
			t.Fatalf("%q became %q", b, again)
		}
	})
}

func BenchmarkParsePairs(b *testing.B) {
	pairs := make([]proxywasm.Pair, 15)
	for i := range pairs {
		pairs[i] = proxywasm.Pair{Name: "x-header", Value: "some value of a header"}
	}
	data := proxywasm.AppendPairs(nil, pairs)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := proxywasm.ParsePairs(data); err != nil {
			b.Fatal(err)
		}
	}
}
