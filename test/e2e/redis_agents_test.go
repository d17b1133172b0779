//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
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
	"kest.example/kest/internal/envoytest"
	"kest.example/kest/internal/uuid7"
	"kest.example/kest/kesttest"
)

// node is an agent of one workload; several share a Redis, as with a KMS key
// several nodes share an identity.
type node struct {
	agent  *identityhost.Agent
	client *http.Client
}

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
func (n node) session(t *testing.T, name string, more ...kest.ProofMember) (status int, keyID string) {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	id, err := kest.SeedIdentity("unbound", seed[:])
	if err != nil {
		t.Fatal(err)
	}
	proof, err := id.ProveKey(context.Background(), rand.Text(), time.Now(), more...)
	if err != nil {
		t.Fatal(err)
	}
	status, _ = n.do(t, "POST", "/v1/sessions", proof)
	return status, id.Key.Thumbprint()
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
