package fleet

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"kest.example/kest/internal/workloadtest"
)

// config is a filter of orders, which takes roots of gw and of its own.
const config = `{
	"workload": "WORKLOAD", "identity": {"agent": {"cluster": "kest_agent"TOKEN}MORE},
	"keys": {"agent": true},
	"authority": [{"principal": "spiffe://example.org/*", "origins": ["user_input"], "max_root_trust": 40}],
	"policies": {"cedar": {"all": "permit(principal, action, resource);"}},
	"routes": [{"match": {"path": "/orders/{id}"}, "operation": "orders.read", "policies": ["all"], "root": {"origin": "user_input"}}]}`

// Config returns the configuration of spiffe://example.org/orders; more goes
// into its identity, token is the agent's.
func Config(more, token string) string {
	if token != "" {
		token = `,"token":"` + token + `"`
	}
	return strings.NewReplacer("TOKEN", token, "MORE", more, "WORKLOAD", "spiffe://example.org/orders").Replace(config)
}

// setup is orders' filter with its agent.
func setup(t testing.TB, orders *Workload, more string) Setup {
	return Setup{
		Guest: "policy.wasm", Config: Config(more, orders.token), Agent: orders, Backend: NewBackend(t),
		Clusters: map[string]string{"kest_agent": "unix:" + orders.Socket},
	}
}

// Run runs every scenario on a surface.
func Run(t *testing.T, s Surface) {
	t.Run("bindings", func(t *testing.T) { t.Parallel(); bindings(t, s) })
	t.Run("inline and ES256", func(t *testing.T) { t.Parallel(); kinds(t, s) })
	t.Run("expired SVID", func(t *testing.T) { t.Parallel(); expiredSVID(t, s) })
	t.Run("revoked root", func(t *testing.T) { t.Parallel(); revokedRoot(t, s) })
	t.Run("another workload", func(t *testing.T) { t.Parallel(); mismatch(t, s) })
	t.Run("no identity", func(t *testing.T) { t.Parallel(); noIdentity(t, s) })
	if !s.InProcess {
		t.Run("agent restarted", func(t *testing.T) { t.Parallel(); agentRestarted(t, s) })
		t.Run("agent late", func(t *testing.T) { t.Parallel(); agentLate(t, s) })
		t.Run("loopback", func(t *testing.T) { t.Parallel(); loopback(t, s) })
		t.Run("calls", func(t *testing.T) { t.Parallel(); calls(t, s) })
	}
}

// bindings: what a header brings counts as far as it is vouched for, and no further.
func bindings(t *testing.T, s Surface) {
	f := New(t)
	orders, gw, other := f.Workload("orders", []Option{WithToken("the-token-of-this-agent")}).Serve(), f.Workload("gw", nil), f.Workload("other", nil)
	st := setup(t, orders, "")
	g := s.Start(t, st)
	mine, others := gw.Session(), other.Session()

	g.want(t, 200, "an inline binding", "Baggage", Root(t, mine))
	g.want(t, 200, "a kid of the directory", "Baggage", Root(t, gw.Registered()))
	direct, err := gw.Provider.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	g.want(t, 200, "a chain, direct mode", "Baggage", Root(t, direct))
	visits, _ := st.Backend.Visits()

	g.want(t, 403, "a binding for another principal", "Baggage", Baggage(Entry(t, others, gw.ID)))
	replayed := *gw.Session()
	replayed.Binding = mine.Binding
	g.want(t, 403, "a replayed binding, of another key", "Baggage", Root(t, &replayed))
	g.want(t, 403, "a chain for another principal", "Baggage", Baggage(Entry(t, direct, other.ID)))
	g.want(t, 403, "a binding as an entry", "Baggage", Baggage(mine.Binding))
	entry := *gw.Session()
	entry.Binding = Entry(t, mine, gw.ID)
	g.want(t, 403, "an entry as a binding", "Baggage", Root(t, &entry))
	nobody := *gw.Session()
	nobody.Binding = ""
	g.want(t, 403, "a key that nobody bound", "Baggage", Root(t, &nobody))
	stranger := New(t).Workload("gw", nil) // the same name, another CA
	g.want(t, 403, "a binding of another root", "Baggage", Root(t, stranger.Session()))
	if after, _ := st.Backend.Visits(); after != visits {
		t.Errorf("%d refused requests reached the upstream", after-visits)
	}
	g.want(t, 200, "after all of these", "Baggage", Root(t, mine))
	if strings.Contains(g.Log(), orders.token) {
		t.Error("the agent's token is in the log")
	}
}

