package cedaragent_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/policy/cedaragent"
)

func codec(t *testing.T, prefix, wire string) *cedaragent.Codec {
	t.Helper()
	c, err := cedaragent.New(prefix, wire)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func context(t *testing.T, text string) *kest.Context {
	t.Helper()
	c, err := kest.ParseContext([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type question struct {
	Principal, Action, Resource string
	Context                     map[string]any
}

func TestQuestion(t *testing.T) {
	const odd = "a\"b\\c\n"
	about := context(t, `{"identity": "spiffe://t/a", "object": {"id": "a\"b\\c\n", "attributes": {"n": null, "list": [1, null]}}, "subject": {"user": "ana", "taints": ["x"]}}`)
	for _, c := range []struct{ prefix, wire, path, principal, action string }{
		{"", "", "/v1/is_authorized", `Workload::"spiffe://t/a"`, `Action::"team/p"`},
		{"/api/v2/", cedaragent.WireCedarAgent, "/api/v2/is_authorized", `Workload::"spiffe://t/a"`, `Action::"team/p"`},
		{"", cedaragent.WireKest03, "/is_authorized", "spiffe://t/a", "team/p"},
		{"v1", cedaragent.WireKest03, "/v1/is_authorized", "spiffe://t/a", "team/p"},
	} {
		q, err := codec(t, c.prefix, c.wire).Question("team/p", about)
		var have question
		if err != nil || q.Method != "POST" || q.Path != c.path || json.Unmarshal(q.Body, &have) != nil || have.Principal != c.principal || have.Action != c.action {
			t.Errorf("%+v: %v, %s %s", c, err, q.Path, q.Body)
			continue
		}
		resource := have.Resource
		if c.wire != cedaragent.WireKest03 {
			var uid types.EntityUID
			if err := uid.UnmarshalCedar([]byte(resource)); err != nil {
				t.Errorf("the resource %s is no entity: %v", resource, err)
			}
			resource = string(uid.ID)
		}
		if resource != odd {
			t.Errorf("the resource is %q", resource)
		}
		attributes, _ := have.Context["object.attributes"].(map[string]any)
		if _, there := attributes["n"]; there || len(attributes["list"].([]any)) != 1 || have.Context["user"] != "ana" || have.Context["subject.user"] != "ana" {
			t.Errorf("the context is %v", have.Context)
		}
		if _, there := have.Context["agent"]; there {
			t.Error("a null is in the context")
		}
	}
	if _, err := codec(t, "", "").Question("p", context(t, `{"object": {"attributes": {"x": 1.5}}}`)); err == nil {
		t.Error("a number that is no integer is asked")
	}
}

func TestConfigurationThatIsWrong(t *testing.T) {
	var wrong *kest.MemberError
	if _, err := cedaragent.New("", "v2"); !errors.As(err, &wrong) || wrong.Member != "wire" {
		t.Error(err)
	}
	if _, err := cedaragent.New("a?b", ""); !errors.As(err, &wrong) || wrong.Member != "prefix" {
		t.Error(err)
	}
}

func TestAnswer(t *testing.T) {
	c := codec(t, "", "")
	for body, allow := range map[string]bool{
		`{"decision":"Allow"}`: true,
		`{"decision":"Allow","diagnostics":{"reason":["a","b"],"errors":[]}}`:   true,
		`{"decision":"Allow","diagnostics":{"reason":["a"],"errors":["a: x"]}}`: false,
		`{"decision":"Allow","diagnostics":{"reason":["a"],"errors":"x"}}`:      false,
		`{"decision":"Deny","diagnostics":{"reason":[],"errors":[]}}`:           false,
		`{"decision":"allow"}`: false, `{"decision":true}`: false, `{"decision":["Allow"]}`: false, `{}`: false, `null`: false, `[]`: false, `"Allow"`: false,
	} {
		if d, err := c.Answer("p", 200, []byte(body)); err != nil || d.Allow != allow || d.Reason == "" && !allow {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, body := range []string{"", "x", `{"decision":"Allow"`, `{"decision":"Deny","decision":"Allow"}`, `{"decision":"Allow"} {}`} {
		if d, err := c.Answer("p", 200, []byte(body)); d.Allow || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, status := range []int{0, 201, 204, 302, 404, 500} {
		if d, err := c.Answer("p", status, []byte(`{"decision":"Allow"}`)); d.Allow || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%d: %+v, %v", status, d, err)
		}
	}
	if _, err := c.Answer("p", 200, make([]byte, kest.MaxAnswer+1)); !errors.Is(err, kest.ErrUnavailable) {
		t.Error(err)
	}
}
