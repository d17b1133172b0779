package cedar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"kest.example/kest"
)

// holds reports whether a condition is true of a context; a diagnostic fails the test.
func holds(t *testing.T, c *kest.Context, condition string) bool {
	t.Helper()
	d, err := engineOf(t, "permit(principal, action, resource) when { "+condition+" };").Evaluate(context.Background(), "p", c)
	if err != nil {
		t.Errorf("%s: %v", condition, err)
	}
	return d.Allow
}

func TestContextNames(t *testing.T) { // CONTRACT 6, POLICY.md
	c := captured(t, false)
	for _, condition := range []string{
		// nested
		`context.subject.workload == "spiffe://t/w"`, `context.subject.user == "alice"`, `context.subject.trust_score == 40`,
		`context.subject.taints == ["pii", "region=eu"]`, `context.subject.labels == {region: ["eu"]}`, `context.subject.attributes == {}`,
		`context.object.id == "7"`, `context.object.attributes.limit == {max: 5}`, `context.object.attributes.tags == ["a", 1]`,
		`context.environment.is_root == false`, `context.environment.policy_names == ["p"]`, `context.environment.policy_tier == "function"`,
		`context.environment.active_deviations == []`, `context.environment.operation == "step"`, `context.environment.timestamp_ms > 0`,
		`context.lineage.depth == 1`, `context.lineage.roots == ["spiffe://t/w"]`, `context.lineage.taint_sources == {pii: "spiffe://t/w", "region=eu": "spiffe://t/w"}`,
		`context.lineage.acts == [{operation: "in"}]`, `context.identity == "spiffe://t/w"`, `context.trust_score == 40`,
		// flat
		`context["subject.user"] == "alice"`, `context["subject.labels"].region.contains("eu")`, `context["object.id"] == "7"`,
		`context["object.attributes"].team == "checkout"`, `context["environment.is_root"] == false`, `context["environment.timestamp_ms"] > 0`,
		// short
		`context.user == "alice"`, `context.task == "refund"`, `context.scope == "refund"`, `context.taints.contains("pii")`,
		`context.classification == "system"`, `context.is_root == false`, `context.source_type == "internal"`,
		// nulls are left out, at every depth
		`!(context has agent)`, `!(context.subject has agent)`, `!(context has "subject.agent")`, `!(context.object.attributes has none)`,
		`!(context.object.attributes.limit has none)`,
		// the flat names have two levels
		`!(context has "lineage.depth")`, `!(context has "subject.labels.region")`,
	} {
		if !holds(t, c, condition) {
			t.Errorf("it does not hold that %s", condition)
		}
	}
	root := captured(t, true)
	for _, condition := range []string{
		`context.is_root`, `context.lineage.depth == 0`, `context.lineage.roots == []`, `context.lineage.min_trust == 40`, `context.environment.parent_hash == "0"`,
		`!(context has user)`, `!(context.object has id)`, `context.object.attributes == {}`, `context.lineage.taint_sources == {}`, `resource == Resource::"*"`,
	} {
		if !holds(t, root, condition) {
			t.Errorf("at a root it does not hold that %s", condition)
		}
	}
}

func TestRequest(t *testing.T) {
	c := captured(t, false)
	for head, want := range map[string]bool{
		`permit(principal == Workload::"spiffe://t/w", action == Action::"p", resource == Resource::"7");`: true,
		`permit(principal == Workload::"spiffe://t/x", action, resource);`:                                 false,
		`permit(principal == User::"alice", action, resource);`:                                            false,
		`permit(principal, action == Action::"q", resource);`:                                              false,
		`permit(principal, action, resource == Resource::"*");`:                                            false,
		`permit(principal, action, resource) when { false };`:                                              false,
		`forbid(principal, action, resource) when { false };`:                                              false,
		`permit(principal, action, resource); forbid(principal, action, resource);`:                        false,
	} {
		d, err := engineOf(t, head).Evaluate(context.Background(), "p", c)
		if err != nil || d.Allow != want || d.Reason == "" {
			t.Errorf("%s: %+v, %v", head, d, err)
		}
	}
}

