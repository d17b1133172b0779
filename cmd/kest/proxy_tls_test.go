package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kest.example/kest/test/fleet"
)

// Without --client-ca anybody may connect, and nobody is a peer.
func TestProxyServesTLS(t *testing.T) {
	files := fleet.New(t).TLS("spiffe://t/orders")
	u := newUpstream(t)
	p := startProxy(t, configFor(t), "--upstream", u.URL, "--tls-cert", files.Cert, "--tls-key", files.Key)
	c := overTLS(t, &tls.Config{RootCAs: files.Config.RootCAs, ServerName: "localhost"})
	answer, body, err := ask(t, c, "https://"+p.address+"/orders/7", "Baggage", baggageOf(passport(t)))
	if err != nil || answer.StatusCode != 202 || answer.ProtoMajor != 2 {
		t.Fatalf("%v %s: %v", answer, body, err)
	}
	if r := u.requests()[0]; r.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("forwarded: %v", r.Header)
	}
	if answer, _ := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7"); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("in the clear: %d", answer.StatusCode)
	}
	noHandshake(t, "a client that trusts others", overTLS(t, &tls.Config{ServerName: "localhost"}), "https://"+p.address)
	if code, log := p.stop(t); code != exitGood {
		t.Errorf("exit %d: %s", code, log)
	}
}

// The client's certificate is the peer of the peer rule (CONTRACT 3.9).
func TestProxyHoldsClientsAgainstTheirPassport(t *testing.T) {
	f := fleet.New(t)
	files, u := f.TLS("spiffe://t/orders"), newUpstream(t)
	p := startProxy(t, configFor(t), "--upstream", u.URL, "--tls-cert", files.Cert, "--tls-key", files.Key, "--client-ca", files.CA)
	url, sent := "https://"+p.address+"/orders/7", baggageOf(passport(t)) // its leaf is the agent's
	for _, c := range []struct {
		id     string
		status int
	}{{agent, 202}, {edge, 403}, {"spiffe://t/gateway", 202}} {
		answer, body, err := ask(t, overTLS(t, f.TLS(c.id).Config), url, "Baggage", sent)
		if err != nil || answer.StatusCode != c.status {
			t.Errorf("%s: %v %s, %v", c.id, answer, body, err)
		}
	}
	noHandshake(t, "no certificate", overTLS(t, &tls.Config{RootCAs: files.Config.RootCAs, ServerName: "localhost"}), url)
	stranger := files.Config.Clone()
	stranger.Certificates = fleet.New(t).TLS(agent).Config.Certificates
	noHandshake(t, "another authority's certificate", overTLS(t, stranger), url)
	if n := len(u.requests()); n != 2 {
		t.Errorf("%d requests reached the upstream", n)
	}
	if _, log := p.stop(t); !strings.Contains(log, "peer") || strings.Contains(log, "PRIVATE KEY") {
		t.Errorf("the log: %s", log)
	}
}

// Files that change are served without a restart; while they are broken, what
// was read before is.
func TestProxyReadsCertificatesAgain(t *testing.T) {
	f, other := fleet.New(t), fleet.New(t)
	first, second, third := f.TLS("spiffe://t/orders"), f.TLS("spiffe://t/orders"), other.TLS("spiffe://t/orders")
	dir := newTLSFolder(t, first)
	p := startProxy(t, configFor(t), "--upstream", newUpstream(t).URL, "--tls-cert", dir.cert(), "--tls-key", dir.key(), "--client-ca", dir.ca())
	url := "https://" + p.address + "/orders/7"
	old := overTLS(t, f.TLS(agent).Config)
	config := f.TLS(agent).Config.Clone()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	resuming := overTLS(t, config)
	shows := func(c *http.Client, files *fleet.TLS) func() bool {
		return func() bool {
			leaf := served(t, c, url)
			return leaf != nil && bytes.Equal(leaf.Raw, files.Config.Certificates[0].Certificate[0])
		}
	}
	eventually(t, "the first certificate", shows(old, first))
	dir.take(t, second)
	eventually(t, "the second certificate", shows(old, second))

	replace(t, dir.cert(), "no certificate")
	eventually(t, "a line about the broken file", func() bool {
		return shows(old, second)() && strings.Contains(p.lines(), "can't be used")
	})
	if answer, _, err := ask(t, resuming, url); err != nil || answer.TLS.DidResume {
		t.Fatalf("the first handshake of a session: %v", err)
	}
	if answer, _, err := ask(t, resuming, url); err != nil || !answer.TLS.DidResume {
		t.Fatalf("the session is not resumed: %v", err)
	}

	dir.take(t, third) // with its authority: the clients of the one before have no business here now
	fresh := overTLS(t, other.TLS(agent).Config)
	eventually(t, "the third certificate", shows(fresh, third))
	noHandshake(t, "a session of the authority that was taken out", resuming, url)
	config.RootCAs, config.ClientSessionCache = third.Config.RootCAs, nil
	noHandshake(t, "a client of the authority that was taken out", overTLS(t, config), url)
	if _, log := p.stop(t); strings.Contains(log, "PRIVATE KEY") {
		t.Errorf("a key is in the log: %s", log)
	}
}

