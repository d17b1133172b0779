package regoinput

import (
	"testing"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/kesttest"
)

const full = `{"subject": {"workload": "spiffe://example.org/a", "user": "ä\"\u0001", "task": "t", "trust_score": 40, "taints": ["pci", "a=1", "a=2", "b="],
	"attributes": {"clearance": "secret", "deep": {"x": [1, {"y": 2.5}], "z": null}, "n": 1}},
	"object": {"id": "7", "attributes": {"level": "low", "categories": []}},
	"environment": {"is_root": false, "source_type": "internal", "parent_hash": "aa,bb", "policy_names": ["p", "q"], "policy_tier": "platform",
	"active_deviations": ["d"], "operation": "o", "classification": "system", "timestamp_ms": 1767225600000},
	"lineage": {"depth": 2, "roots": ["r"], "callers": ["c"], "principals": ["r", "c"], "operations": ["x"], "origins": ["internet"], "users": ["u"],
	"acts": [{"operation": "x", "user": "u"}, {"operation": "y", "user": null}], "taint_sources": {"pci": "r", "a=1": "c"}, "min_trust": 10}}`

func parse(t *testing.T, text string) *kest.Context {
	t.Helper()
	c, err := kest.ParseContext([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func canonical(t *testing.T, text []byte) string {
	t.Helper()
	v, err := jcs.Parse(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return string(jcs.Append(nil, v))
}

// Without a list of uses it is the context's own JSON.
func TestEverything(t *testing.T) {
	for name, c := range map[string]*kest.Context{"full": parse(t, full), "empty": parse(t, "{}"), "made": kesttest.Context(t, "op")} {
		if have, want := canonical(t, Append(nil, c, nil)), string(c.JSON()); have != want {
			t.Errorf("%s:\n%s, not\n%s", name, have, want)
		}
		all, err := jcs.ParseString(`{"subject":null,"object":null,"environment":null,"identity":null,"trust_score":null,"lineage":null}`)
		if err != nil {
			t.Fatal(err)
		}
		if have, want := canonical(t, Append(nil, c, all)), string(c.JSON()); have != want {
			t.Errorf("%s, each member:\n%s, not\n%s", name, have, want)
		}
	}
}

// pruned is what a tree of uses leaves of JSON.
func pruned(v, uses *jcs.Value) jcs.Value {
	if uses.Kind() != jcs.Object || v.Kind() != jcs.Object {
		return *v
	}
	var members []jcs.Member
	for i := range v.Items() {
		m := &v.Items()[i]
		if below := uses.Get(m.Name); below.Kind() != jcs.Invalid {
			members = append(members, jcs.Member{Name: m.Name, Value: pruned(&m.Value, below)})
		}
	}
	return jcs.ObjectValue(members...)
}

func TestWhatIsUsed(t *testing.T) {
	c := parse(t, full)
	for _, text := range []string{
		`{}`, `{"identity":null}`, `{"trust_score":null,"subject":{"taints":null}}`, `{"subject":{"labels":{"a":null}}}`,
		`{"subject":{"attributes":{"deep":{"x":null},"absent":null}}}`, `{"subject":{"attributes":{"n":{"below":null}},"user":{"below":null}}}`,
		`{"lineage":{"acts":null,"taint_sources":{"pci":null}}}`, `{"environment":{"is_root":null,"timestamp_ms":null},"object":{"attributes":{"level":null}}}`,
		`{"absent":null}`, `{"object":{}}`, `{"lineage":{"acts":{"x":null},"min_trust":null}}`,
	} {
		uses, err := jcs.ParseString(text)
		if err != nil {
			t.Fatal(err)
		}
		value := c.Value()
		want := pruned(&value, uses)
		if have := canonical(t, Append(nil, c, uses)); have != string(jcs.Append(nil, &want)) {
			t.Errorf("%s:\n%s, not\n%s", text, have, jcs.Append(nil, &want))
		}
	}
}
