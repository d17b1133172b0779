package identityhost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
)

// What a proxy gets is a binding of form (a) that names its key, and the agent
// finds the key from then on.
func TestSession(t *testing.T) {
	w := newWorld(t, setup{})
	for name, k := range map[string]sessionKey{"EdDSA": newSessionKey(t, "a"), "ES256": newES256Key(t)} {
		s := w.register(k)
		if s.WorkloadID != orders || s.KeyID != k.Key.Thumbprint() || !s.NotAfter.Equal(w.clock.Now().Add(time.Hour)) {
			t.Errorf("%s: %+v", name, s)
		}
		m, err := jws.Parse(s.Binding, kest.TypeBinding)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var claims struct {
			Sub string
			Exp int64
			Cnf struct{ JWK json.RawMessage }
		}
		if err := json.Unmarshal(m.Payload, &claims); err != nil || claims.Sub != orders || claims.Exp != s.NotAfter.Unix() || string(claims.Cnf.JWK) != k.Key.JWK() {
			t.Errorf("%s: the binding says %s (%v)", name, m.Payload, err)
		}
		w.each(func(c client, over string) {
			r := c.do(t, "GET", "/v1/keys/"+s.KeyID+"?principal="+orders, "")
			r.want(t, over, http.StatusOK)
			a := decode[keyAnswer](t, r)
			if string(a.JWK) != k.Key.JWK() || a.Principal != orders || a.Binding == nil || *a.Binding != s.Binding || a.MaxAge != 10 ||
				a.NotBefore == nil || !a.NotBefore.Equal(w.clock.Now()) || a.NotAfter == nil || !a.NotAfter.Equal(s.NotAfter) {
				t.Errorf("%s over %s: %s", name, over, r.body)
			}
		})
	}
}

// binder is a provider that binds keys itself.
type binder struct {
	*kesttest.Provider
	bound *kest.Bound
	err   error
}

func (b binder) Bind(context.Context, kest.PublicKey) (*kest.Bound, error) { return b.bound, b.err }

func TestProviderThatBinds(t *testing.T) {
	end := newClock().Now().Add(5*time.Minute + 300*time.Millisecond)
	good := kest.Bound{WorkloadID: orders, Binding: "token.for.key", InlineJWK: true, NotAfter: end}
	for name, c := range map[string]struct {
		change func(*kest.Bound)
		err    error
		status int
	}{
		"good":        {func(*kest.Bound) {}, nil, 200},
		"ended":       {func(b *kest.Bound) { b.NotAfter = newClock().Now() }, nil, 503},
		"no binding":  {func(b *kest.Bound) { b.Binding = "" }, nil, 503},
		"no workload": {func(b *kest.Bound) { b.WorkloadID = "" }, nil, 503},
		"away":        {func(*kest.Bound) {}, fmt.Errorf("throttled: %w", kest.ErrUnavailable), 503},
		"broken":      {func(*kest.Bound) {}, errBroken, 503},
	} {
		bound := good
		c.change(&bound)
		w := newWorld(t, setup{provider: binder{kesttest.NewProvider(orders), &bound, c.err}})
		k := newSessionKey(t, "k")
		r := w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()))
		r.want(t, name, c.status)
		if c.status != 200 {
			continue
		}
		if s := decode[registration](t, r); s.Binding != "token.for.key" || !s.NotAfter.Equal(end.Truncate(time.Second)) {
			t.Errorf("%+v", s)
		}
		w.keys.Add(orders, kest.Key{Public: k.Key, NotAfter: end, Binding: "token.for.key"})
		w.clients["unix"].do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, "its key", 200)
		asked := w.keys.Asked()
		last := asked[len(asked)-1]
		if last.Binding != "" && (last.JWK != k.Key.JWK() || last.Binding != "token.for.key" || last.KeyID != k.Key.Thumbprint() || last.Algorithm != "EdDSA") {
			t.Errorf("asked for %+v", last)
		}
	}
}

