package main

import (
	"net/http"
	"strings"
	"testing"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/test/fleet"
)

// agentConfig is a filter of spiffe://t/orders whose identity the agent gives,
// or the proxy in its place.
func agentConfig() string { return strings.ReplaceAll(fleet.Config("", ""), "example.org", "t") }

// arrived is what came to the upstream last: its baggage header, and the entries
// in it, which are decoded and not verified.
func (u *upstream) arrived(t *testing.T) (header string, entries []*kest.Entry) {
	t.Helper()
	seen := u.requests()
	if len(seen) == 0 {
		t.Fatal("nothing reached the upstream")
	}
	header = seen[len(seen)-1].Header.Get("Baggage")
	in, err := baggage.Parse([]string{header}, baggage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range in.Passport.Entries() {
		e, err := kest.ParseEvidence(text, kest.SchemaStrict)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e.Entry)
	}
	return header, entries
}

// wantStatus wants a status of a page that isn't the filter's.
func wantStatus(t *testing.T, status int, url string) {
	t.Helper()
	if answer, body := fetch(t, http.MethodGet, url); answer.StatusCode != status {
		t.Errorf("%s: %d, want %d: %s", url, answer.StatusCode, status, body)
	}
}

// A proxy with an identity of its own needs no agent: what it signs verifies at
// the next request.
func TestProxyWithLocalIdentity(t *testing.T) {
	u, metrics := newUpstream(t), freeAddress(t)
	p := startProxyIn(t, agentEnv(""), agentConfig(), "--upstream", u.URL, "--identity", "local", "--metrics", metrics)
	url := "http://" + p.address + "/orders/7"
	wantStatus(t, 200, "http://"+metrics+"/readyz")
	wantStatus(t, 202, url)
	header, entries := u.arrived(t)
	if len(entries) != 1 || entries[0].Principal() != "spiffe://t/orders" {
		t.Fatalf("the root: %+v", entries)
	}
	if answer, body := fetch(t, http.MethodGet, url, "Baggage", header); answer.StatusCode != 202 {
		t.Errorf("on top of its own entry: %d %s", answer.StatusCode, body)
	}
	if _, entries = u.arrived(t); len(entries) != 2 {
		t.Errorf("%d entries", len(entries))
	}
	answer, body := fetch(t, http.MethodGet, url, "Baggage", baggageOf(passport(t)))
	checkRefusal(t, answer, body, http.StatusForbidden) // nobody told it the keys
	code, log := p.stop(t)
	if code != exitGood || !strings.Contains(log, "kest: identity local") {
		t.Errorf("exit %d: %s", code, log)
	}
	if n := len(u.requests()); n != 2 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// The configuration's workload and the identity's are one, or nothing is signed.
func TestProxyWithAnotherWorkloadsIdentity(t *testing.T) {
	u := newUpstream(t)
	config := strings.Replace(agentConfig(), "spiffe://t/orders", "spiffe://t/other", 1)
	p := startProxyIn(t, agentEnv(""), config, "--upstream", u.URL, "--identity", "local")
	answer, body := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7")
	checkRefusal(t, answer, body, http.StatusServiceUnavailable)
	if n := len(u.requests()); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// SPIRE may be late: the proxy is there, not ready, and refuses; then it serves,
// without a restart.
func TestProxyBeforeSPIRE(t *testing.T) {
	api := workloadtest.New(t, workloadtest.NewCA("t"), "spiffe://t/orders", workloadtest.Late())
	u, metrics := newUpstream(t), freeAddress(t)
	p := startProxyIn(t, agentEnv("", "SPIFFE_ENDPOINT_SOCKET="+api.Address()), agentConfig(),
		"--upstream", u.URL, "--identity", "auto", "--metrics", metrics)
	wantStatus(t, 200, "http://"+metrics+"/healthz")
	wantStatus(t, 503, "http://"+metrics+"/readyz")
	answer, body := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7")
	checkRefusal(t, answer, body, http.StatusServiceUnavailable)
	if n := len(u.requests()); n != 0 {
		t.Fatalf("%d requests reached the upstream", n)
	}
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool {
		answer, _ := fetch(t, http.MethodGet, "http://"+metrics+"/readyz")
		return answer.StatusCode == 200
	})
	eventually(t, "served", func() bool {
		answer, _ := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7")
		return answer.StatusCode == 202
	})
	if _, entries := u.arrived(t); len(entries) != 1 || entries[0].Principal() != "spiffe://t/orders" {
		t.Errorf("%+v", entries)
	}
}
