package main

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"kest.example/kest/internal/workloadtest"
)

// svidProxy is a proxy that serves TLS by SVIDs.
type svidProxy struct {
	*proxy
	ca        *workloadtest.CA
	api       *workloadtest.Server
	u         *upstream
	url       string
	readiness string
}

func startSVIDProxy(t *testing.T, options ...workloadtest.Option) *svidProxy {
	t.Helper()
	ca := workloadtest.NewCA("t")
	s := &svidProxy{ca: ca, api: workloadtest.New(t, ca, "spiffe://t/orders", options...), u: newUpstream(t)}
	metrics := freeAddress(t)
	config := strings.NewReplacer("{insecure_seed: b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28}", "{agent: {cluster: kest_agent}}",
		"keys:\n", "keys:\n  agent: true\n").Replace(configFor(t))
	s.proxy = startProxyIn(t, agentEnv("", "SPIFFE_ENDPOINT_SOCKET="+s.api.Address()), config,
		"--upstream", s.u.URL, "--identity", "spire", "--tls-svid", "--metrics", metrics)
	s.url, s.readiness = "https://"+s.address+"/orders/7", "http://"+metrics+"/readyz"
	return s
}

// client is one whose SVID is of a CA; it takes orders alone for the server.
func (s *svidProxy) client(t *testing.T, ca *workloadtest.CA, id string) *http.Client {
	t.Helper()
	issued := ca.Issue(workloadtest.Request{ID: id})
	svid := &x509svid.SVID{ID: spiffeid.RequireFromString(id), Certificates: issued.Chain, PrivateKey: issued.Key}
	config := tlsconfig.MTLSClientConfig(svid, s.ca.Bundle().X509Bundle(), tlsconfig.AuthorizeID(spiffeid.RequireFromString("spiffe://t/orders")))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8) // resumption must not get around a check
	return overTLS(t, config)
}

func (s *svidProxy) ready(t *testing.T, status int) {
	t.Helper()
	eventually(t, "readiness", func() bool {
		answer, _ := fetch(t, http.MethodGet, s.readiness)
		return answer.StatusCode == status
	})
}

// The client's SVID is the peer of the peer rule (CONTRACT 3.9), in each trust
// domain that the Workload API gives a bundle of.
func TestProxyServesSVIDs(t *testing.T) {
	partner := workloadtest.NewCA("partner.example")
	s := startSVIDProxy(t, workloadtest.WithFederated(partner))
	s.ready(t, 200)
	sent := baggageOf(passport(t)) // its leaf is the agent's
	for _, c := range []struct {
		ca     *workloadtest.CA
		id     string
		status int
	}{{s.ca, agent, 202}, {s.ca, edge, 403}, {s.ca, "spiffe://t/gateway", 202}, {partner, "spiffe://partner.example/gateway", 202}} {
		answer, body, err := ask(t, s.client(t, c.ca, c.id), s.url, "Baggage", sent)
		if err != nil || answer.StatusCode != c.status {
			t.Errorf("%s: %v %s, %v", c.id, answer, body, err)
		}
	}
	if n := len(s.u.requests()); n != 3 {
		t.Errorf("%d requests reached the upstream", n)
	}
	if _, entries := s.u.arrived(t); entries[len(entries)-1].Principal() != "spiffe://t/orders" {
		t.Errorf("signed %+v", entries)
	}
	noHandshake(t, "no SVID", overTLS(t, &tls.Config{InsecureSkipVerify: true}), s.url)
	noHandshake(t, "the same name of another authority", s.client(t, workloadtest.NewCA("t"), agent), s.url)
	noHandshake(t, "a trust domain that nobody federates with", s.client(t, workloadtest.NewCA("stranger.example"), "spiffe://stranger.example/x"), s.url)
	noHandshake(t, "an id of a domain that the authority isn't of", s.client(t, partner, agent), s.url)
	if code, log := s.stop(t); code != exitGood || !strings.Contains(log, "peer") {
		t.Errorf("exit %d: %s", code, log)
	}
}

// SVIDs and roots rotate under a proxy that goes on; what is revoked ends.
func TestProxyFollowsSVIDs(t *testing.T) {
	s := startSVIDProxy(t, workloadtest.Late())
	old := s.client(t, s.ca, agent)
	s.ready(t, 503)
	noHandshake(t, "before the first SVID", old, s.url)
	if err := s.api.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready(t, 200)
	shown := func(c *http.Client) func() bool {
		return func() bool {
			leaf := served(t, c, s.url)
			return leaf != nil && bytes.Equal(leaf.Raw, s.api.SVIDs()[0].Leaf().Raw)
		}
	}
	eventually(t, "the first SVID", shown(old))
	s.api.RotateSVID()
	eventually(t, "the next SVID", shown(old))

	s.api.Stop()
	if served(t, old, s.url) == nil {
		t.Error("no handshake while the Workload API is away")
	}
	if err := s.api.Start(); err != nil {
		t.Fatal(err)
	}
	root := s.ca.Roots()[0]
	s.ca.UseRoot(s.ca.AddRoot())
	s.api.RotateSVID()
	fresh := s.client(t, s.ca, agent)
	eventually(t, "an SVID of the next root", shown(fresh))
	s.ca.RevokeRoot(root)
	eventually(t, "the revoked root's clients are refused", func() bool { return served(t, old, s.url) == nil })
	if served(t, fresh, s.url) == nil {
		t.Error("the next root's client is refused")
	}

	s.api.Refuse(true)
	s.ready(t, 503)
	eventually(t, "no handshake without an identity", func() bool { return served(t, fresh, s.url) == nil })
	s.api.Refuse(false)
	s.ready(t, 200)
	eventually(t, "it is there again", shown(fresh))
}
