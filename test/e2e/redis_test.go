//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/rediscache"
	"kest.example/kest/internal/envoytest"
	"kest.example/kest/internal/uuid7"
	"kest.example/kest/kesttest"
)

const redisPassword = "hunter2-hunter2-hunter2"

// redisServer is a running Redis with a password.
type redisServer struct {
	port int
	dir  string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

// startRedis runs the Redis that make tools fetched, on a free loopback port
// and on a Unix socket.
func startRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	ports, err := envoytest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kr") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &redisServer{port: ports[0], dir: dir, args: args}
	r.start(t)
	t.Cleanup(func() { r.kill() })
	return r
}

func (r *redisServer) url() string {
	return fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", redisPassword, r.port)
}

func (r *redisServer) unixURL() string {
	return "unix://:" + redisPassword + "@" + filepath.Join(r.dir, "redis.sock")
}

// start waits until the server answers, at most a minute.
func (r *redisServer) start(t *testing.T) {
	t.Helper()
	binary := filepath.Join(envoytest.Root(), ".tools", "bin", "redis-server")
	if _, err := os.Stat(binary); err != nil {
		t.Fatal("redis-server is not there: run make tools")
	}
	r.cmd = exec.Command(binary, append([]string{
		"--bind", "127.0.0.1", "--port", fmt.Sprint(r.port), "--unixsocket", filepath.Join(r.dir, "redis.sock"),
		"--dir", r.dir, "--requirepass", redisPassword, "--save", "", "--daemonize", "no",
	}, r.args...)...)
	r.log.Reset()
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.done = make(chan struct{})
	go func() {
		_ = r.cmd.Wait()
		close(r.done)
	}()
	cache := r.open(t)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := cache.Ping(context.Background())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			r.kill()
			t.Fatalf("redis does not answer: %v\n%s", err, r.log.String())
		}
	}
}

// kill ends the server at once, as a crash would.
func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill()
	<-r.done
}

