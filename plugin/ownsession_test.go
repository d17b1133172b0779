package plugin_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
	"kest.example/kest/plugin"
)

// pod is an agent and the filters that ask it, at a time that a test sets.
type pod struct {
	t       *testing.T
	now     time.Time
	cache   *roomless
	agent   http.Handler
	filters []*station
	proofs  []*jcs.Value // what the proofs of possession said
}

// roomless is a cache that takes no binding while it is full.
type roomless struct {
	kest.Cache
	full bool
}

func (c *roomless) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if c.full {
		return kest.ErrFull
	}
	return c.Cache.Put(ctx, key, value, ttl)
}

func newPod(t *testing.T) *pod {
	t.Helper()
	p := &pod{t: t, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	p.restart()
	return p
}

func (p *pod) clock() time.Time { return p.now }

// restart puts an agent that knows nothing in the place of the one before.
func (p *pod) restart() {
	p.t.Helper()
	p.cache = &roomless{Cache: baggage.NewMemoryCache(1<<20, 1<<20, p.clock)}
	a, err := identityhost.NewAgent(kesttest.NewProvider("spiffe://t/orders"), kest.StaticKeys{}, p.cache, identityhost.WithClock(p.clock))
	if err != nil {
		p.t.Fatal(err)
	}
	p.agent = identityhost.Handler(a)
}

// filter adds one that has its first key.
func (p *pod) filter(more string, foreign plugin.ForeignFunc) *station {
	p.t.Helper()
	s := newStation(p.t, `{
		"workload": "spiffe://t/orders", "identity": {"agent": {"cluster": "kest_agent"}`+more+`}, "keys": {"agent": true},
		"insecure_trust_all_claims": true, "policies": {"cedar": {"all": "permit(principal, action, resource);"}},
		"routes": [{"match": {"path": "/orders/{id}"}, "operation": "orders.read", "policies": ["all"], "root": {"origin": "user_input"}}]}`,
		func(e *plugin.Environment) { e.Now, e.Foreign = p.clock, foreign })
	p.filters = append(p.filters, s)
	p.after(0)
	return s
}

// after lets time pass, second by second, in which the agent answers.
func (p *pod) after(d time.Duration) {
	p.t.Helper()
	for end := p.now.Add(d); ; p.now = p.now.Add(time.Second) {
		for _, s := range p.filters {
			s.Tick()
			p.serve(s)
		}
		if !p.now.Before(end) {
			return
		}
	}
}

func (p *pod) serve(s *station) {
	p.t.Helper()
	for tasks := s.Tasks(); len(tasks) > 0; tasks = s.Tasks() {
		for _, task := range tasks {
			s.TaskDone(task, p.answer(task.Call))
		}
	}
}

func (p *pod) answer(c plugin.Call) plugin.CallResult {
	p.t.Helper()
	of := map[string]string{}
	for _, h := range c.Headers {
		of[h.Name] = h.Value
	}
	if of[":path"] == "/v1/sessions" {
		m, err := jws.Parse(string(c.Body), kest.TypeSession)
		if err != nil {
			p.t.Fatal(err)
		}
		payload, err := jcs.Parse(m.Payload)
		if err != nil {
			p.t.Fatal(err)
		}
		p.proofs = append(p.proofs, payload)
	}
	r := httptest.NewRequest(of[":method"], of[":path"], strings.NewReader(string(c.Body)))
	w := httptest.NewRecorder()
	p.agent.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return plugin.CallResult{Status: w.Code, Body: body}
}

// begin is a request, and what becomes of it once the agent has answered.
func (p *pod) begin(s *station, r *plugin.Request) (*plugin.Exchange, plugin.Step) {
	p.t.Helper()
	x, step := s.Begin(r)
	for step.Kind == plugin.Hold {
		p.serve(s)
		woken := s.Woken()
		if len(woken) == 0 {
			p.t.Fatal("a request that nobody wakes")
		}
		step = woken[0].Wake()
	}
	return x, step
}

// root makes an entry, which gives the next hop's request and the kid.
func (p *pod) root(s *station) (next *plugin.Request, keyID string) {
	p.t.Helper()
	x, step := p.begin(s, get())
	next = onward(p.t, step)
	m, err := jws.Parse(x.Signed().Evidence, jws.TypeEntry)
	if err != nil {
		p.t.Fatal(err)
	}
	return next, m.Header.KeyID
}

// last is what the last proof of possession said.
func (p *pod) last() *jcs.Value {
	p.t.Helper()
	if len(p.proofs) == 0 {
		p.t.Fatal("no key was registered")
	}
	return p.proofs[len(p.proofs)-1]
}

// An agent that was restarted is shown the bindings that keys have: what was
// signed long before verifies at another filter still.
func TestEntriesFromBeforeTheAgentsRestart(t *testing.T) {
	for name, more := range map[string]string{"directory": "", "inline": `,"binding":"inline"`} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			a, b := p.filter(more, nil), p.filter(more, nil)
			p.after(time.Minute)
			entry, keyID := p.root(a)
			p.after(time.Minute)
			p.restart()
			p.after(15 * time.Second)
			if p.last().Get("binding").Kind() != jcs.String {
				t.Error("the proof shows no binding")
			}
			if _, again := p.root(a); again != keyID {
				t.Error("it has another key")
			}
			p.after(time.Minute)
			if _, step := p.begin(b, entry); step.Kind != plugin.Continue {
				t.Errorf("an entry of before: %+v", step)
			}
		})
	}
}

