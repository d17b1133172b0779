package kest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/secretscan"
)

// providerFunc makes a provider of a function.
type providerFunc func(context.Context) (*kest.Identity, error)

func (f providerFunc) Identity(ctx context.Context) (*kest.Identity, error) { return f(ctx) }

type signerFunc func(context.Context, []byte) ([]byte, error)

func (f signerFunc) Sign(ctx context.Context, input []byte) ([]byte, error) { return f(ctx, input) }

// attempt runs an operation on a fresh hook and says whether its body ran.
func attempt(t *testing.T, provider kest.Provider, engine kest.Engine, options ...kest.HookOption) (ran bool, err error) {
	t.Helper()
	h, err := kest.NewHook(provider, engine, options...)
	if err != nil {
		t.Fatal(err)
	}
	o, err := h.Operation(kest.Hop{Operation: "x", RootOrigin: "internal", Policies: []string{"any"}})
	if err != nil {
		t.Fatal(err)
	}
	err = o.Do(context.Background(), func(context.Context) error { ran = true; return nil })
	return ran, err
}

func seedProvider(t *testing.T, change func(*kest.Identity)) kest.Provider {
	t.Helper()
	id, err := kest.SeedIdentity(edge, seed('x'))
	if err != nil {
		t.Fatal(err)
	}
	change(id)
	return providerFunc(func(context.Context) (*kest.Identity, error) { return id, nil })
}

// Provider unavailable: error, operation not run (CONTRACT 11); and no
// unsigned, empty or placeholder signature ever (NF-SEC-02, NF-SEC-04).
func TestWithoutASignatureNothingRuns(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	signs := func(signature []byte, err error) func(*kest.Identity) {
		return func(id *kest.Identity) {
			id.Signer = signerFunc(func(context.Context, []byte) ([]byte, error) { return signature, err })
		}
	}
	for name, provider := range map[string]kest.Provider{
		"no identity":        providerFunc(func(context.Context) (*kest.Identity, error) { return nil, io.ErrUnexpectedEOF }),
		"signer fails":       seedProvider(t, signs(nil, io.ErrUnexpectedEOF)),
		"empty signature":    seedProvider(t, signs([]byte{}, nil)),
		"nil signature":      seedProvider(t, signs(nil, nil)),
		"short signature":    seedProvider(t, signs(make([]byte, 63), nil)),
		"DER signature":      seedProvider(t, signs(make([]byte, 71), nil)),
		"signature and err":  seedProvider(t, signs(make([]byte, 64), io.ErrUnexpectedEOF)),
		"identity expired":   seedProvider(t, func(id *kest.Identity) { id.NotAfter = now }),
		"identity long gone": seedProvider(t, func(id *kest.Identity) { id.NotAfter = now.Add(-time.Hour) }),
	} {
		ran, err := attempt(t, provider, kest.AllowAll(), kest.WithHookClock(func() time.Time { return now }))
		if ran || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: ran %v, error %v", name, ran, err)
		}
	}
	valid := seedProvider(t, func(id *kest.Identity) { id.NotAfter = now.Add(time.Second) })
	if ran, err := attempt(t, valid, kest.AllowAll(), kest.WithHookClock(func() time.Time { return now })); !ran || err != nil {
		t.Errorf("valid for a second more: ran %v, error %v", ran, err)
	}
}

func TestWithoutRandomnessNothingRuns(t *testing.T) {
	ran, err := attempt(t, seedProvider(t, func(*kest.Identity) {}), kest.AllowAll(), kest.WithRandom(strings.NewReader("short")))
	if ran || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("ran %v, error %v", ran, err)
	}
}