func (r *redisServer) open(t *testing.T, options ...rediscache.Option) *rediscache.Cache {
	t.Helper()
	c, err := rediscache.Open(r.url(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// What Kest relies on in a cache holds in Redis.
func TestRedisIsACache(t *testing.T) {
	r := startRedis(t)
	for name, url := range map[string]string{"loopback": r.url(), "unix": r.unixURL()} {
		t.Run(name, func(t *testing.T) {
			kesttest.TestCache(t, func() kest.Cache {
				c, err := rediscache.Open(url)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return c
			})
		})
	}
}

func TestRedisLimits(t *testing.T) {
	r := startRedis(t)
	small, large := r.open(t, rediscache.WithMaxValue(1000)), r.open(t)
	ctx := context.Background()
	key := func(name string) string { return kest.ClaimKey(t.Name() + name) }
	for name, c := range map[string]struct {
		key   string
		size  int
		ttl   time.Duration
		fails bool
	}{
		"just fits":     {key("fits"), 1000, time.Minute, false},
		"too long":      {key("long"), 1001, time.Minute, true},
		"no time":       {key("time"), 1, 0, true},
		"negative time": {key("neg"), 1, -time.Minute, true},
		"a long key":    {key(strings.Repeat("k", 600)), 1, time.Minute, true},
		"no bytes":      {key("empty"), 0, time.Minute, false},
	} {
		err := small.Put(ctx, c.key, make([]byte, c.size), c.ttl)
		if c.fails != errors.Is(err, kest.ErrFull) || !c.fails && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := small.Get(ctx, c.key)
		if c.fails != errors.Is(err, kest.ErrNotFound) || !c.fails && (err != nil || len(got) != c.size) {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
	if err := large.Put(ctx, key("large"), make([]byte, 5000), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := small.Get(ctx, key("large")); !unreachable(err) || len(got) != 0 {
		t.Errorf("a value longer than any that may be put: %d bytes, %v", len(got), err)
	}
	for range 2 {
		if err := large.Replace(ctx, key("replaced"), []byte("b"), time.Minute); err != nil {
			t.Error(err)
		}
	}
	if err := large.Put(ctx, key("replaced"), []byte("c"), time.Minute); !errors.Is(err, kest.ErrExists) {
		t.Error(err)
	}
}

// unreachable is an error that is none of the three of a cache.
func unreachable(err error) bool {
	return errors.Is(err, kest.ErrUnavailable) && !errors.Is(err, kest.ErrNotFound) && !errors.Is(err, kest.ErrExists) && !errors.Is(err, kest.ErrFull)
}

// No error and no text of a cache has the password.
func TestRedisTellsNoPassword(t *testing.T) {
	r := startRedis(t)
	right := r.open(t)
	wrongURL := strings.Replace(r.url(), redisPassword, "wrong-"+redisPassword, 1)
	wrong, err := rediscache.Open(wrongURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = wrong.Close() }()
	_, failure := wrong.Get(context.Background(), "k")
	if !unreachable(failure) {
		t.Errorf("the wrong password: %v", failure)
	}
	texts := []string{failure.Error(), fmt.Sprintf("%v %+v %#v %s", right, right, right, wrong)}
	if all := strings.Join(texts, "\n"); strings.Contains(all, redisPassword) {
		t.Errorf("the password is told:\n%s", all)
	}
}

// node is an agent of one workload; several share a Redis, as with a KMS key
// several nodes share an identity.
type node struct {
	agent  *identityhost.Agent
	client *http.Client
}

func startNode(t *testing.T, cache kest.Cache) node {
	t.Helper()
	agent, err := identityhost.NewAgent(kesttest.NewProvider(orders), kest.StaticKeys{}, cache)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go agent.Maintain(ctx)
	dir, err := os.MkdirTemp("", "kn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := identityhost.NewServer(identityhost.Handler(agent), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return node{agent, &http.Client{Transport: transport, Timeout: time.Minute}}
}

const orders = "spiffe://example.org/orders"

func (n node) do(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := n.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func (n node) want(t *testing.T, status int, what, method, path, body string) {
	t.Helper()
	if got, text := n.do(t, method, path, body); got != status {
		t.Errorf("%s: %d, want %d: %s", what, got, status, text)
	}
}

// session registers the key of a name and returns the status and the kid.
func (n node) session(t *testing.T, name string) (status int, keyID string) {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	id, err := kest.SeedIdentity("unbound", seed[:])
	if err != nil {
		t.Fatal(err)
	}
	proof, err := id.ProveKey(context.Background(), rand.Text(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	status, _ = n.do(t, "POST", "/v1/sessions", proof)
	return status, id.Key.Thumbprint()
}

func keyPath(keyID string) string { return "/v1/keys/" + keyID + "?principal=" + orders }

func newClaim(t *testing.T) string {
	t.Helper()
	id, err := uuid7.NewV4(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return "/v1/claims/" + id
}

// within waits for a recovery that nobody has to help.
func within(t *testing.T, d time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v it hasn't come to: %s", d, what)
		}
	}
}

// Claims and bindings of one agent are found by the other.
func TestTwoAgentsOfOneRedis(t *testing.T) {
	r := startRedis(t)
	a, b := startNode(t, r.open(t)), startNode(t, r.open(t))
	status, keyID := a.session(t, "a")
	if status != 200 {
		t.Fatalf("a session: %d", status)
	}
	b.want(t, 200, "the other's key", "GET", keyPath(keyID), "")
	b.want(t, 404, "for another principal", "GET", strings.Replace(keyPath(keyID), "orders", "other", 1), "")
	if status, _ := b.session(t, "a"); status != 200 {
		t.Errorf("the same key at the other: %d", status)
	}
	claim := newClaim(t)
	a.want(t, 204, "a claim", "PUT", claim, `["a"]`)
	b.want(t, 409, "the same claim at the other", "PUT", claim, `["b"]`)
	if status, text := b.do(t, "GET", claim, ""); status != 200 || text != `["a"]` {
		t.Errorf("the claim at the other: %d %s", status, text)
	}
	var wait sync.WaitGroup
	statuses := make([]int, 20)
	claim = newClaim(t)
	for i := range statuses {
		wait.Go(func() { statuses[i], _ = []node{a, b}[i%2].do(t, "PUT", claim, fmt.Sprintf(`["%d"]`, i)) })
	}
	wait.Wait()
	won := 0
	for _, s := range statuses {
		if s == 204 {
			won++
		} else if s != 409 {
			t.Errorf("status %d", s)
		}
	}
	if won != 1 {
		t.Errorf("%d callers made one claim", won)
	}
}

// What somebody else writes into the Redis has no trust: a binding is verified.
func TestRedisIsInputFromOutside(t *testing.T) {
	r := startRedis(t)
	cache := r.open(t)
	a, b := startNode(t, cache), startNode(t, r.open(t))
	forger := kesttest.NewProvider("spiffe://example.org/forger")
	id, err := forger.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	id.WorkloadID = orders // as it says
	seed := sha256.Sum256([]byte("stolen"))
	key, err := kest.SeedIdentity("unbound", seed[:])
	if err != nil {
		t.Fatal(err)
	}
	bound, err := id.BindKey(context.Background(), key.Key, "j", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"alg":"EdDSA","binding":%q,"not_after":%q,"principal":%q}`, bound.Binding, time.Now().Add(time.Hour).UTC().Format(time.RFC3339), orders)
	keyID := key.Key.Thumbprint()
	if err := cache.Put(context.Background(), identityhost.BindingKey(keyID), []byte(text), time.Hour); err != nil {
		t.Fatal(err)
	}
	a.want(t, 403, "a forged binding", "GET", keyPath(keyID), "")
	if status, _ := a.session(t, "stolen"); status != 200 {
		t.Errorf("who has the key gets a binding in its place: %d", status)
	}
	b.want(t, 200, "which the other finds", "GET", keyPath(keyID), "")
}

// A Redis that crashes and forgets: while it is away the answer is 503, and
// what an agent bound itself goes on. When it is back, so is all that the agents
// know, without a restart; claims of before are gone, as this Redis promises no
// more.
func TestRedisKilledAndRestarted(t *testing.T) {
	r := startRedis(t)
	a, b := startNode(t, r.open(t)), startNode(t, r.open(t))
	status, keyID := a.session(t, "a")
	if status != 200 {
		t.Fatalf("a session: %d", status)
	}
	claim := newClaim(t)
	a.want(t, 204, "a claim", "PUT", claim, `["a"]`)
	b.want(t, 200, "the other's key", "GET", keyPath(keyID), "")
	r.kill()
	for range 3 {
		a.want(t, 503, "a claim, while it is away", "PUT", newClaim(t), `["a"]`)
		b.want(t, 503, "a claim to get", "GET", claim, "")
		b.want(t, 503, "the other's key", "GET", keyPath(keyID), "")
		a.want(t, 200, "its own key", "GET", keyPath(keyID), "")
		if status, _ := b.session(t, "b"); status != 503 {
			t.Errorf("a session, while it is away: %d", status)
		}
		a.want(t, 200, "health", "GET", "/healthz", "")
	}
	r.start(t)
	within(t, 5*time.Second, "claims are taken again", func() bool { status, _ := a.do(t, "PUT", newClaim(t), `["a"]`); return status == 204 })
	within(t, 5*time.Second, "sessions are bound again", func() bool { status, _ := b.session(t, "b"); return status == 200 })
	b.want(t, 404, "a claim of before", "GET", claim, "")
	within(t, 30*time.Second, "the other's key is found again", func() bool { status, _ := b.do(t, "GET", keyPath(keyID), ""); return status == 200 })
}

// A Redis that writes each value to its file before it answers loses nothing
// that it acknowledged, whenever it crashes.
func TestRedisWithAFileLosesNothing(t *testing.T) {
	r := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := startNode(t, r.open(t)), startNode(t, r.open(t))
	status, keyID := a.session(t, "a")
	if status != 200 {
		t.Fatalf("a session: %d", status)
	}
	stop, done := make(chan struct{}), make(chan []string)
	go func() { // claims are made all the time; the crash comes in between
		var taken []string
		for {
			select {
			case <-stop:
				done <- taken
				return
			default:
			}
			claim := newClaim(t)
			if status, _ := a.do(t, "PUT", claim, `["`+claim+`"]`); status == 204 {
				taken = append(taken, claim)
			}
		}
	}()
	time.Sleep(300 * time.Millisecond)
	r.kill()
	r.start(t)
	time.Sleep(300 * time.Millisecond)
	close(stop)
	taken := <-done
	if len(taken) < 10 {
		t.Fatalf("%d claims only", len(taken))
	}
	for _, claim := range taken {
		if status, text := b.do(t, "GET", claim, ""); status != 200 || text != `["`+claim+`"]` {
			t.Errorf("a claim that was acknowledged: %d %s", status, text)
		}
	}
	b.want(t, 200, "the binding", "GET", keyPath(keyID), "")
}

// A Redis that is full takes nothing more and loses nothing; when there is room
// again all goes on.
func TestFullRedis(t *testing.T) {
	r := startRedis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
	cache := r.open(t)
	a, b := startNode(t, cache), startNode(t, r.open(t))
	status, keyID := a.session(t, "a")
	if status != 200 {
		t.Fatalf("a session: %d", status)
	}
	body := `["` + strings.Repeat("a", 100_000) + `"]`
	var taken []string
	for len(taken) < 100 {
		claim := newClaim(t)
		status, _ := a.do(t, "PUT", claim+"?ttl=8", body)
		if status == http.StatusInsufficientStorage {
			break
		}
		if status != 204 {
			t.Fatalf("claim %d: %d", len(taken), status)
		}
		taken = append(taken, claim)
	}
	if len(taken) == 0 || len(taken) == 100 {
		t.Fatalf("%d claims in 4 MB", len(taken))
	}
	if err := cache.Put(context.Background(), kest.ClaimKey("full"), []byte(body), time.Minute); !errors.Is(err, kest.ErrFull) {
		t.Errorf("Put: %v", err)
	}
	for _, claim := range taken {
		b.want(t, 200, "a claim of before", "GET", claim, "")
	}
	b.want(t, 200, "a key of before", "GET", keyPath(keyID), "")
	if status, _ := b.session(t, "b"); status != 503 {
		t.Errorf("a session: %d", status)
	}
	within(t, 60*time.Second, "there is room again", func() bool { status, _ := a.do(t, "PUT", newClaim(t), body); return status == 204 })
	if status, _ := b.session(t, "b"); status != 200 {
		t.Errorf("a session, when there is room again: %d", status)
	}
}

// A Redis that hangs costs each request its second and hinders nobody else.
func TestRedisThatHangs(t *testing.T) {
	r := startRedis(t)
	a := startNode(t, r.open(t))
	_, keyID := a.session(t, "a")
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }()
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() { a.want(t, 503, "a claim", "PUT", newClaim(t), `["a"]`) })
	}
	for range 20 {
		a.want(t, 200, "health", "GET", "/healthz", "")
		a.want(t, 200, "its own key", "GET", keyPath(keyID), "")
	}
	wait.Wait()
	if err := r.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "claims are taken again", func() bool { status, _ := a.do(t, "PUT", newClaim(t), `["a"]`); return status == 204 })
}

// kest agent itself, with a Redis: another one finds its claims, also after the
// first was killed, and nobody tells the password.
func TestAgentCommandWithRedis(t *testing.T) {
	r := startRedis(t)
	binary := filepath.Join(t.TempDir(), "kest")
	build := exec.Command("go", "build", "-o", binary, "./cmd/kest")
	build.Dir = envoytest.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	first, second := startAgentCommand(t, binary, r.url()), startAgentCommand(t, binary, r.url())
	claim := newClaim(t)
	first.want(t, 204, "a claim", "PUT", claim, `["a"]`)
	if status, _ := first.session(t, "a"); status != 200 {
		t.Errorf("a session: %d", status)
	}
	_ = first.cmd.Process.Kill()
	_ = first.cmd.Wait()
	second.want(t, 200, "the claim at the other", "GET", claim, "")
	r.kill()
	second.want(t, 503, "while the Redis is away", "GET", claim, "")
	if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	for _, log := range []string{first.log.String(), second.log.String()} {
		if strings.Contains(log, redisPassword) || strings.Contains(log, "only proxies of this agent") {
			t.Errorf("the log: %s", log)
		}
	}
	if !strings.Contains(second.log.String(), fmt.Sprint("127.0.0.1:", r.port)) {
		t.Errorf("the log doesn't say what failed: %s", second.log.String())
	}
}

// agentCommand is a running kest agent; its log is read after it has ended.
type agentCommand struct {
	node
	cmd *exec.Cmd
	log *bytes.Buffer
}

func startAgentCommand(t *testing.T, binary, cacheURL string) agentCommand {
	t.Helper()
	dir, err := os.MkdirTemp("", "kn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent.sock")
	a := agentCommand{cmd: exec.Command(binary, "agent", "--listen", "unix:"+socket, "--identity", "local"), log: &bytes.Buffer{}}
	a.cmd.Env = []string{"KEST_WORKLOAD=" + orders, "KEST_AGENT_CACHE=" + cacheURL}
	a.cmd.Stderr = a.log
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.cmd.Process.Kill() })
	a.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	within(t, time.Minute, "the agent listens", func() bool { _, err := os.Lstat(socket); return err == nil })
	return a
}