// kinds of session keys, and how their bindings travel, verify at the next hop.
func kinds(t *testing.T, s Surface) {
	for name, more := range map[string]string{
		"directory": "", "inline": `,"binding":"inline"`, "ES256": `,"algorithm":"ES256"`, "ES256 inline": `,"algorithm":"ES256","binding":"inline"`,
	} {
		t.Run(name, func(t *testing.T) {
			orders := New(t).Workload("orders", nil).Serve()
			st := setup(t, orders, more)
			g := s.Start(t, st)
			g.want(t, 200, "a root")
			_, baggage := st.Backend.Visits()
			if len(baggage) != 1 {
				t.Fatalf("%d baggage headers", len(baggage))
			}
			g.want(t, 200, "on top of what it signed itself", "Baggage", baggage[0])
			if _, again := st.Backend.Visits(); len(again) != 1 || again[0] == baggage[0] {
				t.Errorf("no entry was added: %q", again)
			}
		})
	}
}

// expiredSVID: with the Workload API gone, signing ends with the SVID, and
// begins again by itself.
func expiredSVID(t *testing.T, s Surface) {
	f := New(t)
	orders := f.Workload("orders", nil, workloadtest.WithTTL(6*time.Second)).Serve()
	g := s.Start(t, setup(t, orders, ""))
	g.want(t, 200, "with an SVID")
	orders.API.Stop()
	g.want(t, 200, "the Workload API gone, the SVID still good")
	g.eventually(t, 503, 20*time.Second, "the SVID expired", none)
	if err := orders.API.Start(); err != nil {
		t.Fatal(err)
	}
	g.eventually(t, 200, 30*time.Second, "the Workload API back", none)
}

func none() []string { return nil }

// revokedRoot: what a root vouched for counts no longer once it is revoked.
func revokedRoot(t *testing.T, s Surface) {
	f := New(t)
	orders, gw := f.Workload("orders", nil).Serve(), f.Workload("gw", nil)
	g := s.Start(t, setup(t, orders, ""))
	session, registered := gw.Session(), gw.Registered()
	g.want(t, 200, "before", "Baggage", Root(t, session))
	g.want(t, 200, "before, by the directory", "Baggage", Root(t, registered))
	old := f.CA.Roots()[0]
	f.CA.UseRoot(f.CA.AddRoot())
	orders.API.RotateSVID()
	gw.API.RotateSVID()
	f.CA.RevokeRoot(old)
	g.eventually(t, 403, 40*time.Second, "an inline binding under a revoked root", func() []string { return []string{"Baggage", Root(t, session)} })
	g.eventually(t, 403, 40*time.Second, "one of the directory", func() []string { return []string{"Baggage", Root(t, registered)} })
	g.eventually(t, 200, 40*time.Second, "a new one", func() []string { return []string{"Baggage", Root(t, gw.Session())} })
	g.eventually(t, 200, 40*time.Second, "a root of its own", none)
}

