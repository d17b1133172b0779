package cedar

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/policy/library"
	"kest.example/kest/policy/library/librarytest"
	"kest.example/kest/policy/table"
)

func TestRewrite(t *testing.T) {
	for text, want := range map[string]string{
		`context.trust_score > 1`:                                      `K::"subject_trust_score".subject_trust_score > 1`,
		`context["trust_score"] > 1`:                                   `K::"subject_trust_score".subject_trust_score > 1`,
		`context.identity == context.subject.workload`:                 `K::"subject_workload".subject_workload == K::"subject_workload".subject_workload`,
		`context.scope == "x"`:                                         `K::"subject_task".subject_task == "x"`,
		`context has user`:                                             `K::"subject_user" has subject_user`,
		`context has "subject.user"`:                                   `K::"subject_user" has subject_user`,
		`context.subject has user`:                                     `K::"subject_user" has subject_user`,
		`context has subject.user`:                                     `K::"subject_user" has subject_user`,
		`context has user.x`:                                           `K::"subject_user" has subject_user.x`,
		`context.subject has nothing`:                                  `K::"subject" has nothing`,
		`context has subject.nothing`:                                  `K::"subject" has nothing`,
		`context.subject.nothing == 1`:                                 `K::"subject".nothing == 1`,
		`context.nothing == 1`:                                         `context.nothing == 1`,
		`context["lineage.depth"] == 1`:                                `context["lineage.depth"] == 1`,
		`context.subject.labels has region`:                            `K::"subject_labels" has region`,
		`context["subject.labels"]["a b"].isEmpty()`:                   `K::"subject_labels"["a b"].isEmpty()`,
		`context.subject has labels.region`:                            `K::"subject_labels" has region`,
		`context has subject.labels.region`:                            `K::"subject_labels" has region`,
		`context.subject.labels == {}`:                                 `K::"subject_labels".subject_labels == {}`,
		`context.subject has labels`:                                   `K::"subject_labels" has subject_labels`,
		`context.object.attributes.limit.max == 1`:                     `K::"object_attributes".limit.max == 1`,
		`context.object.attributes["a\"b"] == 1`:                       `K::"object_attributes".object_attributes["a\"b"] == 1`,
		`context.lineage.acts.contains({operation: "x"})`:              `K::"lineage_acts".lineage_acts.contains({operation: "x"})`,
		`context.lineage.taint_sources.pii == "x"`:                     `K::"lineage_taint_sources".pii == "x"`,
		"context // of\n.subject\n.user == \"a\"":                      "K::\"subject_user\".subject_user\n\n == \"a\"",
		`[context.user,context.task].contains("x")`:                    `[K::"subject_user".subject_user,K::"subject_task".subject_task].contains("x")`,
		`principal.context == 1`:                                       `principal.context == 1`,
		`"context.user" == "x" // context`:                             `"context.user" == "x" // context`,
		`context.subject.labels has a && context has "subject.labels"`: `K::"subject_labels".subject_labels has a && K::"subject_labels" has subject_labels`,

		// what it doesn't see through
		`context.subject == {}`:                 "",
		`context has subject`:                   "",
		`context["subject"] == {}`:              "",
		`context == {}`:                         "",
		`(context).user == "a"`:                 "",
		`{context: 1}.context == 1`:             "",
		`context["us\u{65}r"] == "a"`:           "",
		`context.subject["us\u{65}r"] == "a"`:   "",
		`context.user == "a" || K::"a" has b`:   "",
		`context.user == "a" || K::"a".b == 1`:  "",
		`context.user == "a" && resource is K`:  "",
		`context.user == "a" && principal == K`: "",
	} {
		long := func(s string) string { return strings.ReplaceAll(s, "K", partType) }
		got, _, ok := rewrite(long(text), tokenize(long(text)))
		if ok != (want != "") || got != long(want) {
			t.Errorf("%s became %q, %v, want %q", text, got, ok, want)
		}
	}
}

