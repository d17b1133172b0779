package secrets_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"kest.example/kest/internal/issuertest"
	"kest.example/kest/internal/kestcmd"
	"kest.example/kest/test/fleet"
	"kest.example/kest/test/secrets"
)

// Nothing that a fleet on Go hosts lets out holds a secret of its own, of its
// users or of its callers, whatever they send and whatever fails.
func TestNothingTellsASecret(t *testing.T) {
	s := newScene(t)
	s.callouts()
	compiled := s.w.Digest("compiled") // before there is a key that it could hold
	s.loopback()
	s.unavailable()
	s.functions()
	s.seeded()
	s.inProcess()
	s.w.Pages()
	s.broken()
	s.away()
	s.w.Pages()
	s.w.Misuse()
	if s.w.Digest("compiled") != compiled {
		t.Error("the compile cache has changed")
	}
	s.w.Check()
}

// scene is two workloads with SVIDs, one of an OIDC issuer, and what runs for them.
type scene struct {
	t          *testing.T
	w          *secrets.World
	f          *fleet.Fleet
	orders     *fleet.Workload
	spiffe     []string // orders' environment
	visitor    secrets.Visitor
	issuer     *issuertest.Issuer
	proxies    []*fleet.Gateway
	agent      *kestcmd.Process // of orders
	socket     string           // of agent
	token      string           // of the agent on loopback
	tcp        string           // of the agent on loopback
	requesting string           // the agent that requests tokens
	rewrite    map[string]func(string) string
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, w: secrets.New(t), f: fleet.New(t), issuer: issuertest.New(t), rewrite: make(map[string]func(string) string)}
	s.orders = s.f.Workload("orders", nil)
	s.w.SVIDs(s.orders.API)
	s.spiffe = []string{"SPIFFE_ENDPOINT_SOCKET=" + s.orders.API.Address()}
	s.visitor = secrets.Visitor{Users: fleet.NewIssuer(t), Peer: s.f.Workload("gw", nil)}
	return s
}

// setup is a filter of a workload's that asks the agent at a target.
func (s *scene) setup(workload, more, token, target string) fleet.Setup {
	return fleet.Setup{
		Guest: "policy.wasm", Config: strings.ReplaceAll(fleet.Config(more, token), "spiffe://example.org/orders", workload),
		Backend: s.w.Backend(), Clusters: map[string]string{"kest_agent": target},
	}
}

// visit fails where a proxy gives no answer of each status.
func (s *scene) visit(what string, g *fleet.Gateway, want ...int) {
	s.t.Helper()
	s.w.Visit(what, g, s.visitor, want...)
	s.proxies = append(s.proxies, g)
}

// client is a workload's by mTLS, which takes any certificate.
func (s *scene) client() *http.Client {
	config := s.f.TLS(s.visitor.Peer.ID).Config.Clone()
	config.InsecureSkipVerify = true // an SVID has no DNS name
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: config}}
}

// callouts: a proxy asks an agent of an SVID on a Unix socket, and checks tokens.
func (s *scene) callouts() {
	s.agent, s.socket = s.w.Agent("spire", s.spiffe, "--identity", "spire")
	setup := s.setup(s.orders.ID, "", "", "unix:"+s.socket)
	setup.JWT = &s.visitor.Users.JWT
	g := s.w.Proxy("callouts", setup, nil)
	s.visit("callouts", g, 200, 400, 401, 403)
	s.w.Requests(s.socket)
	s.w.WantLog(g.Log(), "signing with the key")
	s.w.WantLog(s.agent.Log.String(), "bound a session key")
}

// loopback: a proxy asks an agent of an OIDC token on loopback by a bearer token,
// and another one by a wrong one.
func (s *scene) loopback() {
	s.token = s.w.Fresh("an agent's token")
	own := s.w.Token("the workload's OIDC token", s.issuer.Sign(issuertest.Claims("orders")))
	file := s.w.Input("oidc-token", own)
	s.rewrite[file] = func(token string) string { return token[:len(token)-7] + "$" }
	_, s.tcp = s.w.Agent("oidc", []string{"KEST_OIDC_TOKEN_PATH=" + file, "KEST_OIDC_JWKS=" + s.issuer.JWKS()},
		"--identity", "oidc", "--listen", "127.0.0.1:0", "--token-file", s.w.Input("agent-token", s.token))
	workload, target := issuertest.Name+"#orders", "http://"+s.tcp
	s.visit("an agent on loopback", s.w.Proxy("loopback", s.setup(workload, `,"algorithm":"ES256"`, s.token, target), nil), 200, 400)
	s.w.Requests(s.tcp, "Authorization", "Bearer "+s.token)
	wrong := s.w.Proxy("wrong-token", s.setup(workload, "", s.w.Fresh("a wrong token of an agent"), target), nil)
	if status := s.w.Send(nil, http.MethodGet, wrong.URL+"/orders/7", ""); status != 503 {
		s.t.Errorf("a wrong token: %d", status)
	}
}

