package regoinfo

import (
	"maps"
	"slices"
	"testing"

	"kest.example/kest/internal/jcs"
)

func TestInfo(t *testing.T) {
	uses := jcs.ObjectValue(jcs.Member{Name: "identity", Value: jcs.NullValue()})
	info := &Info{
		Policies: []Policy{{"a/b-c", "d1", 1, &uses}, {"z", "d2", 0, nil}},
		Builtins: map[uint32]string{3: "sprintf", 1 << 20: "time.now_ns"},
	}
	text := info.Append(nil)
	if string(text) != string(info.Append(nil)) {
		t.Error("it is written in two ways")
	}
	read, err := Parse(text)
	if err != nil || string(read.Append(nil)) != string(text) || !maps.Equal(read.Builtins, info.Builtins) {
		t.Errorf("%+v, %v", read, err)
	}
	if p := read.Policies[0]; p.Digest != "d1" || p.Entry != 1 || p.Uses.Get("identity").Kind() != jcs.Null || read.Policies[1].Uses != nil {
		t.Errorf("%+v", read.Policies)
	}
	if !slices.Equal(read.Names(), []string{"a/b-c", "z"}) {
		t.Errorf("%q", read.Names())
	}
	for name, want := range map[string]bool{"a/b-c": true, "a.b-c": true, "z": true, "a": false, "a/b_c": false, "": false} {
		if _, ok := read.Find(name); ok != want {
			t.Errorf("%q is found: %v", name, ok)
		}
	}
}

func TestMalformedInfo(t *testing.T) {
	for _, text := range []string{
		"", "[]", "{}", `{"policies":[]}`, `{"policies":{"a":{"entry":-1}}}`, `{"policies":{"a":{"entry":1.5}}}`, `{"policies":{"a":1}}`,
		`{"builtins":{"a":"b"},"policies":{}}`, `{"builtins":{"a":9007199254740991},"policies":{}}`, `{"policies":{}} x`,
	} {
		if info, err := Parse([]byte(text)); err != ErrInfo { //nolint:errorlint // it is returned as it is
			t.Errorf("%s: %+v, %v", text, info, err)
		}
	}
}

func TestVerdict(t *testing.T) {
	for text, want := range map[string]bool{
		`[{"result":true}]`: true, `[{"result":false}]`: false, `[]`: false, ``: false, `[{"result":"true"}]`: false,
		`[{"result":[true]}]`: false, `[{"result":true},{"result":true}]`: false, `[{"result":true}] `: false, `true`: false,
	} {
		if have, reason := Verdict([]byte(text)); have != want || reason == "" {
			t.Errorf("%s: %v, %s", text, have, reason)
		}
	}
}
