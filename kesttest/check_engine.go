package kesttest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"kest.example/kest"
)

// TestEngine checks what Kest relies on in a kest.Engine. Of the two policies,
// one must allow and one must deny the context that Context(t, "kesttest.read",
// "kesttest") returns. A policy that the engine doesn't know never allows, nor does
// an answer beside an error, the context stays as it was, and concurrent questions
// don't mix. An engine that asks over a network ends when its caller does.
func TestEngine(t testing.TB, e kest.Engine, allowed, denied string) {
	t.Helper()
	c := Context(t, "kesttest.read", "kesttest")
	before := string(c.JSON())
	if d, err := e.Evaluate(context.Background(), allowed, c); err != nil || !d.Allow {
		t.Errorf("the policy %q does not allow: %+v, %v", allowed, d, err)
	}
	if d, err := e.Evaluate(context.Background(), denied, c); d.Allow {
		t.Errorf("the policy %q does not deny: %+v, %v", denied, d, err)
	}
	for _, name := range unknownPolicies(allowed) {
		d, err := e.Evaluate(context.Background(), name, c)
		if d.Allow {
			t.Errorf("the policy %q, which there isn't, allows: %+v, %v", name, d, err)
		}
	}
	checkConcurrentQuestions(t, e, c, allowed, denied)
	if string(c.JSON()) != before {
		t.Errorf("Evaluate changed the context")
	}
	if d, ok := e.(kest.PolicyDigester); ok {
		checkDigests(t, d, allowed, denied)
	}
	if r, ok := e.(kest.RemoteEngine); ok && r.Remote(allowed) {
		checkCallerEnds(t, e, c, allowed)
	}
}

// checkCallerEnds asks under contexts that are over before the answer can come.
func checkCallerEnds(t testing.TB, e kest.Engine, c *kest.Context, allowed string) {
	t.Helper()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	for _, ctx := range []context.Context{cancelled, late} {
		if d, err := e.Evaluate(ctx, allowed, c); d.Allow || !errors.Is(err, ctx.Err()) {
			t.Errorf("asked under a context that is over (%v): %+v, %v", ctx.Err(), d, err)
		}
	}
}

// TestEngineUnavailable checks an engine whose server is away, or answers as no
// server should: whatever it is asked, its decision is the zero one and its error
// wraps kest.ErrUnavailable, which a proxy answers with 503.
func TestEngineUnavailable(t testing.TB, e kest.Engine, policies ...string) {
	t.Helper()
	c := Context(t, "kesttest.read", "kesttest")
	before := string(c.JSON())
	if len(policies) == 0 {
		t.Errorf("no policy is given to ask for")
	}
	var wait sync.WaitGroup
	answers := make([]kest.Answer, len(policies))
	for i, name := range policies {
		wait.Go(func() { answers[i].Decision, answers[i].Err = e.Evaluate(context.Background(), name, c) })
	}
	wait.Wait()
	for i, a := range answers {
		if a.Decision != (kest.Decision{}) || !errors.Is(a.Err, kest.ErrUnavailable) {
			t.Errorf("the policy %q: %+v, %v", policies[i], a.Decision, a.Err)
		}
	}
	if string(c.JSON()) != before {
		t.Errorf("Evaluate changed the context")
	}
}

// unknownPolicies are names near the one that allows.
func unknownPolicies(allowed string) []string {
	return []string{"", "kesttest-no-such-policy", allowed + "x", allowed + "/", "../" + allowed, allowed + "\x00", " " + allowed, allowed + "*", "*"}
}

func checkConcurrentQuestions(t testing.TB, e kest.Engine, c *kest.Context, allowed, denied string) {
	t.Helper()
	const callers, rounds = 16, 8
	wrong := make([]string, callers)
	var wait sync.WaitGroup
	for i := range callers {
		name := allowed
		if i%2 == 1 {
			name = denied
		}
		wait.Go(func() {
			for range rounds {
				d, err := e.Evaluate(context.Background(), name, c)
				if d.Allow != (name == allowed) || err != nil && name == allowed {
					wrong[i] = name
				}
				if err != nil && d.Allow {
					wrong[i] = name + " (which allowed beside an error)"
				}
			}
		})
	}
	wait.Wait()
	for _, name := range wrong {
		if name != "" {
			t.Errorf("under concurrent use another answer for the policy %s", name)
			return
		}
	}
}

func checkDigests(t testing.TB, d kest.PolicyDigester, allowed, denied string) {
	t.Helper()
	seen := make(map[string]string)
	for _, name := range []string{allowed, denied} {
		digest, known := d.Digest(name)
		again, _ := d.Digest(name)
		if !known || digest == "" || digest != again {
			t.Errorf("Digest of the policy %q: %q, then %q, known %v", name, digest, again, known)
		}
		if other, taken := seen[digest]; taken {
			t.Errorf("the policies %q and %q have the same digest", other, name)
		}
		seen[digest] = name
	}
	if digest, known := d.Digest("kesttest-no-such-policy"); known || digest != "" {
		t.Errorf("Digest of a policy that there isn't: %q, known %v", digest, known)
	}
}
