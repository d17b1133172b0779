package cedaragent_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/policy/cedaragent"
)

func codec(t testing.TB, prefix, wire string) *cedaragent.Codec {
	t.Helper()
	c, err := cedaragent.New(prefix, wire)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func about(t testing.TB, text string) *kest.Context {
	t.Helper()
	c, err := kest.ParseContext([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// question is what a server reads.
type question struct {
	Principal, Action, Resource string
	Context                     map[string]any
}

func ask(t testing.TB, c *cedaragent.Codec, policy string, context *kest.Context) (path string, have question) {
	t.Helper()
	q, err := c.Question(policy, context)
	if err != nil || q.Method != "POST" {
		t.Fatalf("%+v, %v", q, err)
	}
	if err := json.Unmarshal(q.Body, &have); err != nil {
		t.Fatal(err)
	}
	return q.Path, have
}

func TestQuestion(t *testing.T) {
	for _, c := range []struct{ prefix, wire, path, principal, action, resource, nothing string }{
		{"", "", "/v1/is_authorized", `Workload::"spiffe://t/a"`, `Action::"team/p"`, `Resource::"7"`, `Resource::"*"`},
		{"/api/v2/", cedaragent.WireCedarAgent, "/api/v2/is_authorized", `Workload::"spiffe://t/a"`, `Action::"team/p"`, `Resource::"7"`, `Resource::"*"`},
		{"", cedaragent.WireKest03, "/is_authorized", "spiffe://t/a", "team/p", "7", "*"},
		{"v1", cedaragent.WireKest03, "/v1/is_authorized", "spiffe://t/a", "team/p", "7", "*"},
	} {
		path, have := ask(t, codec(t, c.prefix, c.wire), "team/p", about(t, `{"identity": "spiffe://t/a", "object": {"id": "7"}}`))
		if path != c.path || have.Principal != c.principal || have.Action != c.action || have.Resource != c.resource || have.Context["identity"] != "spiffe://t/a" {
			t.Errorf("%+v: %s %+v", c, path, have)
		}
		if _, have = ask(t, codec(t, c.prefix, c.wire), "team/p", about(t, `{"identity": "spiffe://t/a"}`)); have.Resource != c.nothing {
			t.Errorf("%+v: without a resource %+v", c, have)
		}
	}
}

// Whatever an id holds, it comes as that id, in the one form that Cedar itself
// would write: a Cedar Agent takes no other.
func TestEntities(t *testing.T) {
	ids := []string{"*", `a"b`, `a\b`, `a\`, `"`, `a"; permit(principal, action, resource); //`, "O'Brien", "a\nb\r\t\x00\x01\x7f", "ä 😀 日本", "\u00a0\u200b\ufeff", "\\u{61}", `\"`}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var id strings.Builder
		for range 1 + random.IntN(12) {
			id.WriteRune([]rune{rune(random.IntN(128)), '"', '\\', '\'', rune(0xa0 + random.IntN(0x100)), rune(0x2000 + random.IntN(0x80)), rune(0x4e00 + random.IntN(100)), 0x1f600}[random.IntN(8)])
		}
		ids = append(ids, id.String())
	}
	c := codec(t, "", "")
	for _, id := range ids {
		context := *about(t, `{}`)
		context.Object.ID, context.Subject.Workload = id, id
		_, have := ask(t, c, "p", &context)
		for kind, text := range map[string]string{"Workload": have.Principal, "Resource": have.Resource} {
			var uid types.EntityUID
			if err := uid.UnmarshalCedar([]byte(text)); err != nil || uid != types.NewEntityUID(types.EntityType(kind), types.String(id)) || uid.String() != text {
				t.Fatalf("%q becomes %s: %v, %v", id, text, uid, err)
			}
		}
	}
}

func TestContextThatCedarCannotHold(t *testing.T) {
	for text, member := range map[string]string{
		`{"object": {"attributes": {"a": {"b": [1, 1.5]}}}}`:                                      "object.attributes.a.b",
		`{"object": {"attributes": {"n": 1e300}}}`:                                                "object.attributes.n",
		`{"subject": {"attributes": {"n": -0.5}}}`:                                                "subject.attributes.n",
		`{"object": {"attributes": {"__entity": {"type": "Workload", "id": "spiffe://t/b"}}}}`:    "object.attributes.__entity",
		`{"object": {"attributes": {"a": [{"__extn": {"fn": "ip", "arg": "10.0.0.1"}}]}}}`:        "object.attributes.a.__extn",
		`{"lineage": {"taint_sources": {"__expr": "spiffe://t/b"}}}`:                              "lineage.taint_sources.__expr",
		`{"subject": {"taints": ["__entity=x"], "labels": {"__entity": ["x"]}}, "object": {}}`:    "subject.labels.__entity",
		`{"subject": {"taints": ["__extn=x"]}}`:                                                   "subject.labels.__extn",
		`{"subject": {"attributes": {"list": [{"deeper": {"still": {"n": 9007199254740994}}}]}}}`: "subject.attributes.list.deeper.still.n",
	} {
		q, err := codec(t, "", "").Question("p", about(t, text))
		var wrong *kest.MemberError
		if q.Path != "" || !errors.As(err, &wrong) || wrong.Member != member {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNoQuestionForWhatIsNoName(t *testing.T) {
	for _, name := range []string{"", "*", "a/", "../a", "a b", "a\x00", `a"`, `a", resource == Resource::"b`} {
		if q, err := codec(t, "", "").Question(name, about(t, `{}`)); q.Path != "" || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%q: %+v, %v", name, q, err)
		}
	}
}

func TestConfigurationThatIsWrong(t *testing.T) {
	for _, c := range [][3]string{{"", "v2", "wire"}, {"", "Kest-0.3", "wire"}, {"a?b", "", "prefix"}, {"a//b", "", "prefix"}, {"..", "kest-0.3", "prefix"}} {
		var wrong *kest.MemberError
		if codec, err := cedaragent.New(c[0], c[1]); codec != nil || !errors.As(err, &wrong) || wrong.Member != c[2] {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	c := codec(t, "", "")
	for body, want := range map[string]kest.Decision{
		`{"decision":"Allow"}`:                                                      {Allow: true, Reason: "permitted"},
		`{"decision":"Allow","diagnostics":null}`:                                   {Allow: true, Reason: "permitted"},
		`{"decision":"Allow","diagnostics":{}}`:                                     {Allow: true, Reason: "permitted"},
		`{"decision":"Allow","diagnostics":{"reason":["a","b"],"errors":[]}}`:       {Allow: true, Reason: "permitted by a, b"},
		`{"decision":"Allow","diagnostics":{"reason":["a"],"errors":["a: x","y"]}}`: {Reason: "a policy could not be evaluated: a: x, y"},
		`{"decision":"Deny","diagnostics":{"reason":["a"],"errors":["b: x"]}}`:      {Reason: "a policy could not be evaluated: b: x"},
		`{"decision":"Allow","diagnostics":{"reason":["a"],"errors":"x"}}`:          {Reason: "a policy could not be evaluated: x"},
		`{"decision":"Allow","diagnostics":"x"}`:                                    {Reason: "a policy could not be evaluated: x"},
		`{"decision":"Deny","diagnostics":{"reason":[],"errors":[]}}`:               {Reason: "no permit applies"},
		`{"decision":"Deny","diagnostics":{"reason":["f"],"errors":[]}}`:            {Reason: "forbidden by f"},
		`{"decision":"allow"}`:                                                      {Reason: "no permit applies"},
		`{"decision":true}`:                                                         {Reason: "the answer holds no decision"},
		`{"decision":["Allow"]}`:                                                    {Reason: "the answer holds no decision"},
		`{}`:                                                                        {Reason: "the answer holds no decision"},
		`null`:                                                                      {Reason: "the answer holds no decision"},
		`"Allow"`:                                                                   {Reason: "the answer holds no decision"},
	} {
		if d, err := c.Answer("p", 200, []byte(body)); err != nil || d != want {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, body := range []string{"", "x", `{"decision":"Allow"`, `{"decision":"Deny","decision":"Allow"}`, `{"decision":"Allow"} {}`} {
		if d, err := c.Answer("p", 200, []byte(body)); d != (kest.Decision{}) || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, status := range []int{0, 201, 204, 302, 400, 401, 404, 500} {
		if d, err := c.Answer("p", status, []byte(`{"decision":"Allow"}`)); d != (kest.Decision{}) || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%d: %+v, %v", status, d, err)
		}
	}
	if d, err := c.Answer("p", 200, make([]byte, kest.MaxAnswer+1)); d != (kest.Decision{}) || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("%+v, %v", d, err)
	}
}

// FuzzAnswer holds the codec against encoding/json, as far as that reads the same.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"decision":"Allow","diagnostics":{"reason":["p"],"errors":[]}}`, `{"decision":"Allow","diagnostics":{"errors":["x"]}}`, `{"decision":"Allow"}`,
		`{"decision":"Deny"}`, `{"Decision":"Allow"}`, `{"decision":"Allow","diagnostics":7}`,
	} {
		f.Add([]byte(body))
	}
	c := codec(f, "", "")
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := c.Answer("p", 200, body)
		if err != nil {
			if d != (kest.Decision{}) || !errors.Is(err, kest.ErrUnavailable) {
				t.Fatalf("%q: %+v, %v", body, d, err)
			}
			return
		}
		var answer map[string]any
		allow := json.Unmarshal(body, &answer) == nil && answer["decision"] == "Allow"
		if diagnostics := answer["diagnostics"]; diagnostics != nil {
			m, ok := diagnostics.(map[string]any)
			list, isList := m["errors"].([]any)
			allow = allow && ok && (m["errors"] == nil || isList && len(list) == 0)
		}
		if d.Allow != allow {
			t.Fatalf("%q: %+v, and encoding/json says %v", body, d, allow)
		}
	})
}
