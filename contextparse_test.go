package kest_test

import (
	"errors"
	"testing"

	"kest.example/kest"
	"kest.example/kest/kesttest"
)

func TestContextComesBack(t *testing.T) {
	c := kesttest.Context(t, "orders.read", "level=secret", "level=top_secret", "pii")
	c.Subject.Actor = kest.Actor{User: "ana", Task: "read"}
	text := c.JSON()
	back, err := kest.ParseContext(text)
	if err != nil {
		t.Fatal(err)
	}
	if have := string(back.JSON()); have != string(text) {
		t.Errorf("%s\nwant %s", have, text)
	}
	labels := back.Labels()
	if _, ok := labels.Get("level").Strings(); !ok {
		t.Error("no labels")
	}
}

func TestContextFillsIn(t *testing.T) {
	c, err := kest.ParseContext([]byte(`{"subject": {"taints": ["level=secret"], "user": null}, "identity": "spiffe://t/a", "trust_score": 7,
		"lineage": {"min_trust": 3, "acts": [{"operation": "pay", "user": null}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"environment":{"active_deviations":[],"classification":"","is_root":false,"operation":"","parent_hash":"","policy_names":[],"policy_tier":"","source_type":"","timestamp_ms":0},` +
		`"identity":"spiffe://t/a","lineage":{"acts":[{"operation":"pay","user":null}],"callers":[],"depth":0,"min_trust":3,"operations":["pay"],"origins":[],"principals":[],"roots":[],"taint_sources":{},"users":[]},` +
		`"object":{"attributes":{},"id":null},"subject":{"agent":null,"attributes":{},"labels":{"level":["secret"]},"taints":["level=secret"],"task":null,"trust_score":7,"user":null,"workload":"spiffe://t/a"},"trust_score":7}`
	if have := string(c.JSON()); have != want {
		t.Errorf("%s\nwant %s", have, want)
	}
}

func TestContextThatIsWrong(t *testing.T) {
	for text, member := range map[string]string{
		`[]`:                                                     "context",
		`{"subjects": {}}`:                                       "subjects",
		`{"subject": {"name": 1}}`:                               "subject.name",
		`{"subject": {"user": 1}}`:                               "subject.user",
		`{"subject": {"taints": "a"}}`:                           "subject.taints",
		`{"subject": {"taints": [null]}}`:                        "subject.taints[0]",
		`{"subject": {"trust_score": 1.5}}`:                      "subject.trust_score",
		`{"subject": {"attributes": []}}`:                        "subject.attributes",
		`{"environment": {"is_root": "yes"}}`:                    "environment.is_root",
		`{"lineage": {"acts": [1]}}`:                             "lineage.acts[0]",
		`{"lineage": {"taint_sources": {"a": 1}}}`:               "lineage.taint_sources.a",
		`{"identity": "a", "subject": {"workload": "b"}}`:        "identity",
		`{"trust_score": 1, "subject": {"trust_score": 2}}`:      "trust_score",
		`{"object": {"id": {}}}`:                                 "object.id",
		`{"lineage": {"acts": [{"operation": "a", "by": "b"}]}}`: "lineage.acts[0].by",
		`{"environment": {"timestamp_ms": "now"}}`:               "environment.timestamp_ms",
	} {
		var wrong *kest.MemberError
		if c, err := kest.ParseContext([]byte(text)); !errors.As(err, &wrong) || wrong.Member != member || c != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{``, `{`, `{} {}`, `{"subject": {}, "subject": {}}`} {
		if _, err := kest.ParseContext([]byte(text)); err == nil {
			t.Errorf("%q parses", text)
		}
	}
}
