package enginetest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// NewCedarAgent serves a Cedar Agent that evaluates the policies, by their ids:
// at /v1/is_authorized with entities in Cedar's normal form, as Cedar Agent takes
// them, and at /is_authorized with bare ids. With a token, questions need it in
// Authorization.
func NewCedarAgent(t testing.TB, policies map[string]string, token string) *httptest.Server {
	t.Helper()
	agent := cedarAgent{policySet(t, policies), token}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/is_authorized", func(w http.ResponseWriter, r *http.Request) { agent.serve(w, r, normalEntity) })
	mux.HandleFunc("POST /is_authorized", func(w http.ResponseWriter, r *http.Request) { agent.serve(w, r, bareEntity) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

type cedarAgent struct {
	policies cedargo.PolicyMap
	token    string
}

// cedarCall is Cedar Agent's AuthorizationCall.
type cedarCall struct {
	Principal, Action, Resource string
	Context                     json.RawMessage
}

func (a cedarAgent) serve(w http.ResponseWriter, r *http.Request, entity func(kind, text string) (types.EntityUID, bool)) {
	if a.token != "" && r.Header.Get("Authorization") != a.token {
		Says(http.StatusUnauthorized, `{"reason":"Unauthorized"}`)(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	var call cedarCall
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || json.Unmarshal(body, &call) != nil {
		Says(http.StatusBadRequest, `{"reason":"no JSON"}`)(w, r)
		return
	}
	principal, ok1 := entity("Workload", call.Principal)
	action, ok2 := entity("Action", call.Action)
	resource, ok3 := entity("Resource", call.Resource)
	context, ok4 := contextOf(call.Context)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		Says(http.StatusBadRequest, `{"reason":"the content does not match"}`)(w, r)
		return
	}
	v := authorize(a.policies, cedargo.Request{Principal: principal, Action: action, Resource: resource, Context: context})
	decision := "Deny"
	if v.allow {
		decision = "Allow"
	}
	Says(http.StatusOK, mustJSON(map[string]any{
		"decision": decision, "diagnostics": map[string]any{"reason": v.reasons, "errors": v.errors},
	}))(w, r)
}

// normalEntity reads an entity that must be written as Cedar itself writes it.
func normalEntity(_, text string) (uid types.EntityUID, ok bool) {
	err := uid.UnmarshalCedar([]byte(text))
	return uid, err == nil && uid.String() == text
}

func bareEntity(kind, text string) (types.EntityUID, bool) {
	return types.NewEntityUID(types.EntityType(kind), types.String(text)), text != ""
}

// contextOf reads a context; Cedar's JSON has neither null nor fractions.
func contextOf(text json.RawMessage) (types.Record, bool) {
	var record types.Record
	err := record.UnmarshalJSON(text)
	return record, err == nil
}
