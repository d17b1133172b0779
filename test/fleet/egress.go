package fleet

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/forge"
)

// Pair is a surface for a sidecar's two filters, which share a table.
type Pair struct {
	Name  string
	Start func(t testing.TB, ingress, egress Setup) (in, out *Gateway)
}

// application is what stands between ingress and egress. It forwards nothing
// but traceparent, and what a test adds.
type application struct {
	*httptest.Server
	mu    sync.Mutex
	out   string        // egress
	add   http.Header   // to its own calls
	hold  chan struct{} // keeps requests under way until closed; nil doesn't
	calls []int         // statuses of its calls
}

func newApplication(t testing.TB) *application {
	a := &application{}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *application) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *application) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	out, add, hold := a.out, a.add.Clone(), a.hold
	a.mu.Unlock()
	if hold != nil {
		if r.Header.Get("X-First") != "" {
			<-hold // under way until the other one has called
			return
		}
	}
	call, err := http.NewRequest(http.MethodGet, out+"/stock/7", nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for name, values := range add {
		call.Header[name] = values
	}
	if call.Header.Get("Traceparent") == "" {
		call.Header.Set("Traceparent", r.Header.Get("Traceparent"))
	}
	call.Host = "stock.example.org"
	if host := add.Get("X-Host"); host != "" {
		call.Host = host
	}
	response, err := client.Do(call)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	a.set(func() { a.calls = append(a.calls, response.StatusCode) })
}

const egressConfig = `{
	"workload": "spiffe://example.org/orders", "direction": "egress", "identity": {"agent": {"cluster": "kest_agent"}}, "keys": {"agent": true},
	"authority": [{"principal": "spiffe://example.org/*", "origins": ["user_input"], "max_root_trust": 40}],
	"edge": {"allow_hosts": ["*.example.org"]}}`

// RunEgress runs what must hold of a sidecar pair, ingress with policy.wasm and
// egress with lineage.wasm, before an application that forwards traceparent alone.
func RunEgress(t *testing.T, p Pair, workers int) {
	f := New(t)
	orders, gw := f.Workload("orders", nil).Serve(), f.Workload("gw", nil)
	app, stock := newApplication(t), NewBackend(t)
	clusters := map[string]string{"kest_agent": "unix:" + orders.Socket}
	in, out := p.Start(t,
		Setup{Guest: "policy.wasm", Config: Config("", ""), Agent: orders, Clusters: clusters, Backend: &Backend{Server: app.Server}, Workers: workers},
		Setup{Guest: "lineage.wasm", Config: egressConfig, Agent: orders, Clusters: clusters, Backend: stock, Workers: workers},
	)
	app.set(func() { app.out = out.URL })
	e := &egress{t, orders, gw, app, stock, in}
	t.Run("the lineage of what came in goes out", e.follows)
	t.Run("unknown trace", e.unknown)
	t.Run("baggage of the application's own", e.forwarded)
	t.Run("hosts outside", e.outside)
	t.Run("two under one trace", e.merged)
}