// Any diagnostic error denies, whatever else allowed.
func TestDiagnosticErrorsDeny(t *testing.T) {
	c := captured(t, false)
	for _, text := range []string{
		`permit(principal, action, resource); permit(principal, action, resource) when { context.nothing == 1 };`,
		`permit(principal, action, resource); forbid(principal, action, resource) when { context.nothing };`,
		`permit(principal, action, resource); permit(principal, action, resource) when { context.agent == "x" };`,
		`permit(principal, action, resource); permit(principal, action, resource) when { 9223372036854775807 + context.trust_score > 0 };`,
		`permit(principal, action, resource); permit(principal, action, resource) when { context.subject.user > 1 };`,
		`permit(principal, action, resource); permit(principal, action, resource) when { principal.team == "x" };`,
	} {
		d, err := engineOf(t, text).Evaluate(context.Background(), "p", c)
		if err == nil || d.Allow || d.Revision == "" {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
}

func TestOnlyTheNamedPolicyIsAsked(t *testing.T) {
	e, err := New(map[string]string{
		"yes": `permit(principal, action, resource);`, "no": `forbid(principal, action, resource);`,
		"broken": `permit(principal, action, resource) when { context.nothing };`,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := captured(t, false)
	for name, want := range map[string]bool{"yes": true, "no": false} {
		if d, err := e.Evaluate(context.Background(), name, c); err != nil || d.Allow != want {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	for _, name := range []string{"", "unknown", "YES"} {
		if d, err := e.Evaluate(context.Background(), name, c); err == nil || d.Allow {
			t.Errorf("%q: %+v, %v", name, d, err)
		}
	}
	names := e.Names()
	slices.Sort(names)
	if !slices.Equal(names, []string{"broken", "no", "yes"}) {
		t.Errorf("names %v", names)
	}
}

func TestDigestIsOfTheText(t *testing.T) {
	text := "permit(principal, action, resource);"
	sum := sha256.Sum256([]byte(text))
	e := engineOf(t, text)
	if got, known := e.Digest("p"); !known || got != hex.EncodeToString(sum[:]) {
		t.Errorf("digest %q, %v", got, known)
	}
	if got, known := e.Digest("q"); known || got != "" {
		t.Errorf("digest of nothing %q", got)
	}
	if d, err := e.Evaluate(context.Background(), "p", captured(t, true)); err != nil || d.Revision != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "blank": " \n", "comment": "// permit(principal, action, resource);", "cut off": "permit(principal, action, resource)",
		"no Cedar": "allow = true", "a bad name": `permit(principal, action, resource) when { context.1 };`,
	} {
		e, err := New(map[string]string{"good": "permit(principal, action, resource);", "bad": text}, nil)
		var p *PolicyError
		if e != nil || !errors.As(err, &p) || p.Policy != "bad" || !strings.Contains(err.Error(), "bad") {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	if e, err := New(nil, nil); err != nil || len(e.Names()) != 0 {
		t.Errorf("no policies: %v, %v", e, err)
	}
}

// Numbers that Cedar can't hold deny; they never become another number.
func TestNumbers(t *testing.T) {
	provider, err := kest.InsecureSeedProvider("spiffe://t/w", []byte(strings.Repeat("w", 32)))
	if err != nil {
		t.Fatal(err)
	}
	h, err := kest.NewHook(provider, engineOf(t, `permit(principal, action, resource) when { context.object.attributes.n == 9007199254740992 || context.object.attributes.n == 5 };`))
	if err != nil {
		t.Fatal(err)
	}
	o, err := h.Operation(kest.Hop{Operation: "x", RootOrigin: "internal", Policies: []string{"p"}})
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]bool{"5": true, "5.0": true, "9007199254740992": true, "5.5": false, "1e300": false, "-5": false, `"5"`: false} {
		err := o.Do(context.Background(), func(context.Context) error { return nil },
			kest.OnResource(kest.Resource{Attributes: []byte(`{"n":` + number + `}`)}))
		if (err == nil) != want || !want && !errors.Is(err, kest.ErrDenied) {
			t.Errorf("%s: %v", number, err)
		}
	}
}

func TestEngineIsSafeForConcurrentUse(t *testing.T) {
	e := engineOf(t, `permit(principal, action, resource) when { context.lineage.depth == 1 && context.user == "alice" };`)
	c := captured(t, false)
	done := make(chan bool)
	for range 8 {
		go func() {
			good := true
			for range 100 {
				d, err := e.Evaluate(context.Background(), "p", c)
				good = good && err == nil && d.Allow
			}
			done <- good
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("not allowed")
		}
	}
}
