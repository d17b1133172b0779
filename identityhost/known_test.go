package identityhost_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/kesttest"
)

// However often a live key is registered, at once or later, it keeps its one
// binding: entries under it stay within its time.
func TestRegisteringAgain(t *testing.T) {
	for name, options := range map[string][]identityhost.AgentOption{"shared": nil, "local": {identityhost.WithLocalBindings()}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{options: options})
			k := newSessionKey(t, "k")
			var wait sync.WaitGroup
			bindings := make([]string, 16)
			for i := range bindings {
				wait.Go(func() { bindings[i] = w.register(k).Binding })
			}
			wait.Wait()
			w.clock.add(50 * time.Minute)
			for _, b := range append(bindings, w.register(k).Binding) {
				if b != bindings[0] {
					t.Fatal("one key has two bindings")
				}
			}
			w.clock.add(11 * time.Minute)
			r := w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()))
			r.want(t, "after its end", http.StatusConflict)
			w.clients["unix"].do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, "in its grace", http.StatusOK)
			w.clock.add(10 * time.Minute)
			w.clients["unix"].do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, "after its grace", http.StatusNotFound)
		})
	}
}

// An agent that has lost its memory finds the binding in the cache again.
func TestAnotherAgentOfTheSameCache(t *testing.T) {
	first := newWorld(t, setup{})
	second := newWorld(t, setup{cache: first.cache})
	k := newSessionKey(t, "k")
	bound := first.register(k)
	r := second.clients["unix"].do(t, "GET", "/v1/keys/"+bound.KeyID+"?principal="+orders, "")
	r.want(t, "at another agent", http.StatusOK)
	first.clock.add(time.Minute)
	second.clock.add(time.Minute)
	if again := second.register(k); again.Binding != bound.Binding || !again.NotAfter.Equal(bound.NotAfter) {
		t.Errorf("the second agent made %+v", again)
	}
	local := newWorld(t, setup{cache: first.cache, options: []identityhost.AgentOption{identityhost.WithLocalBindings()}})
	local.clients["unix"].do(t, "GET", "/v1/keys/"+bound.KeyID+"?principal="+orders, "").want(t, "at an agent on its own", http.StatusNotFound)
}

// What stands in the cache for a key and doesn't verify gives way; what is
// another's stays, and only the agent's answer counts.
func TestWhatIsInTheCacheAlready(t *testing.T) {
	now := newClock().Now()
	end := now.Add(time.Hour)
	k := newSessionKey(t, "k")
	stranger, self := newSessionKey(t, "stranger"), kesttest.NewProvider(orders)
	own, err := self.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	id := k.Key.Thumbprint()
	longer := cached(orders, binding(t, own, k.Key, now), "", now.Add(24*time.Hour))
	for name, c := range map[string]struct {
		value              []byte
		replaces, createOn int
	}{
		"nothing of sense":      {[]byte("x"), 200, 409},
		"no JSON object":        {[]byte("[]"), 200, 409},
		"a forged binding":      {cached(orders, binding(t, stranger.Identity, k.Key, now), "", end), 200, 409},
		"another key's binding": {cached(orders, binding(t, own, stranger.Key, now), "", end), 200, 409},
		"another principal":     {cached("spiffe://example.org/x", binding(t, own, k.Key, now), "", end), 200, 409},
		"a long life":           {longer, 200, 200},
	} {
		for _, cache := range []kest.Cache{newReplacing(), createOnly{newReplacing()}} {
			status := c.replaces
			if _, ok := cache.(identityhost.Replacer); !ok {
				status = c.createOn
			}
			w := newWorld(t, setup{cache: cache})
			if err := cache.Put(context.Background(), identityhost.BindingKey(id), c.value, time.Hour); err != nil {
				t.Fatal(err)
			}
			r := w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()))
			r.want(t, name, status)
			if status != 200 {
				continue
			}
			if s := decode[registration](t, r); s.WorkloadID != orders || !s.NotAfter.Equal(end) {
				t.Errorf("%s: %+v", name, s)
			}
			w.clients["unix"].do(t, "GET", "/v1/keys/"+id+"?principal="+orders, "").want(t, name+", afterwards", http.StatusOK)
		}
	}
}

// createOnly hides Replace.
type createOnly struct{ kest.Cache }

// A key whose binding holds for another workload is not taken over.
func TestKeyOfAnotherWorkload(t *testing.T) {
	cache := newReplacing()
	w := newWorld(t, setup{cache: cache})
	k := newSessionKey(t, "k")
	const other = "spiffe://example.org/other"
	w.keys.Add(other, kest.Key{Public: k.Key, NotAfter: w.clock.Now().Add(time.Hour)})
	if err := cache.Put(context.Background(), identityhost.BindingKey(k.Key.Thumbprint()), cached(other, "a.b.c", "", w.clock.Now().Add(time.Hour)), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "another's", http.StatusConflict)
	w.keys.SetError(fmt.Errorf("no bundle: %w", kest.ErrUnavailable))
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "while nobody can tell", http.StatusServiceUnavailable)
}

// restarted is an agent of the same workload that has forgotten everything.
func restarted(t *testing.T, w *world, s setup) *world {
	t.Helper()
	next := newWorld(t, s)
	next.clock.add(w.clock.Now().Sub(next.clock.Now()))
	return next
}