// forms are a policy as it is evaluated, its own text on what that uses, and its
// own text on the whole of a context.
type forms struct{ lazy, plain, whole *Engine }

func formsOf(t *testing.T, text string) forms {
	t.Helper()
	f := forms{engineOf(t, text), engineOf(t, text), wholeOf(t, text)}
	if f.lazy.policies["p"].lazy == nil {
		t.Fatalf("%s: it has no lazy form", text)
	}
	f.plain.policies["p"].lazy = nil
	return f
}

// decide fails the test where the forms differ. The whole of a context may hold
// what Cedar can't and the policy doesn't ask for.
func (f forms) decide(t *testing.T, c *kest.Context) (allowed bool) {
	t.Helper()
	d, err := f.lazy.Evaluate(context.Background(), "p", c)
	want, wantErr := f.plain.Evaluate(context.Background(), "p", c)
	if d != want || textOf(err) != textOf(wantErr) {
		t.Fatalf("%s: %+v, %v; its own text %+v, %v", c.JSON(), d, err, want, wantErr)
	}
	if _, _, ok := f.lazy.policies["p"].lazy.ask(c, types.EntityMap{}, cedargo.Request{}); !ok && err == nil && isObject(c.Subject.Attributes) && isObject(c.Object.Attributes) {
		t.Fatalf("%s: its own text had to decide", c.JSON())
	}
	if _, odd := buildContext(c, nil); odd == nil {
		want, wantErr := f.whole.Evaluate(context.Background(), "p", c)
		if d != want || textOf(err) != textOf(wantErr) {
			t.Fatalf("%s: %+v, %v; of the whole context %+v, %v", c.JSON(), d, err, want, wantErr)
		}
	}
	return d.Allow
}

func isObject(v *jcs.Value) bool { return v == nil || v.Kind() == jcs.Object }

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Each model decides the same in all forms, on its table and on generated
// contexts of which some are odd. One engine sees them all, and remembers.
func TestFormsOfTheModels(t *testing.T) {
	for _, m := range library.Models() {
		f := formsOf(t, m.Cedar)
		tab, err := table.Parse(m.Name, []byte(m.Table))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range tab.Cases {
			if f.decide(t, row.Context) != row.Allow {
				t.Errorf("%s: %s: not what the table says", m.Name, row.Name)
			}
		}
		allowed := 0
		for c := range librarytest.Contexts(t, m.Name, 11, 1500) {
			if f.decide(t, c) {
				allowed++
			}
		}
		if allowed < 20 {
			t.Errorf("%s: %d contexts were allowed, which says too little", m.Name, allowed)
		}
	}
}

// reading are conditions on every part, and on none.
var reading = []string{
	`context has user && context.user == context.subject.user`, `context has agent`, `context has task && context.scope == context.task`,
	`context.trust_score >= 40`, `context.taints.contains("a")`, `context.subject.attributes has a`, `context.subject has attributes.a`,
	`context.subject.attributes.a == context.object.attributes.a`, `context.subject.attributes == context.object.attributes`,
	`context.subject.labels has a && context.subject.labels.a.contains("a")`, `context.subject.labels == {}`, `context["subject.labels"] has "b c"`,
	`context.object has id && context.object.id like "*"`, `context.environment.is_root`, `context.source_type == "a"`, `context.environment.parent_hash == "a"`,
	`context.environment.policy_names.isEmpty()`, `context.environment.policy_tier == "function"`, `context.environment.active_deviations.contains("a")`,
	`context.environment.operation == ""`, `context.classification == "a"`, `context.environment.timestamp_ms > 0`, `context.lineage.depth == 40`,
	`context.lineage.roots == context.lineage.callers`, `context.lineage.principals.containsAll(context.lineage.operations)`, `context.lineage.origins.containsAny(["a", "b=c"])`,
	`context.lineage.users.contains("a")`, `context.lineage.min_trust <= context.trust_score`, `context.lineage.acts.contains({operation: "a", user: "a"})`,
	`context.lineage.acts.contains({operation: ""})`, `context.lineage.taint_sources has "b=c"`, `context.lineage.taint_sources == {}`,
	`context.lineage.taint_sources.a == "a"`, `context.object.attributes["b.c"] == 40`, `context.object.attributes.a.b == 1`, `context.nothing == 1`,
	`context.subject has labels`, `context.subject has attributes`, `context.lineage has taint_sources`, `context.lineage has acts`, `context.subject has workload`,
	`context.lineage has roots`, `context.subject.nothing == 1`, `context.subject has nothing`, `context has nothing`, `context.user.below == 1`, `principal.team == 1`,
}