// Only a clear yes allows (F-PE-03, TC-09).
func TestEngineFailuresDeny(t *testing.T) {
	provider := seedProvider(t, func(*kest.Identity) {})
	for name, c := range map[string]struct {
		decision kest.Decision
		err      error
		late     bool
	}{
		"zero value":       {},
		"error":            {err: io.ErrUnexpectedEOF},
		"allow with error": {decision: kest.Decision{Allow: true}, err: io.ErrUnexpectedEOF},
		"unreachable":      {err: errors.Join(kest.ErrUnavailable, io.ErrUnexpectedEOF), late: true},
		"late":             {err: context.DeadlineExceeded, late: true},
	} {
		engine := kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) { return c.decision, c.err })
		ran, err := attempt(t, provider, engine)
		var denial *kest.DenialError
		if ran || !errors.As(err, &denial) || !errors.Is(err, kest.ErrDenied) {
			t.Errorf("%s: ran %v, error %v", name, ran, err)
			continue
		}
		if errors.Is(err, kest.ErrUnavailable) != c.late || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: error %v; unavailable should be %v", name, err, c.late)
		}
		if denial.DecisionID == "" || denial.Workload != edge || denial.Operation != "x" || denial.Policy != "any" || denial.Tier != kest.TierFunction {
			t.Errorf("%s: denial %+v", name, denial)
		}
	}
}

// The default time-out is 1 s, and an engine sees it in its context.
func TestEngineHasATimeout(t *testing.T) {
	engine := kest.EngineFunc(func(ctx context.Context, _ string, _ *kest.Context) (kest.Decision, error) {
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > time.Second || left < time.Second/2 {
			t.Errorf("deadline in %v, %v", left, ok)
		}
		return kest.Decision{Allow: true}, nil
	})
	if ran, err := attempt(t, seedProvider(t, func(*kest.Identity) {}), engine); !ran || err != nil {
		t.Errorf("ran %v, error %v", ran, err)
	}
}

// Nothing is signed that the policies denied, but the record of the denial,
// which is no entry. A record that can't be signed leaves the denial as it is.
func TestDenialSignsNoEntry(t *testing.T) {
	failure := error(nil)
	provider := seedProvider(t, func(id *kest.Identity) {
		sign := id.Signer
		id.Signer = signerFunc(func(ctx context.Context, input []byte) ([]byte, error) {
			head, err := base64.RawURLEncoding.DecodeString(string(input[:bytes.IndexByte(input, '.')]))
			if err != nil || !strings.Contains(string(head), `"typ":"kest-denial+jws"`) {
				t.Errorf("signed under %s, %v", head, err)
			}
			if failure != nil {
				return nil, failure
			}
			return sign.Sign(ctx, input)
		})
	})
	deny := kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) { return kest.Decision{}, nil })
	var denial *kest.DenialError
	if ran, err := attempt(t, provider, deny); ran || !errors.As(err, &denial) || denial.Record == "" || denial.RecordErr != nil {
		t.Errorf("ran %v, error %v, record %+v", ran, err, denial)
	}
	failure = io.ErrUnexpectedEOF
	if ran, err := attempt(t, provider, deny); ran || !errors.As(err, &denial) || denial.Record != "" || !errors.Is(denial.RecordErr, failure) || errors.Is(err, failure) {
		t.Errorf("ran %v, error %v, record %+v", ran, err, denial)
	}
}

// Every allowed invocation yields exactly one entry, even where the operation fails.
func TestOneEntryAnInvocation(t *testing.T) {
	f := newFleet(t)
	var told []*kest.Signed
	h := f.hook(edge, kest.AllowAll(), kest.WithSignedSink(func(_ context.Context, s *kest.Signed) { told = append(told, s) }))
	outer := f.operation(h, kest.Hop{Operation: "outer", RootOrigin: "internal"})
	inner := f.operation(h, kest.Hop{Operation: "inner"})
	failure := errors.New("the operation failed")
	err := outer.Do(context.Background(), func(ctx context.Context) error {
		if err := inner.Do(ctx, func(context.Context) error { return failure }); !errors.Is(err, failure) {
			t.Errorf("error %v", err)
		}
		if n := kest.CurrentLineage(ctx).Len(); n != 2 {
			t.Errorf("%d entries after an operation that failed, want 2", n)
		}
		return nil
	})
	if err != nil || len(told) != 2 || told[0].Entry.Operation != "inner" || told[1].Entry.Operation != "outer" {
		t.Fatalf("error %v, told of %d", err, len(told))
	}
	for _, s := range told {
		if s.Hash != kest.Hash(s.Evidence) || len(s.Policies) != 1 || !s.Policies[0].Allow {
			t.Errorf("signed %+v", s)
		}
	}
}

