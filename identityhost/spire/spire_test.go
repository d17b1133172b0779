package spire_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/logtest"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

const (
	orders = "spiffe://example.org/orders"
	wait   = time.Minute // for what comes in milliseconds on a machine that isn't busy
)

func open(t *testing.T, api *workloadtest.Server, options ...spire.Option) *spire.Provider {
	t.Helper()
	p, err := spire.Open(api.Address(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// until waits for what the provider comes to without more to do.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// ready waits for the first SVID as a caller does, by Updated.
func ready(t *testing.T, p *spire.Provider) *kest.Identity {
	t.Helper()
	for end := time.After(wait); ; {
		updated := p.Updated()
		if id, err := p.Identity(context.Background()); err == nil && p.Ready() == nil {
			return id
		}
		select {
		case <-updated:
		case <-end:
			t.Fatalf("never ready: %v", p.Ready())
		}
	}
}

// await waits for an update.
func await(t *testing.T, updated <-chan struct{}) {
	t.Helper()
	select {
	case <-updated:
	case <-time.After(wait):
		t.Fatal("no update came")
	}
}

func serve(t *testing.T, options ...workloadtest.Option) *workloadtest.Server {
	t.Helper()
	return workloadtest.New(t, workloadtest.NewCA("example.org"), orders, options...)
}

// An identity is the SVID's own: its key, its chain, its end. It signs entries,
// over both kinds of socket and with both kinds of key.
func TestIdentity(t *testing.T) {
	cases := map[string]struct {
		options   []workloadtest.Option
		algorithm string
	}{
		"unix": {nil, "ES256"},
		"tcp":  {[]workloadtest.Option{workloadtest.WithTCP()}, "ES256"},
		"rsa":  {[]workloadtest.Option{workloadtest.WithKey(workloadtest.RSA2048)}, "RS256"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := serve(t, c.options...)
			p := open(t, api)
			id := ready(t, p)
			svid := api.SVIDs()[0]
			if id.WorkloadID != orders || id.Key.Algorithm() != c.algorithm || !id.NotAfter.Equal(svid.Leaf().NotAfter) {
				t.Errorf("%s with %s until %v, not the SVID's", id.WorkloadID, id.Key.Algorithm(), id.NotAfter)
			}
			if len(id.X5C) != 1 || id.X5C[0] != svid.X5C()[0] {
				t.Errorf("x5c is %v", id.X5C)
			}
			kesttest.TestProvider(t, p)
			kesttest.TestProvider(t, kest.NewSession(p, nil))
		})
	}
}

// Intermediates go into the header after the leaf, the root doesn't even where
// the API hands it out.
func TestChain(t *testing.T) {
	api := serve(t)
	api.CA().UseIntermediate()
	svid := api.CA().Issue(workloadtest.Request{ID: orders})
	want := svid.X5C()
	svid.Chain = append(svid.Chain, api.CA().Roots()...)
	api.Push(svid)
	id := ready(t, open(t, api))
	if len(id.X5C) != 2 || id.X5C[0] != want[0] || id.X5C[1] != want[1] {
		t.Errorf("x5c has %d certificates, not leaf and intermediate", len(id.X5C))
	}
}

// A provider is opened before its Workload API is there, and takes it up by itself.
func TestLateStart(t *testing.T) {
	for name, options := range map[string][]workloadtest.Option{
		"unix": {workloadtest.Late()}, "tcp": {workloadtest.Late(), workloadtest.WithTCP()},
	} {
		t.Run(name, func(t *testing.T) {
			api := serve(t, options...)
			p := open(t, api)
			kesttest.TestProviderNotReady(t, p)
			kesttest.TestProviderNotReady(t, kest.NewSession(p, nil))
			want := map[string]error{"unix": spire.ErrNoSocket, "tcp": spire.ErrRefused}[name]
			until(t, "why it is not ready", func() bool { return errors.Is(p.Ready(), want) })
			if !errors.Is(p.Ready(), kest.ErrUnavailable) {
				t.Errorf("Ready: %v", p.Ready())
			}
			start(t, api)
			ready(t, p)
			kesttest.TestProvider(t, p)
		})
	}
}

func start(t *testing.T, api *workloadtest.Server) {
	t.Helper()
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
}

// What can't work is said at once.
func TestConfiguration(t *testing.T) {
	for _, address := range []string{
		"", "/run/agent.sock", "unix:run/agent.sock", "unix://run/agent.sock", "http://127.0.0.1:80", "tcp://127.0.0.1", "tcp://localhost:80", "unix:///a?b=c", ":",
	} {
		if p, err := spire.Open(address); !errors.Is(err, kest.ErrConfiguration) || p != nil {
			t.Errorf("Open(%q): %v", address, err)
		}
		if err := spire.Reachable(context.Background(), address); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("Reachable(%q): %v", address, err)
		}
	}
	for name, option := range map[string]spire.Option{"ttl": spire.WithTTL(time.Millisecond), "id": spire.WithID("orders")} {
		if _, err := spire.Open("unix:///nowhere", option); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := open(t, serve(t))
	if _, err := p.Bind(context.Background(), kest.PublicKey{}); !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("Bind of no key: %v", err)
	}
}

// Where there are several SVIDs the first counts, or the one that was chosen.
func TestChoice(t *testing.T) {
	api := serve(t, workloadtest.WithHint("internal"), workloadtest.WithIdentity("spiffe://example.org/edge", "external"))
	for name, c := range map[string]struct {
		options []spire.Option
		want    string
	}{
		"first":       {nil, orders},
		"id":          {[]spire.Option{spire.WithID("spiffe://example.org/edge")}, "spiffe://example.org/edge"},
		"hint":        {[]spire.Option{spire.WithHint("external")}, "spiffe://example.org/edge"},
		"id and hint": {[]spire.Option{spire.WithHint("internal"), spire.WithID(orders)}, orders},
		"JWT":         {[]spire.Option{spire.WithHint("external"), spire.WithJWTBinding()}, "spiffe://example.org/edge"},
	} {
		p := open(t, api, c.options...)
		if id := ready(t, p); id.WorkloadID != c.want {
			t.Errorf("%s: %s", name, id.WorkloadID)
		}
		if bound, err := p.Bind(context.Background(), kesttest.NewProvider(orders).Key()); err != nil || bound.WorkloadID != c.want {
			t.Errorf("%s: Bind: %v, %v", name, bound, err)
		}
	}
	for name, options := range map[string][]spire.Option{
		"id": {spire.WithID("spiffe://example.org/none")}, "hint": {spire.WithHint("none")}, "both": {spire.WithID(orders), spire.WithHint("external")},
	} {
		p := open(t, api, options...)
		until(t, name, func() bool { return errors.Is(p.Ready(), spire.ErrNoIdentity) })
	}
}

// A key that Kest doesn't sign with is not used, and the reason stays when the
// API goes away. Form (b) needs no such key.
func TestP384(t *testing.T) {
	var log logtest.Buffer
	api := serve(t, workloadtest.WithKey(workloadtest.P384))
	p := open(t, api, spire.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	byJWT := open(t, api, spire.WithJWTBinding())
	until(t, "the SVID", func() bool { return errors.Is(p.Ready(), spire.ErrKeyType) && byJWT.Ready() == nil })
	kesttest.TestProviderNotReady(t, p)
	kesttest.TestProviderNotReady(t, byJWT)
	kesttest.TestProvider(t, kest.NewSession(byJWT, nil))
	api.Stop()
	until(t, "the second complaint", func() bool { return strings.Count(log.String(), "level=WARN") == 2 })
	if !errors.Is(p.Ready(), spire.ErrKeyType) {
		t.Errorf("Ready: %v", p.Ready())
	}
}