// mismatch: an agent of another workload than the configuration's never signs.
func mismatch(t *testing.T, s Surface) {
	stock := New(t).Workload("stock", nil).Serve()
	st := setup(t, stock, "")
	g := s.Start(t, st)
	g.want(t, 503, "an agent of another workload")
	if n, _ := st.Backend.Visits(); n > 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// noIdentity: an agent without an identity is there and not ready; requests
// wait, and are 503 in the end.
func noIdentity(t *testing.T, s Surface) {
	orders := New(t).Workload("orders", nil, workloadtest.Late()).Serve()
	g := s.Start(t, setup(t, orders, ""))
	start := time.Now()
	g.want(t, 503, "no identity yet")
	if took := time.Since(start); took < 5*time.Second || took > 20*time.Second {
		t.Errorf("it waited for %s", took)
	}
	if err := orders.API.Start(); err != nil {
		t.Fatal(err)
	}
	g.eventually(t, 200, 20*time.Second, "an identity at last", none)
}

// agentRestarted: the agent away, sessions go on signing, known keys go on
// verifying, and others are 503; back again, all is as before.
func agentRestarted(t *testing.T, s Surface) {
	f := New(t)
	orders, gw := f.Workload("orders", nil).Serve(), f.Workload("gw", nil)
	g := s.Start(t, setup(t, orders, ""))
	known, inline := gw.Registered(), gw.Session()
	g.want(t, 200, "before", "Baggage", Root(t, known))
	g.want(t, 200, "before, inline", "Baggage", Root(t, inline))
	kid := ownKeyID(t, g)
	own, err := orders.Agent.Key(context.Background(), kid, orders.ID)
	if err != nil {
		t.Fatal(err)
	}
	unknown := gw.Registered()
	orders.Kill()
	f.Cache = newCache() // it forgets its bindings
	for range 3 {
		g.want(t, 200, "a root, the agent away")
		g.want(t, 200, "a known key, the agent away", "Baggage", Root(t, known))
		g.want(t, 200, "a known binding, the agent away", "Baggage", Root(t, inline))
		g.want(t, 503, "an unknown key, the agent away", "Baggage", Root(t, unknown))
		g.want(t, 503, "an unknown binding, the agent away", "Baggage", Root(t, gw.Session()))
		time.Sleep(time.Second)
	}
	orders.Agent = orders.newAgent()
	orders.Serve()
	g.eventually(t, 200, 10*time.Second, "an unknown binding, the agent back", func() []string { return []string{"Baggage", Root(t, gw.Session())} })
	deadline := time.Now().Add(30 * time.Second)
	for {
		again, err := orders.Agent.Key(context.Background(), kid, orders.ID)
		if err == nil {
			if again.Key.Binding != own.Key.Binding || !again.Key.NotBefore.Equal(own.Key.NotBefore) {
				t.Error("the live key has another binding: its entries of before count no longer")
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the live key was not registered again: %v\n%s", err, tail(g.Log()))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// loopback: the agent on a TCP address, by its token, and not without it.
func loopback(t *testing.T, s Surface) {
	for token, status := range map[string]int{"the-token-of-this-agent": 200, "": 503} {
		orders := New(t).Workload("orders", []Option{WithToken("the-token-of-this-agent")})
		st := setup(t, orders, "")
		st.Config = Config("", token)
		st.Clusters["kest_agent"] = orders.ServeTCP()
		s.Start(t, st).want(t, status, "an agent on loopback, token "+token)
	}
}

// ownKeyID finds the kid that the filter signs with, from its log.
func ownKeyID(t *testing.T, g *Gateway) string {
	t.Helper()
	const before = "signing with the key "
	for range 100 {
		if _, after, ok := strings.Cut(g.Log(), before); ok {
			kid, _, _ := strings.Cut(after, " ")
			return kid
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the log names no key:\n%s", g.Log())
	return ""
}

// agentLate: requests that come before the first binding wait for it.
func agentLate(t *testing.T, s Surface) {
	orders := New(t).Workload("orders", nil)
	g := s.Start(t, setup(t, orders, ""))
	time.AfterFunc(2*time.Second, func() { orders.Serve() })
	done := make(chan int)
	for range 4 {
		go func() {
			status, _ := g.Get(t, "/orders/7")
			done <- status
		}()
	}
	for range 4 {
		if status := <-done; status != http.StatusOK {
			t.Errorf("a request that came before the agent: %d\n%s", status, tail(g.Log()))
		}
	}
}

// calls: after warm-up the agent is asked in the background alone.
func calls(t *testing.T, s Surface) {
	f := New(t)
	orders, gw := f.Workload("orders", nil).Serve(), f.Workload("gw", nil)
	g := s.Start(t, setup(t, orders, ""))
	registered := gw.Registered()
	g.want(t, 200, "warm-up", "Baggage", Root(t, registered))
	before := orders.Requests(t, "/v1/")
	for range 200 {
		g.want(t, 200, "after warm-up", "Baggage", Root(t, registered))
	}
	if n := orders.Requests(t, "/v1/") - before; n > 20 {
		t.Errorf("200 requests caused %d calls to the agent", n)
	}
}
