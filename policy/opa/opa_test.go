package opa_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"kest.example/kest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/opa"
)

func codec(t testing.TB, prefix, decision string) *opa.Codec {
	t.Helper()
	c, err := opa.New(prefix, decision)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestQuestion(t *testing.T) {
	about := kesttest.Context(t, "orders.read")
	for _, c := range [][3]string{
		{"", "pci", "/v1/data/pci"},
		{"kest", "team/refunds", "/v1/data/kest/team/refunds"},
		{"/kest.prod/", "team.refunds", "/v1/data/kest/prod/team/refunds"},
		{"/", "a/b.c/d-e_f", "/v1/data/a/b/c/d-e_f"},
	} {
		q, err := codec(t, c[0], "").Question(c[1], about)
		if err != nil || q.Method != "POST" || q.Path != c[2] || string(q.Body) != `{"input":`+string(about.JSON())+`}` {
			t.Errorf("%v: %+v, %v", c, q, err)
		}
	}
}

// A name that is none could lead to another policy, or away from policies.
func TestNoQuestionForWhatIsNoName(t *testing.T) {
	about := kesttest.Context(t, "orders.read")
	for _, name := range []string{"", "/", "a/", "/a", "a//b", "../a", "a/..", ".", "a?b", "a#b", "a%2fb", "a b", "a\x00", "ä", "a\r\n"} {
		if q, err := codec(t, "", "").Question(name, about); q.Path != "" || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%q: %+v, %v", name, q, err)
		}
	}
}

func TestConfigurationThatIsWrong(t *testing.T) {
	for _, c := range [][3]string{
		{"a?b", "", "path_prefix"},
		{"a//b", "", "path_prefix"},
		{"..", "", "path_prefix"},
		{"a b", "", "path_prefix"},
		{"", "a..b", "decision_path"},
		{"", ".", "decision_path"},
		{"", "result.", "decision_path"},
		{"", ".result", "decision_path"},
	} {
		var wrong *kest.MemberError
		if codec, err := opa.New(c[0], c[1]); codec != nil || !errors.As(err, &wrong) || wrong.Member != c[2] {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		decision, body string
		allow          bool
	}{
		{"", `{"result":{"allow":true}}`, true},
		{"", `{"result":true,"decision_id":"x"}`, true},
		{"result", `{"result":true}`, true},
		{"result.pci.ok", `{"result":{"pci":{"ok":true}}}`, true},
		{"result.pci.ok", `{"result":true}`, true}, // a bare boolean is taken, wherever the decision is
		{"allow", `{"allow":true}`, true},
		{"result", `{"result":{"allow":true}}`, false},
		{"result.pci.ok", `{"result":{"allow":true}}`, false},
		{"result.allow", `{"result":{"allow":"true"}}`, false},
		{"allow", `{"allow":true,"result":false}`, false},
		{"", `{"result":{"allow":1}}`, false},
		{"", `{"result":{"allow":[true]}}`, false},
		{"", `{"result":{"allow":{}}}`, false},
		{"", `{"result":{"allow":null}}`, false},
		{"", `{"result":"true"}`, false},
		{"", `{"result":false}`, false},
		{"", `{"allow":true}`, false},
		{"", `{}`, false},
		{"", `null`, false},
		{"", `true`, false},
		{"", `[{"result":true}]`, false},
	} {
		if d, err := codec(t, "", c.decision).Answer("p", 200, []byte(c.body)); err != nil || d.Allow != c.allow || d.Reason == "" {
			t.Errorf("%+v: %+v, %v", c, d, err)
		}
	}
}

func TestReason(t *testing.T) {
	for body, want := range map[string]string{
		`{"result":{"allow":true},"decision_id":"4ca6"}`: "result.allow is true (OPA's decision 4ca6)",
		`{"result":{"allow":false}}`:                     "result.allow is false",
		`{"result":{"allow":"true"}}`:                    "result.allow is no boolean",
		`{"decision_id":"a\nb\u007f"}`:                   "result.allow is undefined (OPA's decision a b )",
		`{"result":true,"decision_id":7}`:                "result is true",
	} {
		if d, _ := codec(t, "", "").Answer("p", 200, []byte(body)); d.Reason != want {
			t.Errorf("%s: %s", body, d.Reason)
		}
	}
	long := `{"decision_id":"` + strings.Repeat("ü", 5000) + `"}`
	if d, err := codec(t, "", "").Answer("p", 200, []byte(long)); err != nil || len(d.Reason) > 512 || !strings.Contains(d.Reason, "…") {
		t.Errorf("%d bytes of reason, %v", len(d.Reason), err)
	}
}

func TestAnswersThatDecideNothing(t *testing.T) {
	c := codec(t, "", "")
	for _, body := range []string{
		"", " ", "x", `{"result":true`, `{"result":false,"result":true}`, `{"result":{"allow":false,"allow":true}}`, `{"result":true}{}`, `{"result":true}x`,
		"\ufeff" + `{"result":true}`, "{\"result\":true,\"x\":\"\xff\"}", `{"result":true,"x":"\ud800"}`, `{"result":true,}`, `{'result':true}`,
	} {
		if d, err := c.Answer("p", 200, []byte(body)); d != (kest.Decision{}) || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, status := range []int{0, 100, 199, 201, 204, 302, 404, 500} {
		if d, err := c.Answer("p", status, []byte(`{"result":true}`)); d != (kest.Decision{}) || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%d: %+v, %v", status, d, err)
		}
	}
	large := append([]byte(`{"result":true}`), bytes.Repeat([]byte(" "), kest.MaxAnswer)...)
	if d, err := c.Answer("p", 200, large); d != (kest.Decision{}) || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("a large one: %+v, %v", d, err)
	}
	if d, err := c.Answer("p", 200, large[:kest.MaxAnswer]); err != nil || !d.Allow {
		t.Errorf("the largest that may be: %+v, %v", d, err)
	}
}

// FuzzAnswer holds the codec against encoding/json: what it allows, that allows
// too, and an error comes with no decision.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"result":{"allow":true}}`, `{"result":true}`, `{"result":{"allow":false,"allow":true}}`, `{"Result":{"Allow":true}}`, `[{"result":true}]`, `{"result":"true"} `,
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
		allow := json.Unmarshal(body, &answer) == nil && answer["result"] == true
		if result, ok := answer["result"].(map[string]any); ok {
			allow = result["allow"] == true
		}
		if d.Allow != allow {
			t.Fatalf("%q: %+v, and encoding/json says %v", body, d, allow)
		}
	})
}
