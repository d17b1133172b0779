package kesttest_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/cedar"
)

const workload = "spiffe://example.org/orders"

func TestMemoryCache(t *testing.T) {
	kesttest.TestCache(t, func() kest.Cache { return baggage.NewMemoryCache(1<<20, 1<<18, nil) })
}

func TestCedar(t *testing.T) {
	engine, err := cedar.New(map[string]string{
		"read":  `permit(principal, action, resource) when { context.trust_score == 40 && context.taints.contains("kesttest") };`,
		"never": `forbid(principal, action, resource);`,
		"error": `permit(principal, action, resource) when { context.nothing == 1 };`,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kesttest.TestEngine(t, engine, "read", "never")
	kesttest.TestEngine(t, engine, "read", "error")
}

func TestKeySources(t *testing.T) {
	a, b := kesttest.NewProvider(workload), kesttest.NewProvider("spiffe://example.org/agent")
	request := kest.KeyRequest{Principal: workload, KeyID: a.Key().Thumbprint(), Algorithm: a.Key().Algorithm()}
	static := kesttest.StaticKeys(a, b)
	for _, s := range []kest.KeySource{static, kesttest.NewKeySource(a, b), kest.KeySources{kesttest.NewKeySource(b), static}} {
		kesttest.TestKeySource(t, s, request, a.Key())
	}
}

// binder binds keys to the workload for an hour, or not at all.
type binder struct{ err error }

func (b binder) Bind(context.Context, kest.PublicKey) (*kest.Bound, error) {
	return &kest.Bound{WorkloadID: workload, NotAfter: time.Now().Add(time.Hour)}, b.err
}

func TestProviders(t *testing.T) {
	seed, err := kest.InsecureSeedProvider(workload, bytes.Repeat([]byte("o"), 32))
	if err != nil {
		t.Fatal(err)
	}
	local, err := kest.InsecureLocalProvider(workload)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []kest.Provider{seed, local, kest.NewSession(binder{}, nil), kesttest.NewProvider(workload)} {
		kesttest.TestProvider(t, p)
	}
	for _, p := range []kest.Provider{kesttest.NotReady(workload), kest.NewSession(binder{errors.New("no")}, nil)} {
		kesttest.TestProviderNotReady(t, p)
	}
}

func TestDoublesPass(t *testing.T) {
	kesttest.TestEngine(t, kesttest.NewEngine().Allow("yes").Deny("no", "as the test says"), "yes", "no")
	kesttest.TestEngine(t, kesttest.NewEngine().Allow("yes").Fail("broken", errors.New("broken")), "yes", "broken")
	kesttest.TestEngine(t, kesttest.NewEngine().Allow("yes").Unavailable("away").AsRemote(), "yes", "away")
	kesttest.TestEngineUnavailable(t, kesttest.NewEngine().Unavailable("a", "b"), "a", "b")
}

func TestEngineScript(t *testing.T) {
	broken := errors.New("broken")
	e := kesttest.NewEngine().Deny("p", "first").Fail("p", broken).Allow("p")
	c := kesttest.Context(t, "orders.read", "a")
	if d, err := e.Evaluate(context.Background(), "p", c); d.Allow || d.Reason != "first" || err != nil {
		t.Errorf("first: %+v, %v", d, err)
	}
	if d, err := e.Evaluate(context.Background(), "p", c); d.Allow || !errors.Is(err, broken) {
		t.Errorf("second: %+v, %v", d, err)
	}
	for range 2 {
		if d, err := e.Evaluate(context.Background(), "p", c); !d.Allow || err != nil {
			t.Errorf("from the third on: %+v, %v", d, err)
		}
	}
	if d, err := e.Evaluate(context.Background(), "q", c); d.Allow || !errors.Is(err, kesttest.ErrUnknownPolicy) {
		t.Errorf("unknown: %+v, %v", d, err)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if d, err := e.Evaluate(done, "p", c); d.Allow || !errors.Is(err, context.Canceled) {
		t.Errorf("too late: %+v, %v", d, err)
	}
	if names := e.AskedPolicies(); !slices.Equal(names, []string{"p", "p", "p", "p", "q", "p"}) {
		t.Errorf("asked %v", names)
	}
	if q := e.Asked()[0]; q.Context != string(c.JSON()) || !strings.Contains(q.Context, `"operation":"orders.read"`) {
		t.Errorf("asked with %s", q.Context)
	}
}

// In a hook the doubles do what a test of a user needs: nothing runs while the
// provider isn't ready, and the engine saw the tiers in order.
func TestDoublesInAHook(t *testing.T) {
	p, e := kesttest.NotReady(workload), kesttest.NewEngine().Allow("baseline", "read")
	hook, err := kest.NewHook(p, e, kest.WithPolicies(kest.PolicyConfig{Enterprise: []string{"baseline"}}))
	if err != nil {
		t.Fatal(err)
	}
	read, err := hook.Operation(kest.Hop{Operation: "orders.read", Policies: []string{"read"}, RootOrigin: "user_input"})
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	run := func() error { return read.Do(context.Background(), func(context.Context) error { ran++; return nil }) }
	if err := run(); !errors.Is(err, kest.ErrUnavailable) || ran != 0 || len(e.Asked()) != 0 {
		t.Errorf("not ready: %v, ran %d times, asked %v", err, ran, e.AskedPolicies())
	}
	p.SetError(nil)
	if err := run(); err != nil || ran != 1 || !slices.Equal(e.AskedPolicies(), []string{"baseline", "read"}) || p.Asked() != 2 {
		t.Errorf("ready: %v, ran %d times, asked %v and %d", err, ran, e.AskedPolicies(), p.Asked())
	}
}

func TestKeySourceInAVerifier(t *testing.T) {
	p := kesttest.NewProvider(workload)
	s := kesttest.NewKeySource(p)
	v, err := kest.NewVerifier(s, kest.Authority{{Principal: workload, Origins: []string{"user_input"}, MaxRootTrust: 40}})
	if err != nil {
		t.Fatal(err)
	}
	passport := kesttest.Lineage(t, p).Passport()
	reason := func() kest.Reason {
		_, err := v.Verify(context.Background(), passport)
		switch found := kest.AsVerificationError(err); {
		case found != nil:
			return found.Reason
		case errors.Is(err, kest.ErrUnavailable):
			return "unavailable"
		case err != nil:
			return kest.Reason(err.Error())
		}
		return ""
	}
	now := time.Now()
	for _, c := range []struct {
		name   string
		change func()
		want   kest.Reason
	}{
		{"as it is", func() {}, ""},
		{"valid now", func() { s.Limit(workload, now.Add(-time.Hour), now.Add(time.Hour)) }, ""},
		{"not yet valid", func() { s.Limit(workload, now.Add(time.Hour), now.Add(2*time.Hour)) }, kest.ReasonExpired},
		{"long over", func() { s.Limit(workload, now.Add(-2*time.Hour), now.Add(-time.Hour)) }, kest.ReasonExpired},
		{"valid again", func() { s.Limit(workload, time.Time{}, time.Time{}) }, ""},
		{"out of reach", func() { s.SetError(kest.ErrUnavailable) }, "unavailable"},
		{"revoked", func() { s.SetError(nil); s.Revoke(workload) }, kest.ReasonExpired},
	} {
		c.change()
		if got := reason(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if r := s.Asked()[0]; r.Principal != workload || r.KeyID != p.Key().Thumbprint() || r.Algorithm != "EdDSA" {
		t.Errorf("asked %+v", r)
	}
}

func TestFixedKeys(t *testing.T) {
	a, b := kesttest.NewProvider(workload), kesttest.NewProvider("spiffe://example.org/other")
	if a.Key().Thumbprint() != kesttest.NewProvider(workload).Key().Thumbprint() || a.Key().Thumbprint() == b.Key().Thumbprint() {
		t.Error("the key doesn't follow from the workload id")
	}
	l := kesttest.Lineage(t, a, b)
	if l.Len() != 2 || l.Trust() != 40 || l.Entries()[1].Principal() != b.Workload() {
		t.Errorf("%d entries, trust %d", l.Len(), l.Trust())
	}
	c := kesttest.Context(t, "orders.read", "b", "a")
	if c.Subject.TrustScore != 40 || !slices.Equal(c.Subject.Taints, []string{"a", "b"}) || c.Environment.IsRoot || c.Environment.Operation != "orders.read" {
		t.Errorf("%s", c.JSON())
	}
}

// recorder is a testing.TB that only remembers failures.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, _ ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, format)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// caught runs a check and says whether it failed.
func caught(check func(testing.TB)) bool {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(r)
	}()
	<-done
	return len(r.failures) > 0
}

// brokenCache is a good cache with one fault.
type brokenCache struct {
	*baggage.MemoryCache
	put func(c *brokenCache, key string, value []byte, ttl time.Duration) error
	get func(c *brokenCache, key string) ([]byte, error)
}

func (c *brokenCache) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if c.put != nil {
		return c.put(c, key, value, ttl)
	}
	return c.MemoryCache.Put(ctx, key, value, ttl)
}

func (c *brokenCache) Get(ctx context.Context, key string) ([]byte, error) {
	if c.get != nil {
		return c.get(c, key)
	}
	return c.MemoryCache.Get(ctx, key)
}

func TestCacheFindsFaults(t *testing.T) {
	ctx := context.Background()
	for name, broken := range map[string]func() *brokenCache{
		"a miss is another error": func() *brokenCache {
			return &brokenCache{get: func(c *brokenCache, key string) ([]byte, error) {
				v, err := c.MemoryCache.Get(ctx, key)
				if err != nil {
					return nil, errors.New("miss")
				}
				return v, nil
			}}
		},
		"a miss is empty": func() *brokenCache {
			return &brokenCache{get: func(c *brokenCache, key string) ([]byte, error) { v, _ := c.MemoryCache.Get(ctx, key); return v, nil }}
		},
		"a second put is no error": func() *brokenCache {
			return &brokenCache{put: func(c *brokenCache, key string, value []byte, ttl time.Duration) error {
				if err := c.MemoryCache.Put(ctx, key, value, ttl); !errors.Is(err, kest.ErrExists) {
					return err
				}
				return nil
			}}
		},
		"text only": func() *brokenCache {
			return &brokenCache{put: func(c *brokenCache, key string, value []byte, ttl time.Duration) error {
				return c.MemoryCache.Put(ctx, key, bytes.ToValidUTF8(value, nil), ttl)
			}}
		},
		"for ever": func() *brokenCache {
			return &brokenCache{put: func(c *brokenCache, key string, value []byte, _ time.Duration) error {
				return c.MemoryCache.Put(ctx, key, value, time.Hour)
			}}
		},
		"shared slices": func() *brokenCache {
			var mu sync.Mutex
			shared := make(map[string][]byte)
			return &brokenCache{
				put: func(c *brokenCache, key string, value []byte, ttl time.Duration) error {
					err := c.MemoryCache.Put(ctx, key, value, ttl)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						shared[key] = value
					}
					return err
				},
				get: func(c *brokenCache, key string) ([]byte, error) {
					if _, err := c.MemoryCache.Get(ctx, key); err != nil {
						return nil, err
					}
					mu.Lock()
					defer mu.Unlock()
					return shared[key], nil
				},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !caught(func(tb testing.TB) {
				kesttest.TestCache(tb, func() kest.Cache {
					c := broken()
					c.MemoryCache = baggage.NewMemoryCache(1<<20, 1<<18, nil)
					return c
				})
			}) {
				t.Error("the check passed")
			}
		})
	}
}

// providerFunc makes a provider of a function.
type providerFunc func() (*kest.Identity, error)

func (f providerFunc) Identity(context.Context) (*kest.Identity, error) { return f() }

type signerFunc func(input []byte) ([]byte, error)

func (f signerFunc) Sign(_ context.Context, input []byte) ([]byte, error) { return f(input) }

func TestProviderFindsFaults(t *testing.T) {
	good, err := kesttest.NewProvider(workload).Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	other, err := kesttest.NewProvider("spiffe://example.org/other").Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(id *kest.Identity)) providerFunc {
		id := *good
		change(&id)
		return func() (*kest.Identity, error) { return &id, nil }
	}
	sign := func(f signerFunc) providerFunc { return with(func(id *kest.Identity) { id.Signer = f }) }
	for name, p := range map[string]kest.Provider{
		"an error":           kesttest.NotReady(workload),
		"nil":                providerFunc(func() (*kest.Identity, error) { return nil, nil }),
		"no id":              with(func(id *kest.Identity) { id.WorkloadID = "" }),
		"no key":             with(func(id *kest.Identity) { id.Key = kest.PublicKey{} }),
		"no signer":          with(func(id *kest.Identity) { id.Signer = nil }),
		"expired":            with(func(id *kest.Identity) { id.NotAfter = time.Now().Add(-time.Second) }),
		"the key of another": with(func(id *kest.Identity) { id.Key = other.Key }),
		"no signature":       sign(func([]byte) ([]byte, error) { return nil, nil }),
		"a placeholder":      sign(func([]byte) ([]byte, error) { return make([]byte, 64), nil }),
		"a failing signer":   sign(func([]byte) ([]byte, error) { return nil, errors.New("no") }),
		"a signer that writes into its input": sign(func(input []byte) ([]byte, error) {
			s, err := good.Signer.Sign(context.Background(), input)
			input[0]++
			return s, err
		}),
	} {
		if !caught(func(tb testing.TB) { kesttest.TestProvider(tb, p) }) {
			t.Errorf("%s: the check passed", name)
		}
	}
	for name, p := range map[string]kest.Provider{
		"ready":         kesttest.NewProvider(workload),
		"another error": providerFunc(func() (*kest.Identity, error) { return nil, errors.New("no") }),
		"both":          providerFunc(func() (*kest.Identity, error) { return good, kest.ErrUnavailable }),
	} {
		if !caught(func(tb testing.TB) { kesttest.TestProviderNotReady(tb, p) }) {
			t.Errorf("not ready, %s: the check passed", name)
		}
	}
}

func TestEngineFindsFaults(t *testing.T) {
	good := kesttest.NewEngine().Allow("yes").Deny("no", "")
	ask := func(change func(policy string, c *kest.Context, d *kest.Decision, err *error)) kest.Engine {
		return kest.EngineFunc(func(ctx context.Context, policy string, c *kest.Context) (kest.Decision, error) {
			d, err := good.Evaluate(ctx, policy, c)
			change(policy, c, &d, &err)
			return d, err
		})
	}
	for name, e := range map[string]kest.Engine{
		"allows everything": kest.AllowAll(),
		"denies everything": kesttest.NewEngine(),
		"allows what it doesn't know": ask(func(policy string, _ *kest.Context, d *kest.Decision, _ *error) {
			d.Allow = policy != "no"
		}),
		"knows by prefix": ask(func(policy string, _ *kest.Context, d *kest.Decision, _ *error) {
			d.Allow = strings.HasPrefix(policy, "yes")
		}),
		"allows beside an error": ask(func(_ string, _ *kest.Context, d *kest.Decision, err *error) {
			if d.Allow {
				*err = errors.New("but")
			}
		}),
		"allows an empty name": ask(func(policy string, _ *kest.Context, d *kest.Decision, _ *error) { d.Allow = d.Allow || policy == "" }),
	} {
		if !caught(func(tb testing.TB) { kesttest.TestEngine(tb, e, "yes", "no") }) {
			t.Errorf("%s: the check passed", name)
		}
	}
	var once sync.Once // as the check asks concurrently
	changes := ask(func(_ string, c *kest.Context, _ *kest.Decision, _ *error) {
		once.Do(func() { c.Object.ID = "changed" })
	})
	if !caught(func(tb testing.TB) { kesttest.TestEngine(tb, changes, "yes", "no") }) {
		t.Error("changes the context: the check passed")
	}
}

// remoteFunc is an engine that says it asks over a network.
type remoteFunc struct{ kest.EngineFunc }

func (remoteFunc) Remote(string) bool { return true }

func TestRemoteEngineFindsFaults(t *testing.T) {
	good := kesttest.NewEngine().Allow("yes").Deny("no", "")
	goesOn := remoteFunc{func(_ context.Context, policy string, c *kest.Context) (kest.Decision, error) {
		return good.Evaluate(context.Background(), policy, c)
	}}
	if !caught(func(tb testing.TB) { kesttest.TestEngine(tb, goesOn, "yes", "no") }) {
		t.Error("goes on when nobody waits: the check passed")
	}
	for name, answer := range map[string]struct {
		d   kest.Decision
		err error
	}{
		"allows":                  {kest.Decision{Allow: true}, nil},
		"denies as if it knew":    {kest.Decision{Reason: "no"}, nil},
		"another error":           {kest.Decision{}, errors.New("no")},
		"a decision and an error": {kest.Decision{Allow: true}, kest.ErrUnavailable},
	} {
		e := kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) { return answer.d, answer.err })
		if !caught(func(tb testing.TB) { kesttest.TestEngineUnavailable(tb, e, "p") }) {
			t.Errorf("%s: the check passed", name)
		}
	}
	if !caught(func(tb testing.TB) { kesttest.TestEngineUnavailable(tb, kesttest.NewEngine()) }) {
		t.Error("no policy to ask for: the check passed")
	}
}