// Each branch starts at the last shared entry; all that it made comes back (spec 11.7).
func TestBranchesOfSeveralEntriesJoin(t *testing.T) {
	f := newFleet(t)
	h := f.hook(edge, kest.AllowAll())
	outer := f.operation(h, kest.Hop{Operation: "outer", RootOrigin: "internal"})
	branch := f.operation(h, kest.Hop{Operation: "branch"})
	leaf := f.operation(h, kest.Hop{Operation: "leaf"})
	err := outer.Do(context.Background(), func(ctx context.Context) error {
		started, finish, done := make(chan bool, 2), make(chan bool), make(chan error, 2)
		for range 2 {
			go func() {
				done <- branch.Do(ctx, func(ctx context.Context) error {
					started <- true
					<-finish
					return errors.Join(leaf.Do(ctx, func(context.Context) error { return nil }), leaf.Do(ctx, func(context.Context) error { return nil }))
				})
			}()
		}
		<-started
		<-started
		close(finish)
		if err := errors.Join(<-done, <-done); err != nil {
			return err
		}
		l := kest.CurrentLineage(ctx)
		if l.Len() != 7 || len(l.Entries()) != 7 || len(l.Leaves()) != 2 || l.Summary().Depth != 4 {
			t.Errorf("%d entries, %d leaves, depth %d; want 7, 2, 4", l.Len(), len(l.Leaves()), l.Summary().Depth)
		}
		verified, err := f.verifier(nil).Verify(ctx, l.Passport())
		if err != nil {
			return err
		}
		if !slices.Equal(verified.Leaves(), l.Leaves()) {
			t.Errorf("leaves %v, the passport's are %v", l.Leaves(), verified.Leaves())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestVerifiedReturnsTheResult(t *testing.T) {
	f := newFleet(t)
	o := f.operation(f.hook(edge, kest.AllowAll()), kest.Hop{Operation: "double", RootOrigin: "internal"})
	double := kest.Verified(o, func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	if got, err := double(context.Background(), 21); got != 42 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}

// TC-12: inside the operation the accessor returns what the baggage said; what
// reaches entries and policies is only what is proven (CONTRACT 7).
func TestActor(t *testing.T) {
	f := newFleet(t)
	var seen kest.Actor
	engine := kest.EngineFunc(func(_ context.Context, _ string, c *kest.Context) (kest.Decision, error) {
		seen = c.Subject.Actor
		return kest.Decision{Allow: true}, nil
	})
	alice, bob := kest.Actor{User: "alice"}, kest.Actor{User: "bob"}
	root := f.operation(f.hook(edge, kest.AllowAll()), kest.Hop{Operation: "in", RootOrigin: "internal"})
	hop := f.operation(f.hook(worker, engine), kest.Hop{Operation: "step"})
	signedFor := f.must(context.Background(), root, kest.OnBehalfOf(alice))
	for name, c := range map[string]struct {
		claimed  kest.Actor
		options  []kest.CallOption
		proven   kest.Actor
		accessor kest.Actor
	}{
		"equal to the parent's":   {alice, nil, alice, alice},
		"another than the parent": {bob, nil, kest.Actor{}, bob},
		"set by code":             {alice, []kest.CallOption{kest.OnBehalfOf(bob)}, bob, bob},
		"nobody":                  {kest.Actor{}, nil, kest.Actor{}, kest.Actor{}},
	} {
		err := hop.Do(kest.WithLineage(context.Background(), signedFor, c.claimed), func(ctx context.Context) error {
			if got := kest.CurrentActor(ctx); got != c.accessor {
				t.Errorf("%s: the accessor says %+v, want %+v", name, got, c.accessor)
			}
			if got := kest.CurrentLineage(ctx).Tips()[0].Actor(); got != c.proven {
				t.Errorf("%s: the entry says %+v, want %+v", name, got, c.proven)
			}
			return nil
		}, c.options...)
		if err != nil || seen != c.proven {
			t.Errorf("%s: %v; the policy saw %+v, want %+v", name, err, seen, c.proven)
		}
	}
	err := root.Do(kest.WithLineage(context.Background(), kest.EmptyLineage(), alice), func(ctx context.Context) error {
		if got := kest.CurrentActor(ctx); got != alice {
			t.Errorf("at a root the accessor says %+v", got)
		}
		if got := kest.CurrentLineage(ctx).Tips()[0].Actor(); got != (kest.Actor{}) {
			t.Errorf("at a root the entry says %+v", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestProvenActorWantsEveryParent(t *testing.T) {
	f := newFleet(t)
	h := f.hook(edge, kest.AllowAll())
	root := f.operation(h, kest.Hop{Operation: "in", RootOrigin: "internal"})
	inner := f.operation(h, kest.Hop{Operation: "branch"})
	all := kest.Actor{User: "u", Agent: "a", Task: "t"}
	err := root.Do(context.Background(), func(ctx context.Context) error {
		started, finish := make(chan bool, 2), make(chan bool)
		done := make(chan error, 2)
		for _, actor := range []kest.Actor{all, {User: "u", Agent: "b"}} {
			go func() {
				done <- inner.Do(ctx, func(context.Context) error { started <- true; <-finish; return nil }, kest.OnBehalfOf(actor))
			}()
		}
		<-started
		<-started
		close(finish)
		if err := errors.Join(<-done, <-done); err != nil {
			return err
		}
		if got := kest.ProvenActor(all, kest.CurrentLineage(ctx)); got != (kest.Actor{User: "u"}) {
			t.Errorf("proven by two parents that differ: %+v", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEntryOfAHook(t *testing.T) {
	f := newFleet(t)
	h := f.hook(edge, kest.AllowAll(), kest.WithConfigDigest(strings.Repeat("ab", 32)), kest.WithRandom(rand.Reader))
	o := f.operation(h, kest.Hop{Operation: "in", RootOrigin: "user_input", AddedTaints: []string{"b", "a", "b"}})
	input := strings.Repeat("cd", 32)
	trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	l := f.must(context.Background(), o, kest.OnBehalfOf(kest.Actor{User: "alice"}), kest.WithInputHash(input), kest.WithTraceparent(trace),
		kest.OnResource(kest.Resource{ID: "7", Attributes: []byte(`{"b": 1, "a": [true]}`)}))
	e := l.Tips()[0]
	if e.InputHash != input || e.ContentHash != "" || e.TimestampMS != f.now.UnixMilli() || e.OTelContext["traceparent"] != trace {
		t.Errorf("entry %+v", e)
	}
	for label, want := range map[string]string{
		kest.LabelPrincipal: edge, kest.LabelTraceID: trace[3:35], kest.LabelIdentity: `{"agent":null,"task":null,"user":"alice"}`,
		kest.LabelSourceType: "user_input", kest.LabelResourceID: "7", kest.LabelResourceAttr: `{"a":[true],"b":1}`,
	} {
		if e.Labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, e.Labels[label], want)
		}
	}
	if e.Environment["kest.config"] != strings.Repeat("ab", 32) || len(e.Environment) != 1 {
		t.Errorf("environment %v", e.Environment)
	}
	ev, err := kest.ParseEvidence(l.Passport().Entries()[0], kest.SchemaStrict)
	if err != nil {
		t.Fatalf("our own entry is not strict: %v", err)
	}
	if ev.Algorithm() != "EdDSA" || ev.KeyID() != f.keys[edge][0].Thumbprint() || string(ev.Payload()) != string(e.Canonical()) {
		t.Errorf("evidence of %s under %s", ev.Algorithm(), ev.KeyID())
	}
	for name, attributes := range map[string]string{"an array": "[]", "no JSON": "{", "repeated names": `{"a":1,"a":2}`} {
		err := o.Do(context.Background(), func(context.Context) error { t.Errorf("%s: it ran", name); return nil },
			kest.OnResource(kest.Resource{Attributes: []byte(attributes)}))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHooksWantDecisions(t *testing.T) {
	provider := seedProvider(t, func(*kest.Identity) {})
	for name, err := range map[string]error{
		"no provider": second(kest.NewHook(nil, kest.AllowAll())),
		"no engine":   second(kest.NewHook(provider, nil)),
		"a bad policy name": second(kest.NewHook(provider, kest.AllowAll(),
			kest.WithPolicies(kest.PolicyConfig{Enterprise: []string{"no spaces"}}))),
		"a deviation of what the tier lacks": second(kest.NewHook(provider, kest.AllowAll(), kest.WithPolicies(
			kest.PolicyConfig{Platform: []string{"a"}, Deviations: []kest.Deviation{{Scope: "x", Policy: "b", Tier: kest.TierPlatform}}}))),
	} {
		if !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h, err := kest.NewHook(provider, kest.AllowAll())
	if err != nil {
		t.Fatal(err)
	}
	high, low := 101, -1
	for name, hop := range map[string]kest.Hop{
		"no operation":               {Policies: []string{"any"}},
		"no policies (spec 11.6)":    {Operation: "x"},
		"only shadows":               {Operation: "x", ShadowPolicies: []string{"any"}},
		"a bad policy name":          {Operation: "x", Policies: []string{"a//b"}},
		"a bad shadow policy name":   {Operation: "x", Policies: []string{"a"}, ShadowPolicies: []string{""}},
		"an unknown root origin":     {Operation: "x", Policies: []string{"a"}, RootOrigin: "mars"},
		"an unknown source type":     {Operation: "x", Policies: []string{"a"}, SourceType: "mars"},
		"an override over 100":       {Operation: "x", Policies: []string{"a"}, TrustOverride: &high},
		"an override under 0":        {Operation: "x", Policies: []string{"a"}, TrustOverride: &low},
		"an empty taint":             {Operation: "x", Policies: []string{"a"}, AddedTaints: []string{""}},
		"an empty removed taint":     {Operation: "x", Policies: []string{"a"}, RemovedTaints: []string{""}},
		"an unknown class":           {Operation: "x", Policies: []string{"a"}, Classification: "secret"},
		"a class in upper case":      {Operation: "x", Policies: []string{"a"}, Classification: "System"},
		"a class beside an override": {Operation: "x", Policies: []string{"a"}, Classification: "data", TrustOverride: new(int)},
		"a class beside a removal":   {Operation: "x", Policies: []string{"a"}, Classification: "system", RemovedTaints: []string{"t"}},
	} {
		if err := second(h.Operation(hop)); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, hop := range map[string]kest.Hop{
		"a sanitizer named so":  {Operation: "x", Policies: []string{"a"}, Classification: "sanitizer", RemovedTaints: []string{"t"}},
		"a sanitizer by itself": {Operation: "x", Policies: []string{"a"}, Classification: "sanitizer"},
	} {
		if err := second(h.Operation(hop)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A private key shows in no log (F-ID-04).
func TestSignersHideTheirKeys(t *testing.T) {
	const seed = "this seed of 32 bytes is secret!"
	id, err := kest.SeedIdentity(edge, []byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	scan := secretscan.New()
	scan.Add("the seed", []byte(seed))
	for _, f := range scan.Scan("what shows", []byte(secretscan.Printed(id, *id, id.Signer))) {
		t.Error(f)
	}
}
