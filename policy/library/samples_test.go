package library_test

import (
	"context"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/plugin"
	"kest.example/kest/policy/library"
)

// Every route of a sample lets somebody through, and the sample refuses somebody.
func TestSamplesLetThroughAndRefuse(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		document, err := yaml.YAMLToJSON([]byte(m.Configuration(library.Rego)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := plugin.ParseConfig(document)
		if err != nil {
			t.Fatal(err)
		}
		engine := cedarEngine(t, m, m.Cedar)
		refused := 0
		for _, r := range c.Routes {
			through := 0
			for _, about := range askedAt(t, c, r) {
				if d, err := engine.Evaluate(context.Background(), m.Policy(), about); err == nil && d.Allow {
					through++
				} else {
					refused++
				}
			}
			if through == 0 {
				t.Errorf("%s lets nobody through", r.Hop.Operation)
			}
		}
		if refused == 0 {
			t.Error("nobody is refused")
		}
	})
}

// askedAt are contexts of a route: for every subject that the sample names and
// one that it doesn't, after nothing, after each other route alone and after all
// of them, from a user and from a system.
func askedAt(t *testing.T, c *plugin.Config, r *plugin.Route) (list []*kest.Context) {
	t.Helper()
	befores := [][]*plugin.Route{nil, c.Routes}
	for _, other := range c.Routes {
		befores = append(befores, []*plugin.Route{other})
	}
	for _, user := range usersOf(c) {
		for _, before := range befores {
			for _, trust := range []int64{40, 100} {
				list = append(list, contextAt(t, c, r, user, before, trust))
			}
		}
	}
	return list
}

func usersOf(c *plugin.Config) []string {
	users := []string{"stranger@elsewhere.example"}
	for _, s := range c.Subjects {
		if s.Kind == "user" {
			users = append(users, string(s.Pattern))
		}
	}
	return users
}

func contextAt(t *testing.T, c *plugin.Config, r *plugin.Route, user string, before []*plugin.Route, trust int64) *kest.Context {
	t.Helper()
	taints, operations, acts := []string{"data=cvv", "domain=marketing"}, []string{}, []jcs.Value{}
	if len(before) < 2 { // the longest way brings something foreign
		taints = nil
	}
	for _, b := range before {
		taints = append(taints, b.Hop.AddedTaints...)
		operations = append(operations, b.Hop.Operation)
		acts = append(acts, jcs.ObjectValue(text("operation", b.Hop.Operation), text("user", "before@example.org")))
	}
	taints = slices.DeleteFunc(append(taints, r.Hop.AddedTaints...), func(taint string) bool {
		return slices.Contains(r.Hop.RemovedTaints, taint)
	})
	object, err := jcs.Parse(r.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	subject := c.SubjectAttributes(kest.Actor{User: user})
	if subject == nil {
		subject = &jcs.Value{}
		*subject = jcs.ObjectValue()
	}
	v := jcs.ObjectValue(
		member("subject", text("workload", c.Workload), text("user", user), number("trust_score", trust),
			jcs.Member{Name: "taints", Value: jcs.StringsValue(taints)}, jcs.Member{Name: "attributes", Value: *subject}),
		member("object", jcs.Member{Name: "attributes", Value: *object}),
		member("lineage", number("min_trust", trust), number("depth", int64(1+len(before))),
			jcs.Member{Name: "roots", Value: jcs.StringsValue([]string{string(c.Authority[0].Principal)})},
			jcs.Member{Name: "operations", Value: jcs.StringsValue(operations)}, jcs.Member{Name: "acts", Value: jcs.ArrayValue(acts...)}),
	)
	about, err := kest.ContextFromValue(&v)
	if err != nil {
		t.Fatal(err)
	}
	return about
}

func member(name string, members ...jcs.Member) jcs.Member {
	return jcs.Member{Name: name, Value: jcs.ObjectValue(members...)}
}

func text(name, s string) jcs.Member { return jcs.Member{Name: name, Value: jcs.StringValue(s)} }

func number(name string, i int64) jcs.Member { return jcs.Member{Name: name, Value: jcs.IntValue(i)} }
