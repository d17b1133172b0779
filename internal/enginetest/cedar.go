package enginetest

import (
	"encoding/json"
	"slices"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// verdict is what Cedar's authorizer says.
type verdict struct {
	allow           bool
	reasons, errors []string
}

// policySet reads Cedar policies by their ids.
func policySet(t testing.TB, policies map[string]string) cedargo.PolicyMap {
	t.Helper()
	set := make(cedargo.PolicyMap)
	for id, text := range policies {
		var p cedargo.Policy
		if err := p.UnmarshalCedar([]byte(text)); err != nil {
			t.Fatalf("the policy %s: %v", id, err)
		}
		set[types.PolicyID(id)] = &p
	}
	return set
}

func authorize(set cedargo.PolicyMap, r cedargo.Request) verdict {
	decision, diagnostic := cedargo.Authorize(set, nil, r)
	v := verdict{allow: decision == cedargo.Allow, reasons: []string{}, errors: []string{}}
	for _, r := range diagnostic.Reasons {
		v.reasons = append(v.reasons, string(r.PolicyID))
	}
	for _, e := range diagnostic.Errors {
		v.errors = append(v.errors, "while evaluating policy "+string(e.PolicyID)+": "+e.Message)
	}
	slices.Sort(v.reasons)
	return v
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of values made here
	}
	return string(text)
}
