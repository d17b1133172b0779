package kest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/kesttest"
)

func planOf(t *testing.T, c kest.PolicyConfig, function ...string) *kest.Plan {
	t.Helper()
	p, err := c.Plan("op", function, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// remote answers policies by name; those whose names begin with r are remote.
type remote struct {
	mu     sync.Mutex
	asked  []string
	answer func(ctx context.Context, policy string) (kest.Decision, error)
}

func (r *remote) Evaluate(ctx context.Context, policy string, _ *kest.Context) (kest.Decision, error) {
	r.mu.Lock()
	r.asked = append(r.asked, policy)
	r.mu.Unlock()
	return r.answer(ctx, policy)
}

func (*remote) Remote(policy string) bool { return policy[0] == 'r' }

func (r *remote) reached() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.asked)
	return r.asked
}

// Remote policies of one tier are asked side by side: each here waits for the other.
func TestRemotePoliciesAreAskedSideBySide(t *testing.T) {
	var together sync.WaitGroup
	together.Add(2)
	e := &remote{answer: func(ctx context.Context, policy string) (kest.Decision, error) {
		if policy[0] == 'r' {
			together.Done()
			together.Wait()
		}
		return kest.Decision{Allow: true}, ctx.Err()
	}}
	p := planOf(t, kest.PolicyConfig{Enterprise: []string{"r1", "local", "r2"}})
	decisions, err := p.Evaluate(context.Background(), e, kesttest.Context(t, "op"), nil)
	if err != nil || len(decisions) != 3 || decisions[1].Policy != "local" {
		t.Errorf("%v, %v", decisions, err)
	}
}

// The denial is the first in the tier's order, and a lower tier isn't asked then.
func TestADenialEndsTheTiers(t *testing.T) {
	e := &remote{answer: func(_ context.Context, policy string) (kest.Decision, error) {
		return kest.Decision{Allow: policy != "r2" && policy != "r3", Reason: policy}, nil
	}}
	p := planOf(t, kest.PolicyConfig{Enterprise: []string{"r1", "r2", "r3"}, Platform: []string{"r4"}})
	var denial *kest.DenialError
	decisions, err := p.Evaluate(context.Background(), e, kesttest.Context(t, "op"), nil)
	if !errors.As(err, &denial) || denial.Policy != "r2" || denial.Reason != "r2" || denial.Tier != kest.TierEnterprise {
		t.Errorf("%v", err)
	}
	if got := e.reached(); !slices.Equal(got, []string{"r1", "r2", "r3"}) || len(decisions) != 2 {
		t.Errorf("asked %v, %d decisions", got, len(decisions))
	}
}

// A local policy that denies spares those after it.
func TestLocalPoliciesStopAtADenial(t *testing.T) {
	e := &remote{answer: func(_ context.Context, policy string) (kest.Decision, error) {
		return kest.Decision{Allow: policy == "a"}, nil
	}}
	p := planOf(t, kest.PolicyConfig{}, "a", "b", "c")
	if _, err := p.Evaluate(context.Background(), e, kesttest.Context(t, "op"), nil); !errors.Is(err, kest.ErrDenied) {
		t.Error(err)
	}
	if got := e.reached(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("asked %v", got)
	}
}

func TestMissingAnswersDeny(t *testing.T) {
	p := planOf(t, kest.PolicyConfig{Enterprise: []string{"a", "b"}}, "c")
	e := p.Begin(kesttest.Context(t, "op"))
	if tier, c, more := e.Next(); !more || tier.Tier != kest.TierEnterprise || c.Environment.PolicyTier != kest.TierEnterprise ||
		!slices.Equal(c.Environment.PolicyNames, []string{"a", "b"}) {
		t.Errorf("%v, %v", tier, more)
	}
	var denial *kest.DenialError
	if err := e.Decide([]kest.Answer{{Decision: kest.Decision{Allow: true}}}); !errors.As(err, &denial) || denial.Policy != "b" {
		t.Errorf("%v", err)
	}
	if _, _, more := e.Next(); more {
		t.Error("there is a tier after a denial")
	}
}

func TestShadowChangesNothing(t *testing.T) {
	e := &remote{answer: func(_ context.Context, policy string) (kest.Decision, error) {
		return kest.Decision{Allow: policy == "a", Reason: policy}, map[string]error{"rb": context.DeadlineExceeded}[policy]
	}}
	p, err := (&kest.PolicyConfig{Shadow: []string{"s", "rb"}}).Plan("op", []string{"a"}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]error{}
	_, err = p.Evaluate(context.Background(), e, kesttest.Context(t, "op"), func(policy string, d kest.Decision, err error) {
		if d.Allow {
			t.Errorf("%s allows", policy)
		}
		told[policy] = err
	})
	if err != nil || len(told) != 2 || !errors.Is(told["rb"], context.DeadlineExceeded) || told["s"] != nil {
		t.Errorf("%v, told %v", err, told)
	}
	if len(p.Context.Function) != 1 {
		t.Errorf("the entry says %+v", p.Context)
	}
}

type patient struct{ remote }

func (*patient) Timeout(string) time.Duration { return time.Hour }

// An engine's own time-out counts, alone and among others.
func TestPatientEngine(t *testing.T) {
	e := &patient{remote{answer: func(ctx context.Context, _ string) (kest.Decision, error) {
		deadline, _ := ctx.Deadline()
		return kest.Decision{Allow: time.Until(deadline) > time.Minute}, nil
	}}}
	var s kest.EngineSet
	if err := s.Add(kest.KindOPA, e, "a"); err != nil {
		t.Fatal(err)
	}
	for _, engine := range []kest.Engine{e, &s} {
		if _, err := planOf(t, kest.PolicyConfig{}, "a").Evaluate(context.Background(), engine, kesttest.Context(t, "op"), nil); err != nil {
			t.Error(err)
		}
	}
}

func TestEngineSet(t *testing.T) {
	yes, no := kest.AllowAll(), kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) { return kest.Decision{}, nil })
	var s kest.EngineSet
	if err := errors.Join(s.Add(kest.KindCedar, yes, "a"), s.Add(kest.KindOPA, no, "b", "c/d")); err != nil {
		t.Fatal(err)
	}
	var wrong *kest.MemberError
	if err := s.Add(kest.KindRego, yes, "b"); !errors.As(err, &wrong) {
		t.Errorf("a name in two engines: %v", err)
	}
	if err := s.Add(kest.KindRego, yes, "no name"); !errors.As(err, &wrong) {
		t.Errorf("no name: %v", err)
	}
	c := kesttest.Context(t, "op")
	for policy, want := range map[string]bool{"a": true, "b": false, "c/d": false} {
		if d, err := s.Evaluate(context.Background(), policy, c); err != nil || d.Allow != want {
			t.Errorf("%s: %v, %v", policy, d, err)
		}
	}
	if d, err := s.Evaluate(context.Background(), "e", c); err == nil || d.Allow {
		t.Errorf("a policy of no engine: %v, %v", d, err)
	}
	if s.Kind("b") != kest.KindOPA || s.Kind("e") != "" || s.Remote("a") {
		t.Errorf("kinds %q, %q", s.Kind("b"), s.Kind("e"))
	}
	if _, known := s.Digest("a"); !known {
		t.Error("a policy without a digest is unknown")
	}
}
