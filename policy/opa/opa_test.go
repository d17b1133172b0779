package opa_test

import (
	"errors"
	"testing"

	"kest.example/kest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/opa"
)

func codec(t *testing.T, prefix, decision string) *opa.Codec {
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
	} {
		q, err := codec(t, c[0], "").Question(c[1], about)
		if err != nil || q.Method != "POST" || q.Path != c[2] || string(q.Body) != `{"input":`+string(about.JSON())+`}` {
			t.Errorf("%v: %+v, %v", c, q, err)
		}
	}
}

func TestConfigurationThatIsWrong(t *testing.T) {
	for _, c := range [][3]string{{"a?b", "", "path_prefix"}, {"a//b", "", "path_prefix"}, {"", "a..b", "decision_path"}, {"", ".", "decision_path"}} {
		var wrong *kest.MemberError
		if _, err := opa.New(c[0], c[1]); !errors.As(err, &wrong) || wrong.Member != c[2] {
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
		{"result.pci.ok", `{"result":{"allow":true}}`, false},
		{"result.allow", `{"result":{"allow":"true"}}`, false},
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
	c := codec(t, "", "")
	for _, body := range []string{"", "x", `{"result":true`, `{"result":false,"result":true}`, `{"result":true}{}`, "{\"result\":true,\"x\":\"\xff\"}"} {
		if d, err := c.Answer("p", 200, []byte(body)); d.Allow || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, status := range []int{0, 201, 204, 302, 404, 500} {
		if d, err := c.Answer("p", status, []byte(`{"result":true}`)); d.Allow || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%d: %+v, %v", status, d, err)
		}
	}
	if _, err := c.Answer("p", 200, make([]byte, kest.MaxAnswer+1)); !errors.Is(err, kest.ErrUnavailable) {
		t.Error(err)
	}
}