type egress struct {
	t          *testing.T
	orders, gw *Workload
	app        *application
	stock      *Backend
	in         *Gateway
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// call sends one request through ingress and returns what egress did: its
// status, the upstream's visits since, and the passport that arrived there.
func (e *egress) call(t *testing.T, add http.Header, headers ...string) (status int, visits int, carried *baggage.Incoming) {
	t.Helper()
	before, _ := e.stock.Visits()
	e.app.set(func() { e.app.add, e.app.calls = add, nil })
	e.in.want(t, 200, "ingress", headers...)
	e.app.set(func() {
		if len(e.app.calls) == 1 {
			status = e.app.calls[0]
		}
	})
	after, headersOut := e.stock.Visits()
	if after == before {
		return status, 0, nil
	}
	carried, err := baggage.Parse(headersOut, baggage.ReadOptions{})
	if err != nil {
		t.Fatalf("%q: %v", headersOut, err)
	}
	return status, after - before, carried
}

// verified is the lineage of what arrived.
func (e *egress) verified(t *testing.T, in *baggage.Incoming) *kest.Lineage {
	t.Helper()
	v, err := kest.NewVerifier(directory{e.orders}, nil, kest.InsecureTrustAllClaims())
	if err != nil {
		t.Fatal(err)
	}
	l, err := v.Verify(context.Background(), in.Passport)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.CheckTip(l); err != nil {
		t.Error(err)
	}
	return l
}

// directory asks an agent's directory, as a filter does.
type directory struct{ w *Workload }

func (d directory) Keys(ctx context.Context, r kest.KeyRequest) ([]kest.Key, error) {
	if r.Binding != "" || len(r.X5C) > 0 {
		return d.w.Keys.Keys(ctx, r)
	}
	answer, err := d.w.Agent.Key(ctx, r.KeyID, r.Principal)
	if err != nil {
		return nil, err
	}
	return []kest.Key{answer.Key}, nil
}

func (e *egress) follows(t *testing.T) {
	for range 8 { // whichever worker has which
		status, visits, carried := e.call(t, nil, "Baggage", Root(t, e.gw.Session()))
		if status != 200 || visits != 1 {
			t.Fatalf("the call out: %d, %d visits\n%s", status, visits, tail(e.in.Log()))
		}
		l := e.verified(t, carried)
		if n := l.Len(); n != 2 || l.Entries()[0].Principal() != e.gw.ID || l.Entries()[1].Principal() != e.orders.ID {
			t.Errorf("%d entries", n)
		}
	}
}

func (e *egress) unknown(t *testing.T) {
	status, visits, carried := e.call(t, http.Header{"Traceparent": {traceparent}, "Baggage": {"team=checkout"}})
	if status != 200 || visits != 1 || carried.Passport.Len() != 0 {
		t.Errorf("%d, %d visits, %d entries", status, visits, carried.Passport.Len())
	}
	if _, headers := e.stock.Visits(); !slices.Equal(headers, []string{"team=checkout"}) {
		t.Errorf("baggage %q", headers)
	}
	if status, visits, carried = e.call(t, http.Header{"Traceparent": {traceparent}}); status != 200 || visits != 1 || carried.Passport.Len() != 0 {
		t.Errorf("without baggage: %d, %d visits", status, visits)
	}
}

func (e *egress) forwarded(t *testing.T) {
	own := Root(t, e.gw.Session())
	status, _, carried := e.call(t, http.Header{"Baggage": {own}})
	if status != 200 || e.verified(t, carried).Len() != 1 {
		t.Errorf("%d", status)
	}
	tampered := forge.Header(forge.Trust(forge.Entries(own), 0))
	if status, visits, _ := e.call(t, http.Header{"Baggage": {tampered}}); status != 403 || visits != 0 {
		t.Errorf("tampered: %d, %d visits", status, visits)
	}
	if status, visits, _ := e.call(t, http.Header{"Baggage": {"kest.passport=x"}}); status != 400 || visits != 0 {
		t.Errorf("no passport: %d, %d visits", status, visits)
	}
}

func (e *egress) outside(t *testing.T) {
	status, visits, carried := e.call(t, http.Header{"X-Host": {"api.elsewhere.example"}, "Baggage": {"kest.user=alice,team=checkout"}})
	if status != 200 || visits != 1 || carried.Passport.Len() != 0 {
		t.Errorf("%d, %d visits", status, visits)
	}
	if _, headers := e.stock.Visits(); !slices.Equal(headers, []string{"team=checkout"}) {
		t.Errorf("baggage %q", headers)
	}
}

// merged: of two requests under way under one trace id all leaves become tips.
func (e *egress) merged(t *testing.T) {
	trace := strings.Replace(traceparent, "0af7", "1bf7", 1)
	hold := make(chan struct{})
	e.app.set(func() { e.app.hold = hold })
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.in.Get(t, "/orders/1", "Traceparent", trace, "X-First", "yes", "Baggage", Root(t, e.gw.Registered()))
	}()
	time.Sleep(time.Second) // until it is under way
	status, visits, carried := e.call(t, nil, "Traceparent", trace, "Baggage", Root(t, e.gw.Registered()))
	close(hold)
	<-done
	e.app.set(func() { e.app.hold = nil })
	if visits != 1 {
		t.Fatalf("no call went out: %d\n%s", status, tail(e.in.Log()))
	}
	if l := e.verified(t, carried); l.Len() != 4 || len(l.Leaves()) != 2 {
		t.Errorf("%d entries, %d leaves", l.Len(), len(l.Leaves()))
	}
}