func TestKeySourceFindsFaults(t *testing.T) {
	p := kesttest.NewProvider(workload)
	request := kest.KeyRequest{Principal: workload, KeyID: p.Key().Thumbprint(), Algorithm: "EdDSA"}
	one := []kest.Key{{Public: p.Key()}}
	shared := slices.Clone(one)
	for name, s := range map[string]sourceFunc{
		"none":           func(kest.KeyRequest) ([]kest.Key, error) { return nil, nil },
		"an error":       func(kest.KeyRequest) ([]kest.Key, error) { return nil, kest.ErrUnavailable },
		"for all":        func(kest.KeyRequest) ([]kest.Key, error) { return slices.Clone(one), nil },
		"a key too many": func(r kest.KeyRequest) ([]kest.Key, error) { return append(only(r, one), kest.Key{}), nil },
		"the request's own": func(r kest.KeyRequest) ([]kest.Key, error) {
			keys := only(r, one)
			if k, err := kest.ParsePublicKey([]byte(r.JWK)); err == nil && len(keys) > 0 {
				keys = append(keys, kest.Key{Public: k})
			}
			return keys, nil
		},
		"an error for strangers": func(r kest.KeyRequest) ([]kest.Key, error) {
			if keys := only(r, one); keys != nil {
				return keys, nil
			}
			return nil, errors.New("who?")
		},
		"never valid": func(r kest.KeyRequest) ([]kest.Key, error) {
			keys := only(r, one)
			for i := range keys {
				keys[i].NotBefore, keys[i].NotAfter = time.Unix(2, 0), time.Unix(1, 0)
			}
			return keys, nil
		},
		"a shared slice": func(r kest.KeyRequest) ([]kest.Key, error) {
			if r.Principal == workload {
				return shared, nil
			}
			return nil, nil
		},
	} {
		if !caught(func(tb testing.TB) { kesttest.TestKeySource(tb, s, request, p.Key()) }) {
			t.Errorf("%s: the check passed", name)
		}
	}
}

type sourceFunc func(kest.KeyRequest) ([]kest.Key, error)

func (f sourceFunc) Keys(_ context.Context, r kest.KeyRequest) ([]kest.Key, error) { return f(r) }

func only(r kest.KeyRequest, keys []kest.Key) []kest.Key {
	if r.Principal != workload {
		return nil
	}
	return slices.Clone(keys)
}
