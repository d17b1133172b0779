package identityhost_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/internal/logtest"
	"kest.example/kest/kesttest"
)

const orders = "spiffe://example.org/orders"

// stepClock is a clock that a test moves.
type stepClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *stepClock {
	return &stepClock{now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is an agent that serves on a Unix socket and on loopback.
type world struct {
	t        *testing.T
	clock    *stepClock
	provider *kesttest.Provider
	keys     *kesttest.KeySource
	cache    kest.Cache
	agent    *identityhost.Agent
	log      *logtest.Buffer
	clients  map[string]client
}

// client speaks to the agent over one kind of socket.
type client struct {
	http    *http.Client
	network string
	address string
	token   string
}

type setup struct {
	provider kest.Provider // else w.provider
	cache    kest.Cache
	token    string
	options  []identityhost.AgentOption
}

// newWorld starts an agent; what a setup leaves out is usual.
func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), provider: kesttest.NewProvider(orders), keys: kesttest.NewKeySource(), log: &logtest.Buffer{}}
	if s.cache == nil {
		s.cache = baggage.NewMemoryCache(64<<20, 1<<20, w.clock.Now)
	}
	if s.provider == nil {
		s.provider = w.provider
	}
	w.cache = s.cache
	var err error
	w.agent, err = identityhost.NewAgent(s.provider, w.keys, s.cache, append([]identityhost.AgentOption{identityhost.WithClock(w.clock.Now)}, s.options...)...)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	options := []identityhost.HandlerOption{identityhost.WithLogger(log)}
	if s.token != "" {
		options = append(options, identityhost.WithToken(s.token))
	}
	server := identityhost.NewServer(identityhost.Handler(w.agent, options...), log)
	t.Cleanup(func() { _ = server.Close() })
	w.clients = map[string]client{
		"unix":     serveOn(t, server, "unix", filepath.Join(t.TempDir(), "agent.sock"), s.token),
		"loopback": serveOn(t, server, "tcp", "127.0.0.1:0", s.token),
	}
	return w
}

func serveOn(t *testing.T, server *http.Server, network, address, token string) client {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	go func() { _ = server.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return client{&http.Client{Transport: transport, Timeout: time.Minute}, network, address, token}
}

// reply is what the agent answered.
type reply struct {
	status int
	header http.Header
	body   string
}

func (c client) do(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequest(method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(text)}
}

// want checks a status, and that every error is a problem that says the same.
func (r reply) want(t *testing.T, what string, status int) {
	t.Helper()
	if r.status != status {
		t.Errorf("%s: %d, want %d: %s", what, r.status, status, r.body)
	}
	if r.status < 400 {
		return
	}
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(r.body), &problem); err != nil || r.header.Get("Content-Type") != "application/problem+json" ||
		problem.Type != "about:blank" || problem.Title != http.StatusText(r.status) || problem.Status != r.status || problem.Detail == "" {
		t.Errorf("%s: no problem of RFC 9457: %q %s", what, r.header.Get("Content-Type"), r.body)
	}
}

// registration is the answer of /v1/sessions.
type registration struct {
	WorkloadID string    `json:"workload_id"`
	KeyID      string    `json:"kid"`
	Binding    string    `json:"binding"`
	NotAfter   time.Time `json:"not_after"`
}

// keyAnswer is the answer of /v1/keys.
type keyAnswer struct {
	JWK       json.RawMessage `json:"jwk"`
	Principal string          `json:"principal"`
	NotBefore *time.Time      `json:"not_before"`
	NotAfter  *time.Time      `json:"not_after"`
	Binding   *string         `json:"binding"`
	MaxAge    int             `json:"max_age"`
}

func decode[T any](t *testing.T, r reply) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v: %q %s", err, r.header.Get("Content-Type"), r.body)
	}
	return v
}

// sessionKey is a session key as a proxy holds it.
type sessionKey struct {
	*kest.Identity
	jwk  string
	sign func(input []byte) []byte
}

// newSessionKey makes an Ed25519 key that follows from a name.
func newSessionKey(t *testing.T, name string) sessionKey {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	id, err := kest.SeedIdentity("unbound", seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return sessionKey{id, id.Key.JWK(), func(input []byte) []byte {
		signature, err := id.Signer.Sign(context.Background(), input)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}}
}

// newES256Key makes a P-256 key.
func newES256Key(t *testing.T) sessionKey {
	t.Helper()
	s := newES256(t)
	id, err := kest.NewIdentity("unbound", []byte(s.jwk), signerFunc(s.sign))
	if err != nil {
		t.Fatal(err)
	}
	return sessionKey{id, s.jwk, s.sign}
}

type signerFunc func(input []byte) []byte

func (f signerFunc) Sign(_ context.Context, input []byte) ([]byte, error) { return f(input), nil }

// jti returns a name that was not used in this process.
var jti = func() func() string {
	var mu sync.Mutex
	n := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprint("jti-", n)
	}
}()

func (k sessionKey) prove(t *testing.T, now time.Time, more ...kest.ProofMember) string {
	t.Helper()
	text, err := k.ProveKey(context.Background(), jti(), now, more...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// forge signs whatever header and payload by this key.
func (k sessionKey) forge(header, payload string) string {
	input := jws.Encode([]byte(header)) + "." + jws.Encode([]byte(payload))
	return input + "." + jws.Encode(k.sign([]byte(input)))
}

// register binds a key and expects that to work.
func (w *world) register(k sessionKey) registration {
	w.t.Helper()
	r := w.clients["unix"].do(w.t, "POST", "/v1/sessions", k.prove(w.t, w.clock.Now()), "Content-Type", "application/jose")
	r.want(w.t, "a session", http.StatusOK)
	return decode[registration](w.t, r)
}

// each runs a test over both sockets.
func (w *world) each(f func(c client, over string)) {
	for over, c := range w.clients {
		f(c, over)
	}
}

// binding signs a binding of form (a) for a key by any identity.
func binding(t *testing.T, by *kest.Identity, key kest.PublicKey, now time.Time) string {
	t.Helper()
	b, err := by.BindKey(context.Background(), key, jti(), now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return b.Binding
}

// cached writes a record as another agent would.
func cached(principal, binding, jwk string, notAfter time.Time) []byte {
	members := []jcs.Member{
		{Name: "alg", Value: jcs.StringValue("EdDSA")},
		{Name: "binding", Value: jcs.StringValue(binding)},
		{Name: "not_after", Value: jcs.StringValue(notAfter.Format(time.RFC3339))},
		{Name: "principal", Value: jcs.StringValue(principal)},
	}
	if jwk != "" {
		v, _ := jcs.ParseString(jwk)
		members = append(members, jcs.Member{Name: "jwk", Value: *v})
	}
	return jcs.AppendObject(nil, members...)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
