package remote_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"kest.example/kest"
	"kest.example/kest/internal/enginetest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/avp"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/remote"
)

// fleet is an engine of every kind, of which each decides one policy. They are
// asked for in the tiers' order.
type fleet struct {
	set    kest.EngineSet
	denies string // the policy that denies
	mu     sync.Mutex
	asked  []string
}

// tiers are what the fleet decides, by tier.
var tiers = kest.PolicyConfig{Enterprise: []string{"baseline", "pci"}, Platform: []string{"hr"}, Application: []string{"ledger"}}

var kinds = map[string]string{"baseline": kest.KindCedar, "pci": kest.KindOPA, "hr": kest.KindCedarAgent, "ledger": kest.KindAVP, "orders/read": kest.KindOPA}

// statement is what Cedar has of a policy.
func (f *fleet) statement(policy string) string {
	effect := "permit"
	if policy == f.denies {
		effect = "forbid"
	}
	return effect + `(principal, action == Action::"` + policy + `", resource);`
}

func newFleet(t *testing.T, denies, away string) *fleet {
	t.Helper()
	f := &fleet{denies: denies}
	local, err := cedar.New(map[string]string{"baseline": f.statement("baseline")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.add(t, "baseline", local)
	for _, policy := range []string{"pci", "orders/read"} {
		server := opaServer(t, func(path string, _ map[string]any) any {
			return map[string]any{"allow": path == policy && path != denies}
		})
		f.add(t, policy, must(t)(remote.OPA(f.listen(t, server, policy, away), nil)))
	}
	agent := enginetest.NewCedarAgent(t, map[string]string{"p": f.statement("hr")}, "")
	f.add(t, "hr", must(t)(remote.CedarAgent(f.listen(t, agent, "hr", away), nil)))
	store := enginetest.NewAVP(t, "PSEXAMPLE", map[string]string{"p": f.statement("ledger")})
	ledger, err := avp.New(awsConfig(f.listen(t, store, "ledger", away)), "PSEXAMPLE")
	if err != nil {
		t.Fatal(err)
	}
	f.add(t, "ledger", ledger)
	return f
}

func must(t *testing.T) func(*remote.Engine, error) *remote.Engine {
	return func(e *remote.Engine, err error) *remote.Engine {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func (f *fleet) add(t *testing.T, policy string, e kest.Engine) {
	t.Helper()
	if err := f.set.Add(kinds[policy], e, policy); err != nil {
		t.Fatal(err)
	}
}

// listen serves what a server serves and notes that it was asked; one is away.
func (f *fleet) listen(t *testing.T, server *httptest.Server, policy, away string) (url string) {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, policy)
		f.mu.Unlock()
		server.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	if policy == away {
		front.Close()
	}
	return front.URL
}

// call runs an operation that all tiers stand before.
func (f *fleet) call(t *testing.T) (ran int, signed []*kest.Signed, err error) {
	t.Helper()
	hook, err := kest.NewHook(kesttest.NewProvider("spiffe://example.org/orders"), &f.set, kest.WithPolicies(tiers),
		kest.WithSignedSink(func(_ context.Context, s *kest.Signed) { signed = append(signed, s) }))
	if err != nil {
		t.Fatal(err)
	}
	read, err := hook.Operation(kest.Hop{Operation: "orders.read", Policies: []string{"orders/read"}, RootOrigin: "user_input"})
	if err != nil {
		t.Fatal(err)
	}
	err = read.Do(context.Background(), func(context.Context) error { ran++; return nil })
	return ran, signed, err
}

// Engines of all kinds stand in one configuration: all allow, and there is one
// entry, which lists what was asked.
func TestAllKindsOfEngines(t *testing.T) {
	f := newFleet(t, "", "")
	ran, signed, err := f.call(t)
	if err != nil || ran != 1 || len(signed) != 1 {
		t.Fatalf("ran %d times, %d entries, %v", ran, len(signed), err)
	}
	var asked []string
	for _, d := range signed[0].Policies {
		asked = append(asked, d.Policy)
		if !d.Allow || d.Reason == "" {
			t.Errorf("%+v", d)
		}
	}
	all := []string{"baseline", "pci", "hr", "ledger", "orders/read"}
	if !slices.Equal(asked, all) || !slices.Equal(f.asked, all[1:]) {
		t.Errorf("decided %v, asked %v", asked, f.asked)
	}
	about := signed[0].Entry.PolicyContext
	if !slices.Equal(about.Enterprise, all[:2]) || !slices.Equal(about.Platform, all[2:3]) || !slices.Equal(about.Application, all[3:4]) || !slices.Equal(about.Function, all[4:]) {
		t.Errorf("the entry says %+v", about)
	}
	for policy, kind := range kinds {
		digest, known := f.set.Digest(policy)
		if f.set.Kind(policy) != kind || f.set.Remote(policy) == (kind == kest.KindCedar) || !known || (digest == "") == (kind == kest.KindCedar) {
			t.Errorf("%s: %s, %q, %v", policy, f.set.Kind(policy), digest, known)
		}
	}
}

// Whichever engine denies or is away, the operation doesn't run, the lower tiers
// aren't asked, and the denial says who it was (TC-07, TC-08, TC-09).
func TestAnyEngineDenies(t *testing.T) {
	order := []string{"baseline", "pci", "hr", "ledger", "orders/read"}
	tier := []kest.Tier{kest.TierEnterprise, kest.TierEnterprise, kest.TierPlatform, kest.TierApplication, kest.TierFunction}
	for i, policy := range order {
		for _, away := range []bool{false, true} {
			if away && kinds[policy] == kest.KindCedar {
				continue // in process nothing can be away
			}
			f := newFleet(t, policy, map[bool]string{true: policy}[away])
			ran, signed, err := f.call(t)
			denied, ok := errors.AsType[*kest.DenialError](err)
			if !ok || ran != 0 || len(signed) != 0 || denied.Policy != policy || denied.Tier != tier[i] || denied.Record == "" || errors.Is(err, kest.ErrUnavailable) != away {
				t.Errorf("%s (away %v): ran %d times, %d entries, %v", policy, away, ran, len(signed), err)
			}
			for _, lower := range order[i+1:] {
				if slices.Contains(f.asked, lower) && tier[slices.Index(order, lower)] != tier[i] {
					t.Errorf("%s (away %v): the lower %s was asked", policy, away, lower)
				}
			}
		}
	}
}

// The remote policies of one tier are asked side by side: here each server
// answers only once all have been asked.
func TestSideBySide(t *testing.T) {
	var all sync.WaitGroup
	all.Add(3)
	wait := func(answer string) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			all.Done()
			all.Wait()
			enginetest.Says(200, answer)(w, r)
		}))
		t.Cleanup(server.Close)
		return server
	}
	store, err := avp.New(awsConfig(wait(subjects["avp"].allow).URL), "PSEXAMPLE")
	if err != nil {
		t.Fatal(err)
	}
	var set kest.EngineSet
	for kind, e := range map[string]kest.Engine{
		kest.KindOPA:        must(t)(remote.OPA(wait(subjects["opa"].allow).URL, nil)),
		kest.KindCedarAgent: must(t)(remote.CedarAgent(wait(subjects["cedar agent"].allow).URL, nil)),
		kest.KindAVP:        store,
		kest.KindCedar:      kest.AllowAll(),
	} {
		if err := set.Add(kind, e, kind); err != nil {
			t.Fatal(err)
		}
	}
	hook, err := kest.NewHook(kesttest.NewProvider("spiffe://example.org/orders"), &set)
	if err != nil {
		t.Fatal(err)
	}
	read, err := hook.Operation(kest.Hop{Operation: "orders.read", Policies: set.Names(), RootOrigin: "user_input"})
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Do(context.Background(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}
