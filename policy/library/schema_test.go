package library_test

import (
	"encoding/json"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"kest.example/kest"
	"kest.example/kest/internal/cedarcontext"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/library"
)

func resolvedSchema(t *testing.T) *resolved.Schema {
	t.Helper()
	var s schema.Schema
	s.SetFilename("kest.cedarschema")
	if err := s.UnmarshalCedar([]byte(library.Schema())); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every model is valid under the schema, by Cedar's strict rules but for two: they
// look for an act with a user and for one without, which are two types of record.
func TestModelsFitTheSchema(t *testing.T) {
	strict := validate.New(resolvedSchema(t), validate.WithStrict())
	permissive := validate.New(resolvedSchema(t), validate.WithPermissive())
	each(t, func(t *testing.T, m *library.Model) {
		list, err := cedargo.NewPolicyListFromBytes(m.Name, []byte(m.Cedar))
		if err != nil {
			t.Fatal(err)
		}
		v := strict
		if m.Name == "clark_wilson" || m.Name == "financial" {
			v = permissive
		}
		for _, p := range list {
			if err := v.Policy(m.Name, (*ast.Policy)(p.AST())); err != nil {
				t.Error(err)
			}
		}
	})
	var typo cedargo.Policy
	if err := typo.UnmarshalCedar([]byte(`permit(principal, action, resource) when { context.subject.levels.contains("x") };`)); err != nil {
		t.Fatal(err)
	}
	if permissive.Policy("typo", (*ast.Policy)(typo.AST())) == nil {
		t.Error("an attribute that the context lacks is valid")
	}
}

// The schema is of the context that is really asked with at a hop.
func TestContextsFitTheSchema(t *testing.T) {
	v := validate.New(resolvedSchema(t), validate.WithStrict())
	c := kesttest.Context(t, "op", "level=secret", "category=nato", "udi")
	c.Subject.Actor = kest.Actor{User: "ana", Agent: "helper", Task: "refund"}
	c.Object.ID = "7"
	each(t, func(t *testing.T, m *library.Model) {
		if err := v.Request(requestOf(t, m.Policy(), c)); err != nil {
			t.Error(err)
		}
	})
	wrong := jcs.ObjectValue(jcs.Member{Name: "amount", Value: jcs.StringValue("5")})
	c.Object.Attributes = &wrong
	if v.Request(requestOf(t, "kest/library/financial", c)) == nil {
		t.Error("a context with an amount that is a string is valid")
	}
}

func requestOf(t *testing.T, policy string, c *kest.Context) types.Request {
	t.Helper()
	value, err := cedarcontext.Of(c)
	if err != nil {
		t.Fatal(err)
	}
	var record types.Record
	if err := json.Unmarshal(jcs.Append(nil, &value), &record); err != nil {
		t.Fatal(err)
	}
	return types.Request{
		Principal: types.NewEntityUID("Workload", types.String(c.Subject.Workload)),
		Action:    types.NewEntityUID("Action", types.String(policy)),
		Resource:  types.NewEntityUID("Resource", "*"),
		Context:   record,
	}
}