// signed is an entry of orders' under a session key.
func signed(t *testing.T, w *world, k sessionKey) kest.Passport {
	t.Helper()
	id := *k.Identity
	id.WorkloadID = orders
	h, err := kest.NewHook(fixed{&id}, kest.AllowAll(), kest.WithHookClock(w.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	o, err := h.Operation(kest.Hop{Operation: "ask", RootOrigin: "user_input", Policies: []string{"any"}})
	if err != nil {
		t.Fatal(err)
	}
	var p kest.Passport
	if err := o.Do(context.Background(), func(ctx context.Context) error { p = kest.CurrentLineage(ctx).Passport(); return nil }); err != nil {
		t.Fatal(err)
	}
	return p
}

// directory asks an agent for keys, as a proxy does.
type directory struct{ *identityhost.Agent }

func (d directory) Keys(ctx context.Context, r kest.KeyRequest) ([]kest.Key, error) {
	a, err := d.Key(ctx, r.KeyID, r.Principal)
	if err != nil {
		return nil, err
	}
	return []kest.Key{a.Key}, nil
}

// verify has the passport judged by who asks the agent.
func (w *world) verify(p kest.Passport) error {
	v, err := kest.NewVerifier(directory{w.agent}, nil, kest.InsecureTrustAllClaims(), kest.WithClock(w.clock.Now))
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = v.Verify(context.Background(), p)
	return err
}

// An agent that was restarted takes the binding that a key has: entries of
// before go on verifying, which a new binding would leave out.
func TestForgottenBinding(t *testing.T) {
	for name, options := range map[string][]identityhost.AgentOption{"shared": nil, "local": {identityhost.WithLocalBindings()}} {
		for kind, k := range map[string]sessionKey{"EdDSA": newSessionKey(t, "k"), "ES256": newES256Key(t)} {
			t.Run(name+" "+kind, func(t *testing.T) {
				w := newWorld(t, setup{options: options})
				before := w.register(k)
				w.clock.add(time.Minute)
				entry := signed(t, w, k)
				w.clock.add(time.Minute)

				forgetful, shown := restarted(t, w, setup{options: options}), restarted(t, w, setup{options: options})
				forgetful.register(k)
				r := shown.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now(), kest.ProofBinding(before.Binding)))
				r.want(t, "shown the binding", http.StatusOK)
				if again := decode[registration](t, r); again != before {
					t.Errorf("it is %+v, was %+v", again, before)
				}
				if again := shown.register(k); again.Binding != before.Binding {
					t.Error("the next registration made another binding")
				}
				if err := shown.verify(entry); err != nil {
					t.Errorf("an entry of before: %v", err)
				}
				var refused *kest.VerificationError
				if err := forgetful.verify(entry); !errors.As(err, &refused) {
					t.Errorf("an entry from before the one binding that is known: %v", err)
				}
			})
		}
	}
}

// What a proof shows is believed as little as what a cache holds: what doesn't
// hold for this key and this workload counts for nothing.
func TestShownBindingsThatDoNotHold(t *testing.T) {
	k, other, stranger := newSessionKey(t, "k"), newSessionKey(t, "other"), newSessionKey(t, "stranger")
	now := newClock().Now()
	own, err := kesttest.NewProvider(orders).Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *own
	elsewhere.WorkloadID = "spiffe://example.org/elsewhere"
	for name, c := range map[string]struct {
		binding string
		status  int
	}{
		"forged":             {binding(t, stranger.Identity, k.Key, now), 200},
		"of another key":     {binding(t, own, other.Key, now), 200},
		"of another id":      {binding(t, &elsewhere, k.Key, now), 200},
		"nothing of sense":   {"a.b.c", 200},
		"a proof":            {k.prove(t, now), 200},
		"of the future":      {binding(t, own, k.Key, now.Add(time.Hour)), 200},
		"at its end":         {binding(t, own, k.Key, now.Add(-time.Hour)), 409},
		"longer than a hour": {longBinding(t, own, k.Key, now), 200},
	} {
		for _, cache := range []kest.Cache{newReplacing(), createOnly{newReplacing()}} {
			w := newWorld(t, setup{cache: cache})
			r := w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now(), kest.ProofBinding(c.binding)))
			r.want(t, name, c.status)
			if c.status == http.StatusOK && decode[registration](t, r).Binding == c.binding {
				t.Errorf("%s: it was taken", name)
			}
		}
	}
}

func longBinding(t *testing.T, by *kest.Identity, key kest.PublicKey, now time.Time) string {
	t.Helper()
	b, err := by.BindKey(context.Background(), key, jti(), now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return b.Binding
}

// A token that is bound to the key by its audience is shown with the key beside
// it, and counts only where the key source takes that very token.
func TestShownToken(t *testing.T) {
	end := newClock().Now().Add(5 * time.Minute)
	k := newSessionKey(t, "k")
	provider := binder{kesttest.NewProvider(orders), &kest.Bound{WorkloadID: orders, Binding: "new.token.now", InlineJWK: true, NotAfter: end}, nil}
	post := func(w *world) reply {
		return w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now(), kest.ProofBinding("token.for.key")))
	}
	for vouches, want := range map[string]string{"token.for.key": "token.for.key", "another.token.then": "new.token.now", "": "new.token.now"} {
		w := newWorld(t, setup{provider: provider})
		w.keys.Add(orders, kest.Key{Public: k.Key, NotAfter: end, Binding: vouches})
		r := post(w)
		r.want(t, "vouched for by "+vouches, http.StatusOK)
		if got := decode[registration](t, r).Binding; got != want {
			t.Errorf("vouched for by %q: %s", vouches, got)
		}
		if asked := w.keys.Asked(); asked[0].JWK != k.Key.JWK() || asked[0].Binding != "token.for.key" || asked[0].Principal != orders {
			t.Errorf("asked for %+v", asked[0])
		}
	}
	w := newWorld(t, setup{provider: provider})
	w.keys.SetError(fmt.Errorf("no bundle: %w", kest.ErrUnavailable))
	post(w).want(t, "while nobody can tell", http.StatusServiceUnavailable)
}
