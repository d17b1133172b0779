//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/envoytest"
	"kest.example/kest/test/fleet"
)

// hops are two Envoys: the first one's listeners differ in what signs there and
// in whose SVID they connect to the second one with; that one is orders'.
type hops struct {
	orders, gw, other *fleet.Workload
	backend           *fleet.Backend
	second            *envoytest.Envoy
	first             *envoytest.Envoy
	ports             map[string]int // of the first one's listeners
}

// tlsCluster is a cluster behind mTLS that is one workload's alone. Without files
// no certificate is shown to it.
func (y *yaml) tlsCluster(name string, port int, files *fleet.TLS, authority, id string) {
	y.cluster(name, fmt.Sprintf("127.0.0.1:%d", port))
	tls := object{"validation_context": object{
		"trusted_ca":                    object{"filename": authority},
		"match_typed_subject_alt_names": []any{object{"san_type": "URI", "matcher": object{"exact": id}}},
	}}
	if files != nil {
		tls["tls_certificates"] = certificates(files)["tls_certificates"]
	}
	y.clusters[len(y.clusters)-1].(object)["transport_socket"] = object{
		"name": "envoy.transport_sockets.tls",
		"typed_config": object{
			"@type":              "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
			"common_tls_context": tls,
		},
	}
}

// startHops starts both Envoys.
func startHops(t *testing.T) *hops {
	t.Helper()
	f := fleet.New(t)
	h := &hops{
		orders: f.Workload("orders", nil).Serve(), gw: f.Workload("gw", nil).Serve(), other: f.Workload("other", nil).Serve(),
		backend: fleet.NewBackend(t), ports: make(map[string]int),
	}
	served := h.startSecond(t, f)
	h.startFirst(t, f, served)
	return h
}

// startSecond starts orders' Envoy: with the peer rule, with its report, and,
// under "imposter", as another workload.
func (h *hops) startSecond(t *testing.T, f *fleet.Fleet) (served map[string]int) {
	t.Helper()
	ports, err := envoytest.FreePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	y := newYAML(ports[3])
	y.cluster("upstream", h.backend.Listener.Addr().String())
	y.unixCluster("kest_agent", h.orders.Socket)
	served = make(map[string]int)
	for i, name := range []string{"enforce", "report", "imposter"} {
		served[name] = ports[i]
		rule, files := name, f.TLS(h.orders.ID)
		if name == "imposter" {
			rule, files = "enforce", f.TLS(h.other.ID)
		}
		config := strings.Replace(fleet.Config("", ""), `"keys":`, `"lineage": {"peer": "`+rule+`"}, "keys":`, 1)
		y.listener(ports[i], policyFilter(t, config), "upstream")
		y.serveTLS(files)
	}
	h.second = startEnvoy(t, y, ports[3])
	return served
}

// startFirst starts the Envoy that connects to the second one.
func (h *hops) startFirst(t *testing.T, f *fleet.Fleet, served map[string]int) {
	t.Helper()
	own, others, stranger := f.TLS(h.gw.ID), f.TLS(h.other.ID), fleet.New(t).TLS(h.gw.ID)
	gw := policyFilter(t, strings.ReplaceAll(fleet.Config("", ""), h.orders.ID, h.gw.ID))
	listeners := []struct {
		name    string
		filters []any
		files   *fleet.TLS // whose SVID is shown
		to      string
	}{
		{"signs", []any{gw}, own, "enforce"},
		{"signs nothing", nil, own, "enforce"},
		{"signs as another", []any{gw}, others, "enforce"},
		{"signs nothing, report", nil, own, "report"},
		{"signs as another, report", []any{gw}, others, "report"},
		{"a gateway", nil, f.TLS("spiffe://elsewhere.example/gateway"), "enforce"},
		{"no SVID", []any{gw}, nil, "enforce"},
		{"an SVID of another authority", []any{gw}, stranger, "enforce"},
		{"to an imposter", []any{gw}, own, "imposter"},
	}
	ports, err := envoytest.FreePorts(len(listeners) + 1)
	if err != nil {
		t.Fatal(err)
	}
	y := newYAML(ports[len(listeners)])
	y.unixCluster("kest_agent", h.gw.Socket)
	for i, l := range listeners {
		h.ports[l.name] = ports[i]
		y.tlsCluster(l.name, served[l.to], l.files, own.CA, h.orders.ID)
		y.listenerOf(ports[i], l.name, l.filters...)
	}
	h.first = startEnvoy(t, y, ports[len(listeners)])
}