// unavailable: agents whose issuer, Redis or KMS refuse them or aren't there.
func (s *scene) unavailable() {
	s.w.Secret("the bearer token of requests", issuertest.Bearer)
	address := s.issuer.Request() + "&code=" + s.w.Fresh("a secret in an address")
	_, s.requesting = s.w.Agent("requesting", []string{"KEST_OIDC_REQUEST_URL=" + address, "KEST_OIDC_REQUEST_TOKEN=" + issuertest.Bearer}, "--identity", "oidc")
	redis := "redis://:" + s.w.Fresh("the password of a Redis that is away") + "@127.0.0.1:1/0"
	failing, noRedis := s.w.Agent("no-redis", []string{"KEST_WORKLOAD=" + s.orders.ID, "KEST_AGENT_CACHE=" + redis}, "--identity", "local")
	_, noKMS := s.w.Agent("no-kms", []string{
		"AWS_ACCESS_KEY_ID=AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY=" + s.w.Fresh("an AWS secret access key"),
		"AWS_SESSION_TOKEN=" + s.w.Fresh("an AWS session token"), "AWS_ENDPOINT_URL=" + echo(s.t), "AWS_REGION=eu-central-1",
		"KEST_AWS_KMS_KEY_ID=alias/orders",
	}, "--identity", "kms")
	for _, address := range []string{s.requesting, noRedis, noKMS} {
		s.w.Requests(address)
	}
	s.w.WantLog(failing.Log.String(), "a request failed")
}

// echo is an AWS that quotes all of a request in its refusal.
func echo(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var all strings.Builder
		_ = r.Header.Write(&all)
		text := strings.NewReplacer("\r\n", " ", `"`, "'", `\`, "/").Replace(all.String())
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"__type":"AccessDeniedException","message":"` + text + `"}`))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// functions: a proxy has the identity itself, and serves TLS with the SVID.
func (s *scene) functions() {
	setup := s.setup(s.orders.ID, `,"algorithm":"ES256","binding":"inline"`, "", "unix:"+s.socket)
	g := s.w.Proxy("functions", setup, s.spiffe, "--identity", "spire", "--tls-svid")
	g.Client, g.URL = s.client(), strings.Replace(g.URL, "http:", "https:", 1)
	s.visit("functions", g, 200, 400, 403)
}

// seeded: a proxy has its key from the configuration, and TLS from files.
func (s *scene) seeded() {
	setup := s.setup(s.orders.ID, "", "", "unix:"+s.socket)
	setup.Config = strings.NewReplacer(`{"agent": {"cluster": "kest_agent"}}`, `{"insecure_seed": "`+s.w.Seed("a seed of a configuration")+`"}`,
		`"keys": {"agent": true},`, "").Replace(setup.Config)
	setup.JWT, setup.TLS = &s.visitor.Users.JWT, s.f.TLS(s.orders.ID)
	s.w.Key("the key of --tls-key", setup.TLS.Config.Certificates[0].PrivateKey)
	s.rewrite[setup.TLS.Key] = func(file string) string { return strings.Replace(file, "\n-----END", "", 1) }
	g := s.w.Proxy("seeded", setup, nil)
	g.Client = s.client()
	s.visit("a seed", g, 200, 400, 401)
}

// inProcess: the library's hosts, whose logs are more verbose than a command's.
func (s *scene) inProcess() {
	dir := s.w.Folder("compiled-here")
	for _, surface := range []fleet.Surface{fleet.Functions(dir), fleet.Callouts(dir)} {
		setup := s.setup(s.orders.ID, "", "", "unix:"+s.socket)
		setup.Agent, setup.JWT = s.orders, &s.visitor.Users.JWT
		g := surface.Start(s.t, setup)
		s.w.KeepLog("the log of "+surface.Name, g.Log)
		s.visit(surface.Name, g, 200, 400, 401, 403)
		s.w.WantLog(g.Log(), "level=DEBUG")
	}
}

// broken: files hold half of what they did, the issuer quotes requests in its
// refusals, and keys rotate.
func (s *scene) broken() {
	s.orders.API.RotateSVID()
	s.w.SVIDs(s.orders.API)
	for path, change := range s.rewrite {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(change(string(text))), 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.issuer.Answer(func(w http.ResponseWriter, r *http.Request, _ string) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(r.Header.Get("Authorization")))
	})
	time.Sleep(1100 * time.Millisecond) // files are looked at once a second
	s.everything()
	all := ""
	for _, g := range s.proxies {
		all += g.Log()
	}
	s.w.WantLog(all, "a TLS file has changed and can't be used")
}

// away: the issuer, the Workload API and an agent have gone.
func (s *scene) away() {
	s.issuer.Stop()
	s.orders.API.Stop()
	s.agent.Kill()
	s.everything()
	_, again := s.w.Agent("spire-again", s.spiffe, "--identity", "spire")
	s.w.Requests(again)
}

// everything asks all proxies and agents, whatever they answer.
func (s *scene) everything() {
	for _, g := range s.proxies {
		if g.Client != nil {
			g.Client.CloseIdleConnections() // a handshake looks at the TLS files
		}
		s.w.Traffic(g, s.visitor)
	}
	s.w.Requests(s.tcp, "Authorization", "Bearer "+s.token)
	s.w.Requests(s.requesting)
	s.w.Requests(s.socket)
}
