package kest_test

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
)

func TestPolicyNames(t *testing.T) { // F-PE-02
	want := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*([./][A-Za-z0-9_-]+)*$`)
	names := []string{""}
	for range 4 { // all texts of up to four of these characters
		for _, name := range names {
			for _, c := range "aZ9_-./ é" {
				names = append(names, name+string(c))
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	for _, name := range append(names, "team/refunds", "kest/library/bell_lapadula", "a\n", "a\x00", strings.Repeat("a", 1000)) {
		if got := kest.ValidPolicyName(name); got != want.MatchString(name) || strings.Contains(name, "\n") && got {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestPlan(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	off := func(tier kest.Tier, policy string) kest.Deviation {
		return kest.Deviation{Scope: "op", Policy: policy, Tier: tier, Reason: "r", Approver: "a"}
	}
	applied := func(tier kest.Tier, policy string) kest.AppliedDeviation {
		return kest.AppliedDeviation{Policy: policy, Tier: tier, Reason: "r", Approver: "a"}
	}
	expiring := off(kest.TierPlatform, "p")
	expiring.Expires = now
	running := off(kest.TierPlatform, "p")
	running.Expires = now.Add(time.Nanosecond)
	elsewhere := off(kest.TierPlatform, "p")
	elsewhere.Scope = "other"
	for name, c := range map[string]struct {
		config   kest.PolicyConfig
		function []string
		want     kest.PolicyContext
	}{
		"all tiers in order": {
			kest.PolicyConfig{Enterprise: []string{"e"}, Platform: []string{"p"}, Application: []string{"a"}},
			[]string{"f"},
			kest.PolicyContext{Enterprise: []string{"e"}, Platform: []string{"p"}, Application: []string{"a"}, Function: []string{"f"}},
		},
		"each name once, in the highest tier": {
			kest.PolicyConfig{Enterprise: []string{"x", "e", "x"}, Platform: []string{"x", "p"}},
			[]string{"f", "p", "f"},
			kest.PolicyContext{Enterprise: []string{"x", "e"}, Platform: []string{"p"}, Function: []string{"f"}},
		},
		"a deviated name still runs in another tier": {
			kest.PolicyConfig{Enterprise: []string{"x"}, Platform: []string{"x"}, Deviations: []kest.Deviation{off(kest.TierEnterprise, "x")}},
			nil,
			kest.PolicyContext{Platform: []string{"x"}, Deviations: []kest.AppliedDeviation{applied(kest.TierEnterprise, "x")}},
		},
		"a deviated name still runs as a function policy": {
			kest.PolicyConfig{Platform: []string{"x"}, Deviations: []kest.Deviation{off(kest.TierPlatform, "x")}},
			[]string{"x"},
			kest.PolicyContext{Function: []string{"x"}, Deviations: []kest.AppliedDeviation{applied(kest.TierPlatform, "x")}},
		},
		"an expired deviation": {
			kest.PolicyConfig{Platform: []string{"p"}, Deviations: []kest.Deviation{expiring}},
			nil,
			kest.PolicyContext{Platform: []string{"p"}},
		},
		"one that expires later": {
			kest.PolicyConfig{Platform: []string{"p"}, Deviations: []kest.Deviation{running}},
			[]string{"f"},
			kest.PolicyContext{Function: []string{"f"}, Deviations: []kest.AppliedDeviation{applied(kest.TierPlatform, "p")}},
		},
		"one of another operation": {
			kest.PolicyConfig{Platform: []string{"p"}, Deviations: []kest.Deviation{elsewhere}},
			nil,
			kest.PolicyContext{Platform: []string{"p"}},
		},
		"one that stands there twice": {
			kest.PolicyConfig{Application: []string{"a", "b"}, Deviations: []kest.Deviation{off(kest.TierApplication, "a"), off(kest.TierApplication, "a")}},
			nil,
			kest.PolicyContext{Application: []string{"b"}, Deviations: []kest.AppliedDeviation{applied(kest.TierApplication, "a")}},
		},
	} {
		if err := c.config.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p, err := c.config.Plan("op", c.function, nil, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(p.Context, c.want) {
			t.Errorf("%s: %+v, want %+v", name, p.Context, c.want)
		}
		var listed []string
		for _, tier := range p.Tiers {
			listed = append(listed, tier.Policies...)
		}
		if all := slices.Concat(c.want.Enterprise, c.want.Platform, c.want.Application, c.want.Function); !slices.Equal(listed, all) {
			t.Errorf("%s: evaluates %v and says %v", name, listed, all)
		}
	}
}

func TestPlanOfNothing(t *testing.T) { // spec 11.6
	var c kest.PolicyConfig
	c.Shadow = []string{"s"}
	if p, err := c.Plan("op", nil, []string{"t"}, time.Now()); p != nil || !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("%v, %v", p, err)
	}
}

func TestPolicyConfigErrorsNameTheMember(t *testing.T) {
	for member, c := range map[string]kest.PolicyConfig{
		"enterprise_policies[1]": {Enterprise: []string{"a", "b c"}},
		"platform_policies[0]":   {Platform: []string{""}},
		"app_policies[0]":        {Application: []string{"-a"}},
		"shadow_policies[0]":     {Shadow: []string{"a."}},
		"deviations[0]":          {Enterprise: []string{"a"}, Deviations: []kest.Deviation{{Scope: "x", Policy: "a", Tier: kest.TierFunction}}},
		"deviations[1]": {Enterprise: []string{"a"}, Deviations: []kest.Deviation{
			{Scope: "x", Policy: "a", Tier: kest.TierEnterprise}, {Policy: "a", Tier: kest.TierEnterprise},
		}},
	} {
		if err := c.Validate(); !errors.Is(err, kest.ErrConfiguration) || !strings.Contains(err.Error(), member) {
			t.Errorf("%s: %v", member, err)
		}
	}
}

// recorder says yes but to one policy, and remembers what it was asked.
type recorder struct {
	no    string
	asked []string
	tiers []kest.PolicyEnvironment
}

func (r *recorder) Evaluate(_ context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	r.asked = append(r.asked, policy)
	r.tiers = append(r.tiers, c.Environment)
	return kest.Decision{Allow: policy != r.no}, nil
}

func TestEvaluationStopsAtADenial(t *testing.T) { // F-PE-05
	f := newFleet(t)
	config := kest.PolicyConfig{
		Enterprise: []string{"e1", "e2"}, Platform: []string{"p1"}, Application: []string{"a1"}, Shadow: []string{"s1"},
		Deviations: []kest.Deviation{{Scope: "in", Policy: "a1", Tier: kest.TierApplication}},
	}
	for no, want := range map[string][]string{
		"":   {"e1", "e2", "p1", "f1", "f2", "s1", "s2"},
		"e1": {"e1", "s1", "s2"},
		"p1": {"e1", "e2", "p1", "s1", "s2"},
		"f2": {"e1", "e2", "p1", "f1", "f2", "s1", "s2"},
		"s1": {"e1", "e2", "p1", "f1", "f2", "s1", "s2"},
	} {
		engine := &recorder{no: no}
		shadow := make(map[string]bool)
		h := f.hook(edge, engine, kest.WithPolicies(config), kest.WithShadowSink(func(policy string, d kest.Decision, err error) {
			shadow[policy] = d.Allow && err == nil
		}))
		o := f.operation(h, kest.Hop{Operation: "in", RootOrigin: "internal", Policies: []string{"f1", "f2"}, ShadowPolicies: []string{"s2", "s1"}})
		err := o.Do(context.Background(), func(context.Context) error { return nil })
		if allowed := no == "" || no == "s1"; (err == nil) != allowed {
			t.Errorf("no to %q: %v", no, err)
		}
		if !slices.Equal(engine.asked, want) {
			t.Errorf("no to %q: asked %v, want %v", no, engine.asked, want)
		}
		if len(shadow) != 2 || shadow["s1"] != (no != "s1") || !shadow["s2"] {
			t.Errorf("no to %q: shadows say %v", no, shadow)
		}
		for i, policy := range engine.asked {
			env := engine.tiers[i]
			if env.PolicyTier == "" || !slices.Contains(env.PolicyNames, policy) || !slices.Equal(env.ActiveDeviations, []string{"a1"}) {
				t.Errorf("%s sees %+v", policy, env)
			}
		}
	}
}

// The order of what an engine sees is that of CONTRACT 6; integers stay integers.
func TestContextJSON(t *testing.T) {
	f := newFleet(t)
	var text string
	engine := kest.EngineFunc(func(_ context.Context, _ string, c *kest.Context) (kest.Decision, error) {
		text = string(c.JSON())
		return kest.Decision{Allow: true}, nil
	})
	root := f.operation(f.hook(edge, kest.AllowAll()), kest.Hop{Operation: "in", RootOrigin: "user_input", AddedTaints: []string{"pii", "level=secret"}})
	hop := f.operation(f.hook(worker, engine), kest.Hop{Operation: "step", AddedTaints: []string{"x"}})
	l := f.must(context.Background(), root, kest.OnBehalfOf(kest.Actor{User: "alice"}))
	f.must(kest.WithLineage(context.Background(), l, kest.Actor{User: "alice", Agent: "bot"}), hop, kest.OnResource(kest.Resource{Attributes: []byte(`{"max":5}`)}))
	want := `{"environment":{"active_deviations":[],"classification":"system","is_root":false,"operation":"step",` +
		`"parent_hash":"` + l.Leaves()[0] + `","policy_names":["any"],"policy_tier":"function","source_type":"internal","timestamp_ms":1795608000000},` +
		`"identity":"` + worker + `","lineage":{"acts":[{"operation":"in","user":"alice"}],"callers":["` + edge + `"],"depth":1,"min_trust":40,` +
		`"operations":["in"],"origins":["user_input"],"principals":["` + edge + `"],"roots":["` + edge + `"],` +
		`"taint_sources":{"level=secret":"` + edge + `","pii":"` + edge + `"},"users":["alice"]},` +
		`"object":{"attributes":{"max":5},"id":null},"subject":{"agent":null,"attributes":{},"labels":{"level":["secret"]},` +
		`"taints":["level=secret","pii","x"],"task":null,"trust_score":40,"user":"alice","workload":"` + worker + `"},"trust_score":40}`
	if text != want {
		t.Errorf("the context is\n%s\nwant\n%s", text, want)
	}
}
