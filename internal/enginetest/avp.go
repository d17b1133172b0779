package enginetest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// NewAVP serves Amazon Verified Permissions: IsAuthorized of one policy store,
// in AWS JSON 1.0. Requests must be signed in form, for that service; whose
// signature it is nobody checks.
func NewAVP(t testing.TB, store string, policies map[string]string) *httptest.Server {
	t.Helper()
	set := policySet(t, policies)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call avpCall
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("X-Amz-Target") != "VerifiedPermissions.IsAuthorized" ||
			r.Header.Get("Content-Type") != "application/x-amz-json-1.0":
			avpRefuses(w, "UnknownOperationException")
		case !strings.Contains(r.Header.Get("Authorization"), "/verifiedpermissions/aws4_request"):
			avpRefuses(w, "IncompleteSignatureException")
		case decoder.Decode(&call) != nil || call.incomplete():
			avpRefuses(w, "ValidationException")
		case call.PolicyStoreID != store:
			avpRefuses(w, "ResourceNotFoundException")
		default:
			answerAVP(w, authorize(set, call.request()))
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func avpRefuses(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(mustJSON(map[string]string{"__type": code, "message": "as the test says"})))
}

func answerAVP(w http.ResponseWriter, v verdict) {
	decision, by, faults := "DENY", []map[string]string{}, []map[string]string{}
	if v.allow {
		decision = "ALLOW"
	}
	for _, id := range v.reasons {
		by = append(by, map[string]string{"policyId": id})
	}
	for _, text := range v.errors {
		faults = append(faults, map[string]string{"errorDescription": text})
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_, _ = w.Write([]byte(mustJSON(map[string]any{"decision": decision, "determiningPolicies": by, "errors": faults})))
}

// avpCall is IsAuthorized's input, as far as an engine uses it.
type avpCall struct {
	PolicyStoreID string    `json:"policyStoreId"`
	Principal     avpEntity `json:"principal"`
	Action        struct {
		Type string `json:"actionType"`
		ID   string `json:"actionId"`
	} `json:"action"`
	Resource avpEntity `json:"resource"`
	Context  struct {
		Map map[string]avpValue `json:"contextMap"`
	} `json:"context"`
}

type avpEntity struct {
	Type string `json:"entityType"`
	ID   string `json:"entityId"`
}

// maxID is how long the id of an entity may be; an action's must be shorter still.
const maxID = 612

func (c *avpCall) incomplete() bool {
	for _, s := range []string{c.Principal.Type, c.Principal.ID, c.Action.Type, c.Action.ID, c.Resource.Type, c.Resource.ID} {
		if s == "" || len(s) > maxID {
			return true
		}
	}
	return c.Context.Map == nil
}

func (c *avpCall) request() cedargo.Request {
	uid := func(kind, id string) types.EntityUID {
		return types.NewEntityUID(types.EntityType(kind), types.String(id))
	}
	return cedargo.Request{
		Principal: uid(c.Principal.Type, c.Principal.ID), Action: uid(c.Action.Type, c.Action.ID),
		Resource: uid(c.Resource.Type, c.Resource.ID), Context: recordOf(c.Context.Map),
	}
}

// avpValue is AWS's AttributeValue: a union of one member.
type avpValue struct {
	Boolean *bool                `json:"boolean"`
	Long    *int64               `json:"long"`
	String  *string              `json:"string"`
	Set     *[]avpValue          `json:"set"`
	Record  *map[string]avpValue `json:"record"`
}

func recordOf(m map[string]avpValue) types.Record {
	record := make(types.RecordMap, len(m))
	for name, v := range m {
		record[types.String(name)] = v.cedar()
	}
	return types.NewRecord(record)
}

func (v avpValue) cedar() types.Value {
	switch {
	case v.Boolean != nil:
		return types.Boolean(*v.Boolean)
	case v.Long != nil:
		return types.Long(*v.Long)
	case v.Set != nil:
		var list []types.Value
		for _, item := range *v.Set {
			list = append(list, item.cedar())
		}
		return types.NewSet(list...)
	case v.Record != nil:
		return recordOf(*v.Record)
	case v.String != nil:
		return types.String(*v.String)
	}
	return types.String("a value of no kind")
}
