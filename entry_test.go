package kest_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"kest.example/kest"
)

// full is an entry in which no member is empty.
func full() *kest.Entry {
	return &kest.Entry{
		SchemaVersion: "0.3.0", Runtime: kest.Runtime{Name: "kest-go", Version: "1.2.3-rc.1+x"},
		EntryID: "01a21293-b600-7f8c-bfad-8cd519ae79cb", Operation: "op \"\\\u2028é\U0001F600", Classification: kest.ClassSanitizer, TrustScore: 99,
		ParentIDs: []string{strings.Repeat("ab", 32), strings.Repeat("cd", 32)}, AddedTaints: []string{"a"}, RemovedTaints: []string{"r", "s"},
		Taints: []string{"a", "b"},
		Labels: map[string]string{"principal": edge, "trace_id": strings.Repeat("0a", 16), "\U0001F600": "after", "\uFFFD": "before in bytes"},
		PolicyContext: kest.PolicyContext{
			Enterprise: []string{"e"}, Platform: []string{"p", "o"}, Application: []string{"a"}, Function: []string{"f"},
			Deviations: []kest.AppliedDeviation{{Policy: "x", Tier: kest.TierApplication, Reason: "r", Approver: "a"}, {Policy: "y", Tier: kest.TierEnterprise}},
		},
		Environment: map[string]string{"kest.config": strings.Repeat("ef", 32)}, OTelContext: map[string]string{"traceparent": "t"},
		Metadata: []byte(`{"a":[1,null]}`), ContentHash: strings.Repeat("12", 32), InputHash: strings.Repeat("34", 32), TimestampMS: 1 << 52,
	}
}

func TestEntryComesBack(t *testing.T) {
	for name, e := range map[string]*kest.Entry{"full": full(), "bare": {
		SchemaVersion: "0.3.0", EntryID: full().EntryID, Operation: "o", Classification: "system", ParentIDs: []string{"0"}, Labels: map[string]string{"principal": "p"},
	}} {
		text := e.Canonical()
		got, err := kest.ParseEntry(text, kest.SchemaStrict)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(got.Canonical()) != string(text) {
			t.Errorf("%s: %s\ncame back as %s", name, text, got.Canonical())
		}
		if name == "full" && !reflect.DeepEqual(got, e) {
			t.Errorf("%+v\ncame back as %+v", e, got)
		}
		if canonical, err := kest.Canonicalize(text); err != nil || string(canonical) != string(text) {
			t.Errorf("%s: not canonical: %v", name, err)
		}
	}
}

// Taints are written sorted by code point and without repeats, whatever order
// they are held in; lists of policies and parents keep theirs.
func TestEntryOrder(t *testing.T) {
	e := full()
	e.Taints = []string{"\U0001F600", "b", "\uFFFD", "a", "b"}
	e.PolicyContext.Function = []string{"z", "a"}
	text := string(e.Canonical())
	for _, part := range []string{`"taints":["a","b","` + "\uFFFD" + `","` + "\U0001F600" + `"]`, `"function_policies":["z","a"]`} {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %s", text, part)
		}
	}
	if e.Taints[0] != "\U0001F600" {
		t.Error("writing changed the entry")
	}
}

func TestEntryLenient(t *testing.T) {
	e, err := kest.ParseEntry([]byte(bareRoot(edge, `,"environment":{"n":1.50,"deep":{"b":1,"a":[]}},"timestamp_ms":9007199254740991,"x":null`)), kest.SchemaLenient)
	if err != nil {
		t.Fatal(err)
	}
	if e.Classification != "system" || e.Environment["n"] != "1.5" || e.Environment["deep"] != `{"a":[],"b":1}` || e.TimestampMS != math.MaxInt64>>10 {
		t.Errorf("entry %+v", e)
	}
	if !e.IsRoot() || e.Principal() != edge || e.Actor() != (kest.Actor{}) {
		t.Errorf("entry %+v", e)
	}
}

func TestEntryActor(t *testing.T) {
	for label, want := range map[string]kest.Actor{
		`{"user":"u","agent":"a","task":"t"}`:   {User: "u", Agent: "a", Task: "t"},
		`{"user":null,"agent":"a","task":null}`: {Agent: "a"},
		`{"user":1,"agent":["a"],"task":{}}`:    {},
		`{"user":"u","user":"v"}`:               {},
		`"u"`:                                   {}, `["user","u"]`: {}, `u`: {}, ``: {},
	} {
		e := &kest.Entry{Labels: map[string]string{kest.LabelIdentity: label}}
		if got := e.Actor(); got != want {
			t.Errorf("%s: %+v", label, got)
		}
	}
}
