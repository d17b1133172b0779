package kest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
)

func seed(b byte) []byte { return []byte(strings.Repeat(string(rune(b)), 32)) }

// fleet is a few workloads that know each other's keys.
type fleet struct {
	t    *testing.T
	keys kest.StaticKeys
	now  time.Time
}

func newFleet(t *testing.T) *fleet {
	return &fleet{t: t, keys: kest.StaticKeys{}, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
}

func (f *fleet) hook(workload string, engine kest.Engine, options ...kest.HookOption) *kest.Hook {
	f.t.Helper()
	provider, err := kest.InsecureSeedProvider(workload, seed(workload[len(workload)-1]))
	if err != nil {
		f.t.Fatal(err)
	}
	id, err := provider.Identity(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	f.keys[workload] = []kest.PublicKey{id.Key}
	clock := kest.WithHookClock(func() time.Time { return f.now })
	h, err := kest.NewHook(provider, engine, append([]kest.HookOption{clock}, options...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	return h
}

func (f *fleet) operation(h *kest.Hook, hop kest.Hop) *kest.Operation {
	f.t.Helper()
	if hop.Policies == nil {
		hop.Policies = []string{"any"}
	}
	o, err := h.Operation(hop)
	if err != nil {
		f.t.Fatal(err)
	}
	return o
}

func (f *fleet) verifier(authority kest.Authority, options ...kest.VerifierOption) *kest.Verifier {
	f.t.Helper()
	options = append(options, kest.WithClock(func() time.Time { return f.now }))
	if authority == nil {
		options = append(options, kest.InsecureTrustAllClaims())
	}
	v, err := kest.NewVerifier(f.keys, authority, options...)
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

// must runs an operation and returns the lineage that its body sees.
func (f *fleet) must(ctx context.Context, o *kest.Operation, options ...kest.CallOption) *kest.Lineage {
	f.t.Helper()
	var l *kest.Lineage
	err := o.Do(ctx, func(ctx context.Context) error {
		l = kest.CurrentLineage(ctx)
		return nil
	}, options...)
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

func TestThreeHops(t *testing.T) {
	f := newFleet(t)
	edge := f.operation(f.hook("spiffe://t/edge", kest.AllowAll()), kest.Hop{
		Operation: "ask", RootOrigin: "internet", AddedTaints: []string{"unverified"},
	})
	agent := f.operation(f.hook("spiffe://t/agent", kest.AllowAll()), kest.Hop{Operation: "plan", AddedTaints: []string{"llm"}})
	orders := f.operation(f.hook("spiffe://t/orders", kest.AllowAll()), kest.Hop{Operation: "refund"})
	v := f.verifier(nil)

	ctx := context.Background()
	l := f.must(ctx, edge)
	for _, o := range []*kest.Operation{agent, orders} {
		verified, err := v.Verify(ctx, l.Passport())
		if err != nil {
			t.Fatal(err)
		}
		l = f.must(kest.WithLineage(ctx, verified, kest.Actor{}), o)
	}
	verified, err := v.Verify(ctx, l.Passport())
	if err != nil {
		t.Fatal(err)
	}
	if got := verified.Trust(); got != 10 { // TC-04
		t.Errorf("trust %d, want 10", got)
	}
	if got := strings.Join(verified.Taints(), " "); got != "llm unverified" {
		t.Errorf("taints %q", got)
	}
	if s := verified.Summary(); s.Depth != 3 || len(s.Principals) != 3 || s.Callers[0] != "spiffe://t/orders" {
		t.Errorf("summary %+v", s)
	}
	again, err := kest.ParsePassport(l.Passport().String())
	if err != nil || again.String() != l.Passport().String() {
		t.Errorf("the wire form does not come back: %v", err)
	}
}

func TestDenialStopsTheOperation(t *testing.T) { // TC-07, TC-08
	f := newFleet(t)
	engine := kest.EngineFunc(func(_ context.Context, policy string, _ *kest.Context) (kest.Decision, error) {
		return kest.Decision{Allow: policy == "yes", Reason: "no"}, nil
	})
	o := f.operation(f.hook("spiffe://t/a", engine), kest.Hop{
		Operation: "x", RootOrigin: "internal", Policies: []string{"yes", "no"},
	})
	ran := false
	err := o.Do(context.Background(), func(context.Context) error { ran = true; return nil })
	var denial *kest.DenialError
	if !errors.As(err, &denial) || !errors.Is(err, kest.ErrDenied) {
		t.Fatalf("error %v, want a denial", err)
	}
	if ran || denial.Policy != "no" || denial.Tier != kest.TierFunction || denial.DecisionID == "" {
		t.Errorf("ran %v, denial %+v", ran, denial)
	}
}

func TestNoRootNoPassport(t *testing.T) {
	f := newFleet(t)
	o := f.operation(f.hook("spiffe://t/a", kest.AllowAll()), kest.Hop{Operation: "x"})
	err := o.Do(context.Background(), func(context.Context) error { t.Error("it ran"); return nil })
	if !errors.Is(err, kest.ErrNoRoot) {
		t.Errorf("error %v, want ErrNoRoot", err)
	}
}

func TestSequentialCallsChainAndConcurrentOnesBranch(t *testing.T) { // spec 11.7
	f := newFleet(t)
	h := f.hook("spiffe://t/a", kest.AllowAll())
	outer := f.operation(h, kest.Hop{Operation: "outer", RootOrigin: "internal"})
	inner := f.operation(h, kest.Hop{Operation: "inner"})
	v := f.verifier(nil)
	err := outer.Do(context.Background(), func(ctx context.Context) error {
		f.must(ctx, inner)
		f.must(ctx, inner)
		l := kest.CurrentLineage(ctx)
		if l.Len() != 3 || len(l.Leaves()) != 1 || l.Summary().Depth != 3 {
			t.Errorf("after two calls in sequence: %d entries, %d leaves", l.Len(), len(l.Leaves()))
		}
		started, finish := make(chan bool, 2), make(chan bool)
		done := make(chan error, 2)
		for range 2 {
			go func() {
				done <- inner.Do(ctx, func(context.Context) error { started <- true; <-finish; return nil })
			}()
		}
		<-started
		<-started
		close(finish)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		l = kest.CurrentLineage(ctx)
		if l.Len() != 5 || len(l.Leaves()) != 2 {
			t.Errorf("after two calls side by side: %d entries, %d leaves", l.Len(), len(l.Leaves()))
		}
		f.must(ctx, inner) // joins them
		l = kest.CurrentLineage(ctx)
		if len(l.Leaves()) != 1 {
			t.Errorf("the joining entry leaves %d leaves", len(l.Leaves()))
		}
		_, err := v.Verify(ctx, l.Passport())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOverride(t *testing.T) { // TC-05
	f := newFleet(t)
	h := f.hook("spiffe://t/a", kest.AllowAll())
	score := 100
	root := f.operation(h, kest.Hop{Operation: "in", RootOrigin: "internet", AddedTaints: []string{"a", "b"}})
	clean := f.operation(h, kest.Hop{Operation: "clean", TrustOverride: &score, RemovedTaints: []string{"b"}, AddedTaints: []string{"c"}})
	l := f.must(context.Background(), root)
	l = f.must(kest.WithLineage(context.Background(), l, kest.Actor{}), clean)
	tip := l.Tips()[0]
	if tip.TrustScore != 100 || tip.Classification != kest.ClassSanitizer || strings.Join(tip.Taints, "") != "ac" {
		t.Errorf("tip %+v", tip)
	}
	if _, err := f.verifier(nil).Verify(context.Background(), l.Passport()); err != nil {
		t.Error(err)
	}
	for name, g := range map[string]kest.Grant{
		"override":  {Origins: []string{"internet"}, MaxRootTrust: 100, MaxOverride: 99, RemoveTaints: []kest.Pattern{"b"}},
		"removal":   {Origins: []string{"internet"}, MaxRootTrust: 100, MaxOverride: 100},
		"origin":    {MaxRootTrust: 100, MaxOverride: 100, RemoveTaints: []kest.Pattern{"b"}},
		"rootTrust": {Origins: []string{"internet"}, MaxRootTrust: 9, MaxOverride: 100, RemoveTaints: []kest.Pattern{"b"}},
	} {
		g.Principal = "spiffe://t/*"
		_, err := f.verifier(kest.Authority{g}).Verify(context.Background(), l.Passport())
		if fault := kest.AsVerificationError(err); fault == nil || fault.Reason != kest.ReasonAuthority {
			t.Errorf("%s: error %v, want authority", name, err)
		}
	}
}