// A look at the files costs no more than a stat unless one has changed, and what
// is wrong is said once.
func TestTLSFiles(t *testing.T) {
	f := fleet.New(t)
	dir := newTLSFolder(t, f.TLS("spiffe://t/orders"))
	log := &bytes.Buffer{}
	files := &tlsFiles{cert: dir.cert(), key: dir.key(), clientCA: dir.ca(), log: slog.New(slog.NewTextHandler(log, nil))}
	if err := files.open(); err != nil {
		t.Fatal(err)
	}
	good := files.config
	look := func(what string, same bool, lines int) {
		t.Helper()
		log.Reset()
		for range 3 {
			files.refresh()
		}
		if (files.config == good) != same {
			t.Errorf("%s: the configuration is kept: %t", what, files.config == good)
		}
		if n := strings.Count(log.String(), "\n"); n != lines {
			t.Errorf("%s: %d lines: %s", what, n, log)
		}
	}
	look("nothing new", true, 0)
	another := f.TLS("spiffe://t/orders")
	for what, change := range map[string]func(){
		"no key":              func() { _ = os.Remove(dir.key()) },
		"the key of another":  func() { copyFile(t, f.TLS("spiffe://t/orders").Key, dir.key()) },
		"no certificate":      func() { replace(t, dir.cert(), "") },
		"no authority":        func() { replace(t, dir.ca(), "") },
		"a folder":            func() { _ = os.Remove(dir.cert()); _ = os.Mkdir(dir.cert(), 0o700) },
		"half a certificate":  func() { replace(t, dir.cert(), half(t, another.Cert)) },
		"an authority's half": func() { replace(t, dir.ca(), half(t, another.CA)) },
	} {
		change()
		look(what, true, 1)
		_ = os.Remove(dir.cert())
		dir.take(t, another)
		files.refresh()
		if files.config == good || files.bad != "" {
			t.Errorf("after %s: the good files are not taken: %s", what, files.bad)
		}
		good = files.config
	}
	copyFile(t, another.Cert, dir.cert())
	look("touched", false, 1)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, to, string(text))
}

func half(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:len(text)/2])
}

// What can be read once is, such as a shell's <(…), and never again.
func TestTLSFilesOfAPipe(t *testing.T) {
	files := fleet.New(t).TLS("spiffe://t/orders")
	text, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "key")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(pipe, text, 0o600) }()
	f := &tlsFiles{cert: files.Cert, key: pipe, log: slog.New(slog.DiscardHandler)}
	if err := f.open(); err != nil {
		t.Fatal(err)
	}
	good := f.config
	f.refresh() // would wait for a writer
	if f.config != good || f.bad != "" {
		t.Errorf("%s", f.bad)
	}
}

// The upstream's certificate is held against the machine's authorities: one that
// fails is 502, and nothing is sent.
func TestProxyUpstreamOverTLS(t *testing.T) {
	u := newUpstream(t)
	secure := httptest.NewUnstartedServer(u.Config.Handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	authority := file(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	for name, c := range map[string]struct {
		roots  string
		status int
	}{"known": {authority, 202}, "unknown": {os.DevNull, 502}} {
		t.Run(name, func(t *testing.T) {
			before := len(u.requests())
			env := append(os.Environ(), "SSL_CERT_FILE="+c.roots, "SSL_CERT_DIR="+t.TempDir())
			p := startProxyIn(t, env, configFor(t), "--upstream", secure.URL)
			answer, body := fetch(t, http.MethodGet, "http://"+p.address+"/orders/7", "Baggage", baggageOf(passport(t)))
			if answer.StatusCode != c.status {
				t.Errorf("%d %s\n%s", answer.StatusCode, body, p.lines())
			}
			if c.status != 202 {
				eventually(t, "the log says why", func() bool { return strings.Contains(p.lines(), "failed to verify certificate") })
				if len(u.requests()) != before {
					t.Error("it was sent")
				}
				return
			}
			if r := u.requests()[before]; r.ProtoMajor != 2 || r.Host != p.address {
				t.Errorf("the upstream saw %s for %s", r.Proto, r.Host)
			}
		})
	}
}

func TestProxyTLSMisuse(t *testing.T) {
	identityEnv(t, nil)
	files := fleet.New(t).TLS("spiffe://t/orders")
	another := fleet.New(t).TLS("spiffe://t/orders")
	for name, c := range map[string]struct {
		text string
		args []string
	}{
		"no key":                    {"go together", []string{"--tls-cert", files.Cert}},
		"no certificate":            {"go together", []string{"--tls-key", files.Key}},
		"authorities alone":         {"--client-ca needs them", []string{"--client-ca", files.CA}},
		"the key of another":        {"--tls-cert", []string{"--tls-cert", files.Cert, "--tls-key", another.Key}},
		"no file":                   {"no such file", []string{"--tls-cert", "no/such/file", "--tls-key", files.Key}},
		"no authority":              {"no certificate is in it", []string{"--tls-cert", files.Cert, "--tls-key", files.Key, "--client-ca", files.Key}},
		"no file of authorities":    {"--client-ca", []string{"--tls-cert", files.Cert, "--tls-key", files.Key, "--client-ca", "no/such/file"}},
		"SVIDs without an identity": {"--tls-svid needs", []string{"--tls-svid"}},
	} {
		t.Run(name, func(t *testing.T) {
			kestRun(t, "", proxyArgs(t, configFor(t), append(c.args, "--upstream", "http://127.0.0.1:9")...)...).refused(t, c.text)
		})
	}
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", "tcp://127.0.0.1:1")
	for _, args := range [][]string{{"--identity", "local"}, {"--identity", "spire", "--tls-cert", files.Cert, "--tls-key", files.Key}} {
		a := kestRun(t, "", proxyArgs(t, configFor(t), append(args, "--tls-svid", "--upstream", "http://127.0.0.1:9")...)...)
		if a.code != exitMisuse || !strings.Contains(a.err, "--tls-svid needs") {
			t.Errorf("%v: %+v", args, a)
		}
	}
}
