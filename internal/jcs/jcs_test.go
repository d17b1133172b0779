package jcs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func canonical(t *testing.T, text string) string {
	t.Helper()
	v, err := ParseString(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(Append(nil, v))
}

func TestContractVectors(t *testing.T) {
	if got := canonical(t, `{"z":3,"a":1,"m":2}`); got != `{"a":1,"m":2,"z":3}` { // TC-10
		t.Errorf("TC-10: %s", got)
	}
	entry := `{"added_taints":["taint_a","taint_b"],"classification":"user_input",
	"entry_id":"019d6e05-7ead-7000-952a-cdbb3e7f0c5f","labels":{"foo":"bar","num":42},"operation":"test_op",
	"parent_ids":["0","a8940770792ae81b5a2f629d9edf2d6adcb9a1b489371453459fda3fa1e36c7a"],
	"policy_context":{"app_policies":["app_pol1"],"deviations":[{"approver":"eterna2","policy":"strict_mode",
	"reason":"emergency","tier":"enterprise"}],"enterprise_policies":[],"function_policies":["func_pol1","func_pol2"],
	"platform_policies":[]},"removed_taints":[],"runtime":{"name":"kest-python","version":"0.3.0"},
	"schema_version":"0.3.0","taints":[],"trust_score":50}`
	sum := sha256.Sum256([]byte(canonical(t, entry)))
	if got := hex.EncodeToString(sum[:]); got != "939a97e9ea233522cd47c4aa938648d983462dc91a34f82ea1ac00ca00d2c879" {
		t.Errorf("the contract's entry has SHA-256 %s", got)
	}
}

// The numbers of RFC 8785, appendix B, by their IEEE 754 bits.
func TestPublishedNumbers(t *testing.T) {
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0", 0x8000000000000000: "0", 0x0000000000000001: "5e-324",
		0x8000000000000001: "-5e-324", 0x7fefffffffffffff: "1.7976931348623157e+308",
		0xffefffffffffffff: "-1.7976931348623157e+308", 0x4340000000000000: "9007199254740992",
		0xc340000000000000: "-9007199254740992", 0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22", 0x44b52d02c7e14af6: "1e+23",
		0x44b52d02c7e14af7: "1.0000000000000001e+23", 0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef4f: "999999999999999900000", 0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7", 0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332", 0x41b3de4355555554: "333333333.33333325",
		0x41b3de4355555555: "333333333.3333333", 0x41b3de4355555556: "333333333.3333334",
		0x41b3de4355555557: "333333333.33333343", 0xbecbf647612f3696: "-0.0000033333333333333333",
		0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		if got := string(AppendNumber(nil, math.Float64frombits(bits))); got != want {
			t.Errorf("%016x: %s, want %s", bits, got, want)
		}
	}
}

// The sorting example of RFC 8785 section 3.2.3.
func TestPublishedSorting(t *testing.T) {
	got := canonical(t, `{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
	"1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`)
	want := "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\"," +
		"\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "\ufeff{}", "{} x", "[1,]", "{\"a\":1,}", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, "01", "1.", ".5", "+1",
		"1e", "-", "NaN", "Infinity", "1e400", "-1e400", "'a'", `"\x"`, `"\ud800"`, `"\udc00"`, `"\ud800\u0041"`,
		`"\u12"`, "\"a", "\"\x01\"", "\"\xff\"", "\"\\n\xff\"", "{1:2}", `{"a" 1}`, "[1 2]", "tru", "nul", "[", "{",
	} {
		if v, err := ParseString(text); err == nil {
			t.Errorf("%q was read as %s", text, Append(nil, v))
		}
	}
	deep := make([]byte, 0, 2*MaxDepth+2)
	for range MaxDepth + 1 {
		deep = append(deep, '[')
	}
	for range MaxDepth + 1 {
		deep = append(deep, ']')
	}
	if _, err := Parse(deep); err == nil {
		t.Error("nesting has no bound")
	}
}

func TestLargeObjectsAreCheckedForRepeats(t *testing.T) {
	text := []byte{'{'}
	for i := range 40 {
		text = append(text, '"', byte('a'+i%26), byte('a'+i/26), '"', ':', '1', ',')
	}
	if _, err := Parse(append(text, `"zb":1}`...)); err != nil {
		t.Error(err)
	}
	if _, err := Parse(append(text, `"ba":1}`...)); err == nil {
		t.Error("a name repeated in a large object was not seen")
	}
}

// FuzzAgainstJSONText holds reading and writing against go-json-experiment,
// another implementation of RFC 8785: what one reads, the other reads too, to
// the same bytes, and canonical bytes come back as they are.
func FuzzAgainstJSONText(f *testing.F) {
	for _, s := range []string{
		`{"z":3,"a":[1,2.50,-0,1e21,1e-7],"m":null}`, `"\u20ac\ud83d\ude00\\\/"`, `[true,false,{}]`, `1E400`, `{"a":{"a":{"b":[[]]}}}`,
		`9007199254740993`, `-1.5e+10`, "\"\u2028\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse(text)
		other := jsontext.Value(text).Clone()
		otherErr := other.Canonicalize()
		if err != nil {
			if otherErr == nil && nesting(text) < MaxDepth && finite(text) {
				t.Fatalf("%q is refused (%v), but jsontext gives %s", text, err, other)
			}
			return
		}
		if otherErr != nil {
			t.Fatalf("%q is read, but jsontext says %v", text, otherErr)
		}
		mine := Append(nil, v)
		if string(mine) != string(other) {
			t.Fatalf("%q gives %s, jsontext %s", text, mine, other)
		}
		again, err := Parse(mine)
		if err != nil || string(Append(nil, again)) != string(mine) {
			t.Fatalf("%s does not come back as it is: %v", mine, err)
		}
	})
}

func nesting(text []byte) (n int) {
	for _, c := range text {
		if c == '[' || c == '{' {
			n++
		}
	}
	return n
}

// finite reports whether every number of the text fits a double; jsontext
// turns those that don't into the largest ones, which this package refuses.
func finite(text []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		tok, err := d.ReadToken()
		if err != nil {
			return true
		}
		if tok.Kind() == '0' {
			if f, _ := tok.Float(); math.Abs(f) == math.MaxFloat64 || math.IsInf(f, 0) {
				return false
			}
		}
	}
}

// Strings are read and written 8 bytes at a time: each byte in each place, with
// all that a carry could mistake for it around, against one byte at a time.
func TestStringsByteByByte(t *testing.T) {
	around := []byte("\x20\x21\x23\x5b\x5d\x7f")
	for n := 1; n < 20; n++ {
		for at := range n {
			for c := range 0x80 {
				for fill := range around {
					text := []byte(strings.Repeat(string(around[fill]), n))
					text[at] = byte(c)
					if n > 1 { // and one behind it, which may be special too
						text[(at+1)%n] = "\"\\\x00"[c%3]
					}
					var want []byte
					for _, b := range text {
						one := AppendString(nil, string(b))
						want = append(want, one[1:len(one)-1]...)
					}
					have := AppendString(nil, string(text))
					if string(have) != `"`+string(want)+`"` {
						t.Fatalf("%q became %s, want %q", text, have, want)
					}
					v, err := Parse(append([]byte("["), append(have, "]        "...)...))
					if err != nil || v.Items()[0].Value.Str() != string(text) {
						t.Fatalf("%s is %v (%v)", have, v, err)
					}
				}
			}
		}
	}
}