// An instance that another one's key was handed to learns of its binding by
// asking for it.
func TestInstanceShowsTheBindingOfASharedKey(t *testing.T) {
	p := newPod(t)
	var kept []byte
	share := func(name string, argument []byte) ([]byte, bool) {
		if name != hostcall.KeepSession {
			return nil, false
		}
		if len(argument) > 0 {
			kept = bytes.Clone(argument)
		}
		return kept, true
	}
	first, second := p.filter("", share), p.filter("", share)
	entry, keyID := p.root(first)
	if _, other := p.root(second); other != keyID || len(p.proofs) != 1 {
		t.Fatalf("%d keys were registered", len(p.proofs))
	}
	p.after(time.Minute)
	p.restart()
	p.filters = []*station{second} // it alone goes on
	p.after(15 * time.Second)
	if len(p.proofs) != 2 || p.last().Get("binding").Kind() != jcs.String {
		t.Errorf("%d proofs, the last one shows no binding", len(p.proofs))
	}
	p.after(time.Minute)
	if _, step := p.begin(p.filter("", nil), entry); step.Kind != plugin.Continue {
		t.Errorf("an entry of before: %+v", step)
	}
}

// While its key lives, a filter doesn't take one in exchange that no other agent
// finds; at its end it does, so that no request is refused.
func TestAgentWhoseCacheIsFull(t *testing.T) {
	for name, c := range map[string]struct {
		more     string
		unshared bool
	}{"directory": {"", false}, "inline": {`,"binding":"inline"`, true}} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			s := p.filter(c.more, nil)
			if !p.last().Get("unshared").IsTrue() {
				t.Error("without a key it could do without one")
			}
			_, first := p.root(s)
			p.cache.full = true
			p.after(50 * time.Minute)
			if _, now := p.root(s); p.last().Get("unshared").IsTrue() != c.unshared || (now == first) == c.unshared {
				t.Errorf("at five sixths of the key's life it signs with %s, before with %s", now, first)
			}
			for range 20 * 60 {
				p.after(time.Second)
				if x, step := s.Begin(get()); step.Kind != plugin.Continue || x.Signed() == nil {
					t.Fatalf("at %s: %+v", p.now, step)
				}
			}
			if _, now := p.root(s); now == first || !p.last().Get("unshared").IsTrue() {
				t.Errorf("past the key's end it signs with %s, before with %s", now, first)
			}
		})
	}
}
