package regopolicy

import (
	"context"
	"errors"
	"slices"
	"testing"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/regoinfo"
)

var info = regoinfo.Info{Policies: []regoinfo.Policy{{Name: "a/yes", Digest: "d0", Entry: 0}, {Name: "no", Digest: "d1", Entry: 1}}}

// host answers as a Go host does; what it was asked is in asked.
func host(t *testing.T, answer func(entry uint32) ([]byte, bool)) (asked *[]byte, foreign func(string, []byte) ([]byte, bool)) {
	asked = new([]byte)
	return asked, func(name string, argument []byte) ([]byte, bool) {
		switch name {
		case hostcall.PolicyInfo:
			return info.Append(nil), true
		case hostcall.PolicyEval:
			entry, now, input, err := hostcall.ParseEval(argument)
			if err != nil || now != 1767225600000 {
				t.Errorf("asked with %x: %v", argument, err)
			}
			*asked = input
			return answer(entry)
		}
		return nil, false
	}
}

func question(t *testing.T) *kest.Context {
	t.Helper()
	c, err := kest.ParseContext([]byte(`{"environment": {"timestamp_ms": 1767225600000}}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHostedEngine(t *testing.T) {
	c := question(t)
	asked, foreign := host(t, func(entry uint32) ([]byte, bool) {
		if entry == 0 {
			return hostcall.AppendResult(nil, []byte(`[{"result":true}]`)), true
		}
		return hostcall.AppendResult(nil, []byte(`[]`)), true
	})
	e, err := New(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if names := e.Names(); !slices.Equal(names, []string{"a/yes", "no"}) {
		t.Errorf("policies %q", names)
	}
	if d, ok := e.Digest("a.yes"); d != "d0" || !ok {
		t.Errorf("digest %q, %v", d, ok)
	}
	if _, ok := e.Digest("absent"); ok {
		t.Error("a policy that isn't there has a digest")
	}
	d, err := e.Evaluate(context.Background(), "a.yes", c)
	if err != nil || !d.Allow || d.Revision != "d0" {
		t.Errorf("%+v, %v", d, err)
	}
	if have, err := jcs.Parse(*asked); err != nil || string(jcs.Append(nil, have)) != string(c.JSON()) {
		t.Errorf("asked with %s", *asked)
	}
	if d, err := e.Evaluate(context.Background(), "no", c); err != nil || d.Allow || d.Reason == "" {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := e.Evaluate(context.Background(), "absent", c); err == nil || d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
}

// Whatever else a host answers denies.
func TestHostsThatFail(t *testing.T) {
	for name, answer := range map[string]struct {
		b  []byte
		ok bool
	}{
		"nothing": {}, "empty": {nil, true}, "an unknown form": {[]byte{7, '['}, true}, "cut": {[]byte{0}, true},
		"an abort": {hostcall.AppendAbort(nil, "why"), true}, "an abort without text": {hostcall.AppendAbort(nil, ""), true},
		"true alone": {append([]byte{0}, "true"...), true},
	} {
		_, foreign := host(t, func(uint32) ([]byte, bool) { return answer.b, answer.ok })
		e, err := New(foreign)
		if err != nil {
			t.Fatal(err)
		}
		d, err := e.Evaluate(context.Background(), "no", question(t))
		if _, aborted := errors.AsType[*regoinfo.AbortError](err); d.Allow || aborted != (len(answer.b) > 0 && answer.b[0] == 1) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	for name, text := range map[string]string{"no list": "x", "another list": "[]"} {
		if e, err := New(func(string, []byte) ([]byte, bool) { return []byte(text), true }); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if e, err := New(func(string, []byte) ([]byte, bool) { return nil, false }); err == nil {
		t.Errorf("a host without policies: %+v", e)
	}
}

// keeper is a module that keeps an input; it notes what it was given.
type keeper struct {
	given []string
	err   error
	input keptInput
}

func (k *keeper) kept() *keptInput { return &k.input }

func (k *keeper) evaluate(_ uint32, _ int64, input []byte) ([]byte, error) {
	k.given = append(k.given, string(input))
	return []byte(`[{"result":true}]`), k.err
}

// Policies that use the same of one context share an input that is kept, and no others do.
func TestKeptInput(t *testing.T) {
	uses, err := jcs.ParseString(`{"trust_score": null}`)
	if err != nil {
		t.Fatal(err)
	}
	list := regoinfo.Info{Policies: []regoinfo.Policy{
		{Name: "all"}, {Name: "score", Uses: uses, Entry: 1}, {Name: "score/too", Uses: uses, Entry: 2}, {Name: "all/too", Entry: 3},
	}}
	e, err := New(func(string, []byte) ([]byte, bool) { return list.Append(nil), true })
	if err != nil {
		t.Fatal(err)
	}
	engine, module := e.(*Engine), &keeper{}
	engine.module = module
	second := *engine // of another configuration in the same VM
	one, other := question(t), question(t)
	ask := func(engine *Engine, policy string, c *kest.Context) string {
		d, err := engine.Evaluate(context.Background(), policy, c)
		if (err != nil) != (module.err != nil) || d.Allow != (err == nil) {
			t.Fatalf("%+v, %v", d, err)
		}
		return module.given[len(module.given)-1]
	}
	all, score := string(one.JSON()), `{"trust_score":0}`
	for i, c := range []struct {
		policy  string
		context *kest.Context
		want    string
		second  bool
	}{
		{"score", one, score, false},
		{"score/too", one, "", false},
		{"score.too", one, "", false},
		{"all", one, all, false},
		{"all/too", one, "", false},
		{"score", one, score, false},
		{"score", other, score, false},
		{"score", other, "", false},
		{"score", one, score, false},
		{"score", one, score, true},
		{"score", one, score, false},
		{"score", other, score, true},
		{"score", one, score, false},
		{"score", one, "", false},
	} {
		asked := engine
		if c.second {
			asked = &second
		}
		if have := ask(asked, c.policy, c.context); !sameJSON(have, c.want) {
			t.Errorf("%d: %s was given %q, not %q", i, c.policy, have, c.want)
		}
	}
	module.err = &regoinfo.AbortError{Text: "why"}
	ask(engine, "score", one)
	module.err = nil
	if have := ask(engine, "score", one); have != score {
		t.Errorf("after an abort: %q", have)
	}
}

func sameJSON(a, b string) bool {
	x, err := jcs.ParseString(a)
	if err != nil {
		return a == b
	}
	return string(jcs.Append(nil, x)) == b
}
