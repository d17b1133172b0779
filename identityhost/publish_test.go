package identityhost_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
)

// A cache that is away or full refuses new bindings: no other agent would find
// them. Those that are there go on.
func TestCacheThatIsAway(t *testing.T) {
	w := newWorld(t, setup{cache: brokenCache{}})
	w.clients["unix"].do(t, "POST", "/v1/sessions", newSessionKey(t, "k").prove(t, w.clock.Now())).want(t, "away", 503)
	w.clients["unix"].do(t, "GET", "/v1/keys/"+newSessionKey(t, "k").Key.Thumbprint()+"?principal="+orders, "").want(t, "away", 503)
	away := &switching{Cache: newReplacing()}
	w = newWorld(t, setup{cache: away})
	k := newSessionKey(t, "k")
	s := w.register(k)
	away.set(errBroken)
	w.clients["unix"].do(t, "GET", "/v1/keys/"+s.KeyID+"?principal="+orders, "").want(t, "its own key", 200)
	w.clients["unix"].do(t, "GET", "/v1/keys/"+newSessionKey(t, "l").Key.Thumbprint()+"?principal="+orders, "").want(t, "another key", 503)
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "the same key", 503)
	away.set(kest.ErrFull)
	w.clients["unix"].do(t, "POST", "/v1/sessions", newSessionKey(t, "m").prove(t, w.clock.Now())).want(t, "full", 503)
	away.set(nil)
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "back again", 200)
}

// A cache that has lost everything gets the live bindings again, nobody asking.
func TestCacheThatLostItsMemory(t *testing.T) {
	cache := newReplacing()
	w, other := newWorld(t, setup{cache: cache}), newWorld(t, setup{cache: cache})
	s := w.register(newSessionKey(t, "k"))
	path := "/v1/keys/" + s.KeyID + "?principal=" + orders
	delete(cache.values, identityhost.BindingKey(s.KeyID))
	other.clients["unix"].do(t, "GET", path, "").want(t, "lost", 404)
	w.agent.Publish(context.Background())
	other.clients["unix"].do(t, "GET", path, "").want(t, "there again", 200)
	w.agent.Publish(context.Background())
	w.clock.add(time.Hour)
	delete(cache.values, identityhost.BindingKey(s.KeyID))
	w.agent.Publish(context.Background())
	if len(cache.values) != 0 {
		t.Error("a binding that has ended was put there again")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.agent.Maintain(ctx) // returns
}

// replacing is a cache that can replace.
type replacing struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (c *replacing) Put(_ context.Context, key string, value []byte, _ time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.values[key]; ok {
		return kest.ErrExists
	}
	c.values[key] = bytes.Clone(value)
	return nil
}

func (c *replacing) Replace(_ context.Context, key string, value []byte, _ time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] = bytes.Clone(value)
	return nil
}

func (c *replacing) Get(_ context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.values[key]; ok {
		return bytes.Clone(v), nil
	}
	return nil, kest.ErrNotFound
}

func newReplacing() *replacing { return &replacing{values: make(map[string][]byte)} }

// switching is a cache that a test takes away.
type switching struct {
	kest.Cache
	mu  sync.Mutex
	err error
}

func (s *switching) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *switching) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *switching) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Cache.Put(ctx, key, value, ttl)
}

func (s *switching) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.failure(); err != nil && !errors.Is(err, kest.ErrFull) {
		return nil, err
	}
	return s.Cache.Get(ctx, key)
}

// A cache that is full takes no new binding. Who says that it will do is bound
// all the same: the agent's own proxies find the key, others do once there is
// room, and the log and the metrics tell.
func TestSessionsOfAFullCache(t *testing.T) {
	full := &switching{Cache: newReplacing(), err: kest.ErrFull}
	w := newWorld(t, setup{cache: full, options: []identityhost.AgentOption{identityhost.WithMaxSessions(2)}})
	other := newWorld(t, setup{cache: full})
	k := newSessionKey(t, "k")
	path := "/v1/keys/" + k.Key.Thumbprint() + "?principal=" + orders
	post := func(k sessionKey, more ...kest.ProofMember) reply {
		return w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now(), more...))
	}
	post(k).want(t, "not asked for", 503)
	w.clients["unix"].do(t, "GET", path, "").want(t, "its key", 404)
	if strings.Contains(w.log.String(), "the cache is full") {
		t.Error("the log speaks of a session that isn't there")
	}

	r := post(k, kest.ProofUnshared())
	r.want(t, "unshared", 200)
	bound := decode[registration](t, r)
	w.clients["unix"].do(t, "GET", path, "").want(t, "its own key", 200)
	other.clients["unix"].do(t, "GET", path, "").want(t, "at another agent", 404)
	if log := w.log.String(); !strings.Contains(log, "level=WARN msg=\"the cache is full") || !strings.Contains(log, bound.KeyID) {
		t.Errorf("the log: %s", log)
	}
	r = post(k, kest.ProofUnshared())
	r.want(t, "the same key again", 200)
	if again := decode[registration](t, r); again != bound {
		t.Errorf("it is %+v, was %+v", again, bound)
	}
	post(newSessionKey(t, "l"), kest.ProofUnshared()).want(t, "another key", 200)
	post(newSessionKey(t, "m"), kest.ProofUnshared()).want(t, "more than the agent keeps", 429)
	if n := w.metric("kest_agent_unshared_sessions"); n != 2 {
		t.Errorf("the metrics tell of %v", n)
	}

	w.agent.Publish(context.Background())
	if n := w.metric("kest_agent_unshared_sessions"); n != 2 {
		t.Errorf("still full, the metrics tell of %v", n)
	}
	full.set(nil)
	w.agent.Publish(context.Background())
	other.clients["unix"].do(t, "GET", path, "").want(t, "when there is room", 200)
	if n := w.metric("kest_agent_unshared_sessions"); n != 0 {
		t.Errorf("the metrics tell of %v", n)
	}
	full.set(errBroken)
	post(k, kest.ProofUnshared()).want(t, "a cache that is away is not full", 503)
}