func TestNoIdentityYet(t *testing.T) {
	w := newWorld(t, setup{})
	w.provider.SetError(fmt.Errorf("late: %w", kest.ErrUnavailable))
	k := newSessionKey(t, "k")
	proof := k.prove(t, w.clock.Now())
	w.each(func(c client, over string) {
		c.do(t, "GET", "/healthz", "").want(t, over, 200)
		c.do(t, "GET", "/readyz", "").want(t, over, 503)
		c.do(t, "POST", "/v1/sessions", proof).want(t, over, 503)
		c.do(t, "POST", "/v1/sessions", "x").want(t, over, 400)
	})
	if err := w.agent.Ready(context.Background()); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	w.provider.SetError(nil)
	w.clients["unix"].do(t, "GET", "/readyz", "").want(t, "ready", 200)
	w.clients["unix"].do(t, "POST", "/v1/sessions", proof).want(t, "the same proof, once it is ready", 200)
}

// fixed is a provider of one identity.
type fixed struct{ identity *kest.Identity }

func (f fixed) Identity(context.Context) (*kest.Identity, error) { return f.identity, nil }

// A binding ends with its identity, and an identity that has ended binds nothing.
func TestIdentityThatEnds(t *testing.T) {
	id := *newSessionKey(t, "workload").Identity
	id.WorkloadID, id.NotAfter = orders, newClock().Now().Add(90*time.Second)
	w := newWorld(t, setup{provider: fixed{&id}})
	if s := w.register(newSessionKey(t, "k")); !s.NotAfter.Equal(id.NotAfter) {
		t.Errorf("the binding ends at %v", s.NotAfter)
	}
	w.clock.add(91 * time.Second)
	w.clients["unix"].do(t, "POST", "/v1/sessions", newSessionKey(t, "l").prove(t, w.clock.Now())).want(t, "after its end", 503)
	w.clients["unix"].do(t, "GET", "/readyz", "").want(t, "ready", 503)
}

func TestSessionLimits(t *testing.T) {
	w := newWorld(t, setup{options: []identityhost.AgentOption{identityhost.WithMaxSessions(3), identityhost.WithSessionRate(2)}})
	c := w.clients["unix"]
	post := func(name string) reply {
		return c.do(t, "POST", "/v1/sessions", newSessionKey(t, name).prove(t, w.clock.Now()))
	}
	for i := range 3 {
		post(fmt.Sprint(i)).want(t, "a session", 200)
	}
	r := post("full")
	r.want(t, "a fourth key", 429)
	if r.header.Get("Retry-After") != "10" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	r = post("rate")
	r.want(t, "a fifth in no time", 429)
	if r.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	w.clock.add(time.Second)
	post("0").want(t, "a key that is there, a second later", 200)
	post("full").want(t, "a fourth key, a second later", 429)
	w.clock.add(time.Hour + 11*time.Minute)
	post("full").want(t, "when the others are over", 200)
}

func TestOptionsOutOfRange(t *testing.T) {
	p, keys, cache := kesttest.NewProvider(orders), kesttest.NewKeySource(), newReplacing()
	for name, o := range map[string]identityhost.AgentOption{
		"no time":      identityhost.WithSessionTTL(0),
		"a long time":  identityhost.WithSessionTTL(2 * time.Hour),
		"no sessions":  identityhost.WithMaxSessions(0),
		"no rate":      identityhost.WithSessionRate(0),
		"no claims":    identityhost.WithMaxClaims(0),
		"minus grace":  identityhost.WithGrace(-1),
		"no clock":     identityhost.WithClock(nil),
		"minus claims": identityhost.WithMaxClaims(-1),
	} {
		if a, err := identityhost.NewAgent(p, keys, cache, o); !errors.Is(err, kest.ErrConfiguration) || a != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, make := range map[string]func() (*identityhost.Agent, error){
		"no provider": func() (*identityhost.Agent, error) { return identityhost.NewAgent(nil, keys, cache) },
		"no keys":     func() (*identityhost.Agent, error) { return identityhost.NewAgent(p, nil, cache) },
		"no cache":    func() (*identityhost.Agent, error) { return identityhost.NewAgent(p, keys, nil) },
	} {
		if a, err := make(); !errors.Is(err, kest.ErrConfiguration) || a != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