func policyFilter(t *testing.T, config string) any {
	t.Helper()
	return wasmFilter("kest", filepath.Join(envoytest.Root(), "wasm", "policy.wasm"), configurationOf(t, config))
}

func startEnvoy(t *testing.T, y *yaml, admin int) *envoytest.Envoy {
	t.Helper()
	e, err := envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", admin), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// send sends a request through a listener of the first Envoy's; visited says
// whether it came to the upstream behind the second one.
func (h *hops) send(t *testing.T, listener string, headers ...string) (status int, body string, visited bool) {
	t.Helper()
	before, _ := h.backend.Visits()
	g := &fleet.Gateway{URL: fmt.Sprintf("http://127.0.0.1:%d", h.ports[listener]), Log: h.second.Log}
	status, body = g.GetAny(t, "/orders/7", headers...)
	after, _ := h.backend.Visits()
	return status, body, after > before
}

// The peer rule between two Envoys whose certificates are SVIDs (CONTRACT 3.9):
// what comes in must end in entries of the workload that connects.
func TestPeerBetweenEnvoys(t *testing.T) {
	h := startHops(t)
	mine, stolen := fleet.Root(t, h.gw.Registered()), fleet.Root(t, h.other.Registered())
	spliced := splice(t, mine, stolen)
	for _, c := range []struct {
		listener, what string
		baggage        string
		allowed        bool
	}{
		{"signs", "a root of the hop's own", "", true},
		{"signs", "the hop's entry on top of another's", stolen, true},
		{"signs", "the hop's entry on top of two", spliced, true},
		{"signs nothing", "its own leaf", mine, true},
		{"signs nothing", "stolen", stolen, false},
		{"signs nothing", "spliced", spliced, false},
		{"signs nothing", "no passport", "", true}, // orders grants itself a root
		{"signs as another", "a root that isn't the peer's", "", false},
		{"signs as another", "on top of the peer's own", stolen, false},
		{"signs nothing, report", "stolen", stolen, true},
		{"signs nothing, report", "spliced", spliced, true},
		{"signs as another, report", "a root that isn't the peer's", "", true},
		{"a gateway", "a peer that nobody knows as a signer", mine, true},
	} {
		t.Run(c.listener+"/"+c.what, func(t *testing.T) {
			var headers []string
			if c.baggage != "" {
				headers = []string{"Baggage", c.baggage}
			}
			status, body, visited := h.send(t, c.listener, headers...)
			want := http.StatusOK
			if !c.allowed {
				want = http.StatusForbidden
				if !strings.Contains(body, `"decision_id":"`) {
					t.Errorf("it isn't this project's refusal: %s", body)
				}
			}
			if status != want || visited != c.allowed {
				t.Errorf("%d %s, want %d; the upstream was visited: %t\n%s", status, body, want, visited, h.second.Log())
			}
		})
	}
	running{Envoy: h.second}.awaitLog(t, "refused 403", "not signed by the peer "+h.gw.ID)
	running{Envoy: h.second}.awaitLog(t, "let pass by configuration", "not signed by the peer "+h.gw.ID)
	t.Run("both sign", h.bothSign)
	// Without the SVID of a peer on either side there is no connection at all.
	for _, listener := range []string{"no SVID", "an SVID of another authority", "to an imposter"} {
		if status, body, visited := h.send(t, listener); status != http.StatusServiceUnavailable || visited {
			t.Errorf("%s: %d %s, visited: %t", listener, status, body, visited)
		}
	}
}

// bothSign: what the first hop signed is what the second one built on.
func (h *hops) bothSign(t *testing.T) {
	if status, body, _ := h.send(t, "signs", "Baggage", fleet.Root(t, h.other.Registered())); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	_, headers := h.backend.Visits()
	in, err := baggage.Parse(headers, baggage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var principals []string
	for _, text := range in.Passport.Entries() {
		e, err := kest.ParseEvidence(text, kest.SchemaStrict)
		if err != nil {
			t.Fatal(err)
		}
		principals = append(principals, e.Entry.Principal())
	}
	if want := []string{h.other.ID, h.gw.ID, h.orders.ID}; strings.Join(principals, " ") != strings.Join(want, " ") {
		t.Errorf("signed by %v, want %v", principals, want)
	}
}

// splice is the baggage of two passports as one.
func splice(t *testing.T, headers ...string) string {
	t.Helper()
	var entries []string
	for _, header := range headers {
		in, err := baggage.Parse([]string{header}, baggage.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, in.Passport.Entries()...)
	}
	return fleet.Baggage(entries...)
}
