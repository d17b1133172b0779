package cedar

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kest.example/kest"
)

// captured is the context that a hook gives its engine, of an entry with a
// parent, an actor, a resource and labels.
func captured(t *testing.T, root bool) *kest.Context {
	t.Helper()
	provider, err := kest.InsecureSeedProvider("spiffe://t/w", []byte(strings.Repeat("w", 32)))
	if err != nil {
		t.Fatal(err)
	}
	var c *kest.Context
	engine := kest.EngineFunc(func(_ context.Context, _ string, got *kest.Context) (kest.Decision, error) {
		c = got
		return kest.Decision{Allow: true}, nil
	})
	h, err := kest.NewHook(provider, engine)
	if err != nil {
		t.Fatal(err)
	}
	first, err := h.Operation(kest.Hop{Operation: "in", RootOrigin: "user_input", Policies: []string{"p"}, AddedTaints: []string{"pii", "region=eu"}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Operation(kest.Hop{Operation: "step", Policies: []string{"p"}})
	if err != nil {
		t.Fatal(err)
	}
	actor := kest.OnBehalfOf(kest.Actor{User: "alice", Task: "refund"})
	err = first.Do(context.Background(), func(ctx context.Context) error {
		if root {
			return nil
		}
		return second.Do(ctx, func(context.Context) error { return nil }, actor,
			kest.OnResource(kest.Resource{ID: "7", Attributes: []byte(`{"team":"checkout","limit":{"max":5,"none":null},"tags":["a",null,1],"a b":true,"none":null}`)}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func engineOf(t testing.TB, text string) *Engine {
	t.Helper()
	e, err := New(map[string]string{"p": text}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wholeOf evaluates as if every attribute were used.
func wholeOf(t *testing.T, text string) *Engine {
	t.Helper()
	e := engineOf(t, text)
	p := e.policies["p"]
	p.plan, p.lazy = planOf(nil), nil
	return e
}

func TestUsage(t *testing.T) {
	for text, want := range map[string]string{
		`context.trust_score > 1`:                         "trust_score",
		`context.subject.user == "a"`:                     "subject.user",
		`context["subject.user"] == "a"`:                  "subject.user!",
		`context has user && context.user == "a"`:         "user",
		`context.subject has user`:                        "subject.user",
		`context has subject.user`:                        "subject.user",
		`context has "subject.user"`:                      "subject.user!",
		`context.subject.taints.contains("a")`:            "subject.taints",
		`context.subject.taints.isEmpty()`:                "subject.taints",
		`context.subject.user == context.subject`:         "subject",
		`context.subject == context.subject.user`:         "subject",
		`context . subject // comment` + "\n" + ` . user`: "subject.user",
		`"context.user" == "x"`:                           "",
		`// context.user` + "\n" + `true`:                 "",
		`principal.context.user == "a"`:                   "",
		`context == {}`:                                   "everything",
		`(context).user == "a"`:                           "everything",
		`[context].contains({})`:                          "everything",
		`{"a": context}.a.user == "a"`:                    "everything",
		`context["us\u{65}r"] == "a"`:                     "everything",
		`context.object["a\"b"] == 1`:                     "object",
		`context has "us\u{65}r"`:                         "everything",
		`if true then context else context`:               "everything",
		`context.getTag("a")`:                             "everything",
		`context in [context]`:                            "everything",
	} {
		if got := listing(usageOf(text)); got != want {
			t.Errorf("%s uses %q, want %q", text, got, want)
		}
	}
}

// listing writes a usage as paths; a "!" marks a name with a dot in it.
func listing(u *usage) string {
	if u == nil {
		return "everything"
	}
	var paths []string
	for name, below := range u.members {
		if strings.Contains(name, ".") {
			name += "!"
		}
		if below != nil {
			name += "." + listing(below)
		}
		paths = append(paths, name)
	}
	slices.Sort(paths)
	return strings.Join(paths, " ")
}

// A policy that uses context as a whole sees everything.
func TestContextAsAWhole(t *testing.T) {
	c := captured(t, false)
	for _, condition := range []string{
		`{"all": context}.all.subject.user == "alice"`, `[context].contains(context)`, `(context).lineage.depth == 1`,
		`(if true then context else context).object.attributes.team == "checkout"`, `(context)["subject.user"] == "alice"`,
		`context["us\u{65}r"] == "alice"`,
	} {
		d, err := engineOf(t, "permit(principal, action, resource) when { "+condition+" };").Evaluate(context.Background(), "p", c)
		if err != nil || !d.Allow {
			t.Errorf("%s: %+v, %v", condition, d, err)
		}
	}
}

// generator writes random policies over the context.
type generator struct{ r *rand.Rand }

// paths are attributes that the context has, lacks, or has under conditions.
var paths = [][]string{
	{"trust_score"},
	{"user"},
	{"agent"},
	{"task"},
	{"scope"},
	{"taints"},
	{"classification"},
	{"is_root"},
	{"source_type"},
	{"identity"},
	{"subject"},
	{"subject", "user"},
	{"subject", "agent"},
	{"subject", "taints"},
	{"subject", "trust_score"},
	{"subject", "labels"},
	{"subject", "labels", "region"},
	{"subject", "attributes"},
	{"subject", "attributes", "clearance"},
	{"subject.user"},
	{"subject.agent"},
	{"subject.labels", "region"},
	{"object"},
	{"object", "id"},
	{"object", "attributes"},
	{"object", "attributes", "team"},
	{"object", "attributes", "limit", "max"},
	{"object", "attributes", "limit", "none"},
	{"object", "attributes", "a b"},
	{"object", "attributes", "tags"},
	{"object.attributes", "team"},
	{"object.id"},
	{"environment"},
	{"environment", "policy_tier"},
	{"environment.policy_tier"},
	{"environment", "policy_names"},
	{"environment", "timestamp_ms"},
	{"lineage"},
	{"lineage", "depth"},
	{"lineage", "roots"},
	{"lineage", "acts"},
	{"lineage", "taint_sources"},
	{"lineage", "taint_sources", "pii"},
	{"lineage", "min_trust"},
	{"nothing"},
	{"nothing", "below"},
	{"subject", "nothing"},
	{"trust_score", "below"},
	{"context"},
	{"subject", "context"},
}

func (g generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g generator) space() string {
	return g.pick("", "", "", " ", "\n", " // context.user \"\n", "\t")
}

func (g generator) path() string {
	path := paths[g.r.IntN(len(paths))]
	text := g.pick("context", "context", "context", "context", "(context)")
	for _, name := range path {
		simple := !strings.ContainsAny(name, ". ")
		switch {
		case simple && g.r.IntN(3) > 0:
			text += g.space() + "." + g.space() + name
		case g.r.IntN(12) == 0:
			text += `["` + fmt.Sprintf(`\u{%x}`, name[0]) + name[1:] + `"]`
		default:
			text += g.space() + "[" + g.space() + `"` + name + `"` + g.space() + "]"
		}
	}
	return text
}

func (g generator) atom() string {
	switch g.r.IntN(9) {
	case 0:
		return g.path() + " == " + g.pick(`"alice"`, `"7"`, "40", "true", `"checkout"`, "[]", "{}", "5", g.path())
	case 1:
		return g.path() + " " + g.pick(">=", "<") + " " + g.pick("0", "40", "5", g.path())
	case 2:
		return g.path() + " has " + g.pick("user", "agent", `"user"`, `"a b"`, "team", "pii", "attributes.team", "subject.user", `"subject.user"`, "nothing", "region", `"us\u{65}r"`)
	case 3:
		return "context has " + g.pick("user", "subject", "subject.user", `"subject.user"`, "object.attributes.team", "lineage.taint_sources.pii", "nothing", `"subject.agent"`)
	case 4:
		return g.path() + g.pick(`.contains("pii")`, `.contains("eu")`, ".isEmpty()", `.containsAny(["pii", "x"])`, `.contains(`+g.path()+")")
	case 5:
		return g.path() + " like " + g.pick(`"al*"`, `"*"`, `"context.*"`)
	case 6:
		return "[" + g.path() + ", " + g.path() + "].contains(" + g.path() + ")"
	case 7:
		return `{"k": ` + g.path() + `, "context": 1}.k == ` + g.path()
	}
	return g.pick(`"context.user" == "context.user"`, "true", "false", `{"a": context}.a == context`, "principal has context", "resource has user")
}

func (g generator) condition(depth int) string {
	if depth == 0 {
		return g.atom()
	}
	a, b := g.condition(depth-1), g.condition(depth-1)
	switch g.r.IntN(6) {
	case 0, 1:
		return "(" + a + " && " + b + ")"
	case 2:
		return "(" + a + " || " + b + ")"
	case 3:
		return "!(" + a + ")"
	case 4:
		return "(if " + a + " then " + b + " else " + g.condition(depth-1) + ")"
	}
	return "(" + g.atom() + ")"
}

func (g generator) policy() string {
	var b strings.Builder
	for range 1 + g.r.IntN(3) {
		b.WriteString(g.pick("", "", `@id("context.user") `, "// context\n"))
		b.WriteString(g.pick("permit", "permit", "permit", "forbid") + "(principal, action, resource)")
		for range g.r.IntN(3) {
			b.WriteString(" " + g.pick("when", "when", "unless") + " { " + g.condition(g.r.IntN(3)) + " }")
		}
		b.WriteString(";\n")
	}
	return b.String()
}

// Building only what a policy's text can touch changes no decision.
func TestUsageChangesNoDecision(t *testing.T) {
	contexts := []*kest.Context{captured(t, false), captured(t, true)}
	g := generator{rand.New(rand.NewPCG(7, 42))}
	parsed, lazy, allowed, failed := 0, 0, 0, 0
	for range 6000 {
		text := g.policy()
		e, err := New(map[string]string{"p": text}, nil)
		if err != nil {
			continue
		}
		parsed++
		if e.policies["p"].lazy != nil {
			lazy++
		}
		reference := wholeOf(t, text)
		for _, c := range contexts {
			limited, limitedErr := e.Evaluate(context.Background(), "p", c)
			whole, wholeErr := reference.Evaluate(context.Background(), "p", c)
			if limited.Allow != whole.Allow || (limitedErr == nil) != (wholeErr == nil) || limitedErr == nil && limited != whole {
				t.Fatalf("%s\nuses %s: %+v, %v; of the whole context %+v, %v", text, listing(usageOf(text)), limited, limitedErr, whole, wholeErr)
			}
			if limited.Allow {
				allowed++
			}
			if limitedErr != nil {
				failed++
			}
		}
	}
	if parsed < 5000 || lazy < 2000 || allowed < 500 || failed < 500 {
		t.Errorf("%d policies parsed, %d of them with a lazy form, %d allowed, %d failed: the generator says too little", parsed, lazy, allowed, failed)
	}
}