func TestFormsOfEveryPart(t *testing.T) {
	g := contextMaker{rand.New(rand.NewPCG(3, 9))}
	contexts := make([]*kest.Context, 40)
	for i := range contexts {
		contexts[i] = parsed(t, g.context())
	}
	for _, odd := range []jcs.Value{jcs.NullValue(), jcs.StringValue("a"), jcs.StringsValue([]string{"a"}), jcs.IntValue(1)} { // no hook makes these
		c := *contexts[0]
		c.Subject.Attributes, c.Object.Attributes = &odd, &odd
		contexts = append(contexts, &c)
	}
	allowed := 0
	for range 300 {
		var conditions []string
		for range 1 + g.IntN(4) {
			conditions = append(conditions, g.pick("", "!")+"("+reading[g.IntN(len(reading))]+")")
		}
		text := "permit(principal, action, resource) when { " + strings.Join(conditions, g.pick(" &&\n", " ||\n")) + " };\n" +
			"forbid(principal, action, resource) when { " + reading[g.IntN(len(reading))] + " };"
		f := formsOf(t, text)
		for _, c := range contexts {
			if f.decide(t, c) {
				allowed++
			}
		}
	}
	if allowed < 500 {
		t.Errorf("%d were allowed, which says too little", allowed)
	}
}

// Entities of the caller's own are asked for as before.
func TestFormsWithEntities(t *testing.T) {
	uid, group := types.NewEntityUID("Workload", "spiffe://t/w"), types.NewEntityUID("Group", "g")
	entities := types.EntityMap{uid: {
		UID: uid, Parents: types.NewEntityUIDSet(group),
		Attributes: types.NewRecord(types.RecordMap{"team": types.String("pay")}),
	}}
	e, err := New(map[string]string{"p": `permit(principal in Group::"g", action, resource)
		when { principal.team == "pay" && context.subject.user == "alice" && !(resource has team) && !(Group::"h" has x) };`}, entities)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := e.Evaluate(context.Background(), "p", captured(t, false)); err != nil || !d.Allow || e.policies["p"].lazy == nil {
		t.Errorf("%+v, %v", d, err)
	}
}

// An error speaks of what stands in the text.
func TestErrorsNameTheTextsOwn(t *testing.T) {
	e := engineOf(t, `permit(principal, action, resource) when { context.agent == "x" || context.subject.labels.none.isEmpty() };`)
	_, err := e.Evaluate(context.Background(), "p", captured(t, false))
	if err == nil || !strings.Contains(err.Error(), "`agent`") || strings.Contains(err.Error(), partType) {
		t.Errorf("%v", err)
	}
}

// One evaluation leaves nothing for another.
func TestNothingStays(t *testing.T) {
	e := engineOf(t, `permit(principal, action, resource) when { context has user || context.lineage.depth == 1 || context.subject.labels has region || context.object has id };`)
	with, root := captured(t, false), captured(t, true)
	none := parsed(t, `{}`)
	for range 50 {
		for c, want := range map[*kest.Context]bool{with: true, root: true, none: false} {
			if d, err := e.Evaluate(context.Background(), "p", c); err != nil || d.Allow != want {
				t.Fatalf("%s: %+v, %v", c.JSON(), d, err)
			}
		}
	}
}
