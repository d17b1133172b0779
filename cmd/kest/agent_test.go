package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kest.example/kest"
)

const agentToken = "correct-horse-battery-staple"

// agentProcess is a running kest agent.
type agentProcess struct {
	address string // HOST:PORT or a path
	cmd     *exec.Cmd
	http    *http.Client
	done    chan struct{}

	mu  sync.Mutex
	log []string
}

// agentEnv is an environment without an identity but the local one.
func agentEnv(runtime string, more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "XDG_RUNTIME_DIR=" + runtime, "KEST_WORKLOAD=spiffe://t/orders"}, more...)
}

// startAgent starts the command, in an environment of its own, and waits until
// it says where it listens.
func startAgent(t *testing.T, env []string, args ...string) *agentProcess {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return startAgentCommand(t, env, exec.Command(path, append([]string{"agent"}, args...)...))
}

func startAgentCommand(t *testing.T, env []string, cmd *exec.Cmd) *agentProcess {
	t.Helper()
	a := &agentProcess{cmd: cmd, done: make(chan struct{})}
	cmd.Env = env
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-a.done })
	address := make(chan string, 1)
	go a.follow(stderr, address)
	select {
	case a.address = <-address:
	case <-a.done:
		t.Fatalf("it ended after %q", a.lines())
	case <-time.After(time.Minute):
		t.Fatalf("it doesn't listen after %q", a.lines())
	}
	network := "tcp"
	if strings.HasPrefix(a.address, "/") {
		network = "unix"
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, a.address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	a.http = &http.Client{Transport: transport, Timeout: time.Minute}
	return a
}

var agentListens = regexp.MustCompile(`^kest: identity [a-z]+, listening on (?:unix:)?(\S+)$`)

// follow keeps what the agent says.
func (a *agentProcess) follow(stderr io.Reader, address chan<- string) {
	defer close(a.done)
	for s := bufio.NewScanner(stderr); s.Scan(); {
		a.mu.Lock()
		a.log = append(a.log, s.Text())
		a.mu.Unlock()
		if m := agentListens.FindStringSubmatch(s.Text()); m != nil {
			address <- m[1]
		}
	}
}

func (a *agentProcess) lines() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.log, "\n")
}

// end sends a signal and returns the exit code, -1 for one that was killed.
func (a *agentProcess) end(t *testing.T, signal syscall.Signal) int {
	t.Helper()
	if err := a.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("it doesn't end: %s", a.lines())
	}
	_ = a.cmd.Wait()
	return a.cmd.ProcessState.ExitCode()
}

func (a *agentProcess) do(t *testing.T, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := a.http.Do(r)
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

func (a *agentProcess) want(t *testing.T, status int, method, path, body string, headers ...string) string {
	t.Helper()
	got, text := a.do(t, method, path, body, headers...)
	if got != status {
		t.Errorf("%s %s: %d, want %d: %s", method, path, got, status, text)
	}
	return text
}

// sessionProof is a proof of possession of a key that follows from a name.
func sessionProof(t *testing.T, name string) (keyID, proof string) {
	t.Helper()
	seed := make([]byte, 32)
	copy(seed, name)
	id, err := kest.SeedIdentity("unbound", seed)
	if err != nil {
		t.Fatal(err)
	}
	proof, err = id.ProveKey(context.Background(), rand.Text(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id.Key.Thumbprint(), proof
}

// register binds a key and looks it up.
func (a *agentProcess) register(t *testing.T, name string, headers ...string) (keyID string) {
	t.Helper()
	keyID, proof := sessionProof(t, name)
	var s struct {
		WorkloadID string    `json:"workload_id"`
		KeyID      string    `json:"kid"`
		Binding    string    `json:"binding"`
		NotAfter   time.Time `json:"not_after"`
	}
	text := a.want(t, 200, "POST", "/v1/sessions", proof, append(headers, "Content-Type", "application/jose")...)
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.WorkloadID != "spiffe://t/orders" || s.KeyID != keyID || s.Binding == "" || !s.NotAfter.After(time.Now()) {
		t.Errorf("%v: %s", err, text)
	}
	a.want(t, 200, "GET", "/v1/keys/"+keyID+"?principal=spiffe://t/orders", "", headers...)
	return keyID
}

// folder is a short one: a socket's path has 107 bytes at most.
func folder(t *testing.T) string {
	t.Helper()
	path, err := os.MkdirTemp("", "ka")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	return path
}

func isSocket(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|mode {
		t.Errorf("%s: %v %v, want a socket of mode %o", path, info, err, mode)
	}
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is there still: %v", path, err)
	}
}

// Without any flag there is a socket that only this user reaches.
func TestAgentByDefault(t *testing.T) {
	runtime := folder(t)
	a := startAgent(t, agentEnv(runtime))
	socket := filepath.Join(runtime, "kest", "agent.sock")
	if a.address != socket {
		t.Errorf("it listens on %s", a.address)
	}
	isSocket(t, socket, 0o600)
	if info, err := os.Stat(filepath.Dir(socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder: %v %v", info, err)
	}
	if !strings.Contains(a.lines(), "only proxies of this agent find them") {
		t.Errorf("nothing is said of the memory: %s", a.lines())
	}
	a.want(t, 200, "GET", "/healthz", "")
	a.want(t, 200, "GET", "/readyz", "")
	keyID := a.register(t, "k")
	a.want(t, 204, "PUT", "/v1/claims/9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11", `["a"]`)
	if text := a.want(t, 200, "GET", "/metrics", ""); !strings.Contains(text, "\nkest_agent_sessions 1\n") || strings.Contains(text, keyID) {
		t.Errorf("metrics: %s", text)
	}
	if code := a.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, a.lines())
	}
	gone(t, socket)
	entries, err := os.ReadDir(filepath.Dir(socket))
	if err != nil || len(entries) != 0 {
		t.Errorf("it left %v %v", entries, err)
	}
	for line := range strings.Lines(a.lines()) {
		if !strings.HasPrefix(line, "kest: ") && !strings.HasPrefix(line, "time=") && !strings.Contains(line, "insecure") {
			t.Errorf("a line of its own form: %q", line)
		}
	}
}

// Without XDG_RUNTIME_DIR it is a folder for temporary files, which must be ours.
func TestAgentDefaultFolder(t *testing.T) {
	tmp := folder(t)
	ours := filepath.Join(tmp, "kest-"+strconv.Itoa(os.Getuid()))
	env := []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + tmp, "KEST_WORKLOAD=spiffe://t/orders"}
	a := startAgent(t, env)
	isSocket(t, filepath.Join(ours, "agent.sock"), 0o600)
	if code := a.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit %d", code)
	}
	if err := os.Chmod(ours, 0o755); err != nil {
		t.Fatal(err)
	}
	agentFails(t, env, "not a folder of this user alone")
	if err := os.Remove(ours); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), ours); err != nil {
		t.Fatal(err)
	}
	agentFails(t, env, "not a folder of this user alone")
}

// agentFails wants exit 2 and one line with a text.
func agentFails(t *testing.T, env []string, text string, args ...string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"agent"}, args...)...)
	cmd.Env = env
	out, _ := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if cmd.ProcessState.ExitCode() != exitMisuse || !strings.HasPrefix(last, "kest: ") || !strings.Contains(last, text) {
		t.Errorf("agent %v: exit %d, %q", args, cmd.ProcessState.ExitCode(), out)
	}
}

// An agent that was killed leaves its socket, which the next one replaces; live
// keys are registered again.
func TestAgentKilledAndRestarted(t *testing.T) {
	socket := filepath.Join(folder(t), "a.sock")
	for round := range 3 {
		a := startAgent(t, agentEnv(""), "--listen", "unix:"+socket)
		keyID, _ := sessionProof(t, "k")
		if round > 0 {
			a.want(t, 404, "GET", "/v1/keys/"+keyID+"?principal=spiffe://t/orders", "")
		}
		a.register(t, "k")
		if code := a.end(t, syscall.SIGKILL); code != -1 {
			t.Errorf("exit %d", code)
		}
		isSocket(t, socket, 0o600)
	}
}

func TestAgentSocketInUse(t *testing.T) {
	socket := filepath.Join(folder(t), "a.sock")
	a := startAgent(t, agentEnv(""), "--listen", "unix:"+socket)
	agentFails(t, agentEnv(""), "in use", "--listen", "unix:"+socket)
	a.want(t, 200, "GET", "/healthz", "")
	a.register(t, "k")
}

// Many that start at once over a stale socket: one has it in the end, and it
// can be reached.
func TestAgentsThatStartAtOnce(t *testing.T) {
	socket := filepath.Join(folder(t), "a.sock")
	for range 3 {
		stale(t, socket)
		var wait sync.WaitGroup
		listeners := make([]net.Listener, 8)
		for i := range listeners {
			wait.Go(func() { listeners[i], _ = listenUnix(socket, 0o600, -1) })
		}
		wait.Wait()
		won := 0
		for _, l := range listeners {
			if l == nil {
				continue
			}
			won++
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatalf("it can't be reached: %v", err)
			}
			if _, err := l.Accept(); err != nil {
				t.Error(err)
			}
			_ = conn.Close()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d listen", won)
		}
		gone(t, socket)
	}
}

// stale leaves a socket that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
}

// What is no socket is never removed, at the start or at the end.
func TestAgentRemovesNothingElse(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "file")
	keep := func() {
		t.Helper()
		if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
			t.Errorf("the file is %q, %v", text, err)
		}
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	agentFails(t, agentEnv(""), "no socket", "--listen", "unix:"+path)
	keep()
	link := filepath.Join(dir, "link")
	stale(t, filepath.Join(dir, "s"))
	if err := os.Symlink("s", link); err != nil {
		t.Fatal(err)
	}
	agentFails(t, agentEnv(""), "no socket", "--listen", "unix:"+link)
	isSocket(t, filepath.Join(dir, "s"), 0o755&^umask())
	socket := filepath.Join(dir, "a.sock")
	a := startAgent(t, agentEnv(""), "--listen", "unix:"+socket)
	if err := os.Rename(path, socket); err != nil {
		t.Fatal(err)
	}
	if code := a.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, a.lines())
	}
	path = socket
	keep()
}

func umask() os.FileMode {
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return os.FileMode(mask)
}

// Whatever the umask, the socket is never wider than its mode.
func TestAgentSocketMode(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, mask := range []string{"000", "077", "777"} {
		for mode, args := range map[os.FileMode][]string{0o600: nil, 0o660: {"--mode", "0660"}, 0o666: {"--mode", "666"}} {
			if mask == "777" && os.Getuid() != 0 {
				continue // only root can enter a folder that it made so
			}
			socket := filepath.Join(folder(t), "a.sock")
			stop, seen := watch(socket)
			shell := append([]string{"-c", "umask " + mask + "; exec \"$0\" \"$@\"", path, "agent", "--listen", "unix:" + socket}, args...)
			a := startAgentCommand(t, agentEnv(""), exec.Command("sh", shell...))
			isSocket(t, socket, mode)
			stop()
			for m := range seen {
				if m&^(os.ModeSocket|mode) != 0 {
					t.Errorf("umask %s: the mode was %v for a while", mask, m)
				}
			}
			a.end(t, syscall.SIGTERM)
			gone(t, socket)
		}
	}
}

// watch looks at a path all the time and keeps the modes that it had.
func watch(path string) (stop func(), seen map[os.FileMode]bool) {
	seen = make(map[os.FileMode]bool)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
			}
			if info, err := os.Lstat(path); err == nil {
				seen[info.Mode()] = true
			}
		}
	}()
	return func() { close(quit); <-done }, seen
}

func TestAgentGroup(t *testing.T) {
	gid := os.Getgid()
	if os.Getuid() == 0 {
		gid = 12345 // root may give it to any
	}
	for mode, args := range map[os.FileMode][]string{0o660: nil, 0o600: {"--mode", "0600"}} {
		socket := filepath.Join(folder(t), "a.sock")
		a := startAgent(t, agentEnv(""), append([]string{"--listen", "unix:" + socket, "--group", strconv.Itoa(gid)}, args...)...)
		isSocket(t, socket, mode)
		info, err := os.Stat(socket)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Gid) != gid {
			t.Errorf("the group is %+v", s)
		}
		a.register(t, "k")
	}
}

// On loopback every user of the machine reaches the agent: a token is needed,
// and told nowhere.
func TestAgentOnLoopback(t *testing.T) {
	a := startAgent(t, agentEnv(""), "--listen", "127.0.0.1:0", "--token-file", file(t, "token", agentToken+"\n"))
	if host, _, err := net.SplitHostPort(a.address); err != nil || host != "127.0.0.1" {
		t.Errorf("it listens on %s", a.address)
	}
	a.want(t, 200, "GET", "/healthz", "")
	a.want(t, 200, "GET", "/readyz", "")
	_, proof := sessionProof(t, "k")
	a.want(t, 401, "POST", "/v1/sessions", proof)
	a.want(t, 401, "POST", "/v1/sessions", proof, "Authorization", "Bearer "+agentToken+"x")
	a.register(t, "k", "Authorization", "Bearer "+agentToken)
	metrics := a.want(t, 200, "GET", "/metrics", "")
	a.end(t, syscall.SIGTERM)
	seed := make([]byte, 32)
	copy(seed, "k")
	for name, text := range map[string]string{"log": a.lines(), "metrics": metrics} {
		if strings.Contains(text, agentToken) || strings.Contains(text, fmt.Sprintf("%x", seed)) {
			t.Errorf("a secret is in the %s: %s", name, text)
		}
	}
	startAgent(t, agentEnv(""), "--listen", "localhost:0", "--token-file", file(t, "token", agentToken))
	unix := startAgent(t, agentEnv(""), "--listen", "unix:"+filepath.Join(folder(t), "s"), "--token-file", file(t, "token", agentToken))
	unix.want(t, 401, "POST", "/v1/sessions", proof)
}

func TestAgentMisuse(t *testing.T) {
	dir := folder(t)
	token, socket := file(t, "token", agentToken), "unix:"+filepath.Join(dir, "s")
	for text, args := range map[string][]string{
		"unix:PATH, or a loopback address": {"--listen", "0.0.0.0:8477", "--token-file", token},
		"--listen :8477":                   {"--listen", ":8477", "--token-file", token},
		"--listen [::]:8477":               {"--listen", "[::]:8477", "--token-file", token},
		"--listen example.org:8477":        {"--listen", "example.org:8477", "--token-file", token},
		"--listen 8477":                    {"--listen", "8477", "--token-file", token},
		"--listen /run/kest.sock":          {"--listen", "/run/kest.sock"},
		"--listen http://127.0.0.1:1":      {"--listen", "http://127.0.0.1:1", "--token-file", token},
		"--token-file":                     {"--listen", "127.0.0.1:0"},
		"for a Unix socket":                {"--listen", "127.0.0.1:0", "--token-file", token, "--group", "0"},
		"needs a path":                     {"--listen", "unix:"},
		"no such file":                     {"--listen", "unix:" + filepath.Join(dir, "none", "s")},
		"the path is too long":             {"--listen", "unix:" + filepath.Join(dir, strings.Repeat("x", 120))},
		"--mode 0999":                      {"--listen", socket, "--mode", "0999"},
		"--mode 0400":                      {"--listen", socket, "--mode", "0400"},
		"no such group":                    {"--listen", socket, "--group", "no-such-group"},
		"--group needs --listen":           {"--group", "0"},
		"--identity":                       {"--listen", socket, "--identity", "other"},
		"no/such/token":                    {"--listen", socket, "--token-file", "no/such/token"},
		"one token":                        {"--listen", socket, "--token-file", file(t, "short", "short")},
		"without blanks":                   {"--listen", socket, "--token-file", file(t, "blanks", agentToken+" "+agentToken)},
		"--session-ttl":                    {"--listen", socket, "--session-ttl", "2h"},
		"--claim-mib":                      {"--listen", socket, "--claim-mib", "0"},
		"memory or the URL of a Redis":     {"--listen", socket, "--cache", "redis://:hunter2hunter2@host:port"},
		"rediss://… for TLS":               {"--listen", socket, "--cache", "hunter2hunter2"},
		"no/such/keys":                     {"--listen", socket, "--keys", "no/such/keys"},
		"is a directory":                   {"--listen", socket, "--keys", filepath.Join(dir)},
		"extra":                            {"--listen", socket, "--keys", file(t, "keys", `{"extra":1}`)},
	} {
		path, err := binary()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, append([]string{"agent"}, args...)...)
		cmd.Env = agentEnv(dir)
		out, _ := cmd.CombinedOutput()
		got := strings.TrimSuffix(string(out), "\n")
		if cmd.ProcessState.ExitCode() != exitMisuse || strings.Contains(got, "\n") && !strings.Contains(got, "insecure") || !strings.Contains(got, text) {
			t.Errorf("agent %v: exit %d, %q; want %q", args, cmd.ProcessState.ExitCode(), got, text)
		}
		if strings.Contains(got, "hunter2") || strings.Contains(got, agentToken) {
			t.Errorf("a secret is told: %s", got)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 && (len(entries) > 1 || entries[0].Name() != "kest") {
		t.Errorf("it left %v %v", entries, err)
	}
}

// A client that never ends its request doesn't keep the agent from ending.
func TestAgentEndsWithSlowClients(t *testing.T) {
	socket := filepath.Join(folder(t), "a.sock")
	a := startAgent(t, agentEnv(""), "--listen", "unix:"+socket)
	for range 10 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "PUT /v1/claims/9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n["); err != nil {
			t.Fatal(err)
		}
	}
	a.register(t, "k")
	if code := a.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, a.lines())
	}
	gone(t, socket)
}

// A Redis and a Workload API that aren't there are no reason not to start.
func TestAgentWithoutItsParts(t *testing.T) {
	dir := folder(t)
	a := startAgent(t, agentEnv(""), "--listen", "unix:"+filepath.Join(dir, "a"), "--cache", "redis://:hunter2hunter2@127.0.0.1:1")
	a.want(t, 200, "GET", "/readyz", "")
	_, proof := sessionProof(t, "k")
	a.want(t, 503, "POST", "/v1/sessions", proof)
	a.want(t, 503, "GET", "/v1/claims/9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11", "")
	if text := a.lines(); strings.Contains(text, "hunter2") || strings.Contains(text, "only proxies") || !strings.Contains(text, "127.0.0.1:1") {
		t.Errorf("the log: %s", text)
	}
	spire := startAgent(t, agentEnv("", "SPIFFE_ENDPOINT_SOCKET=unix://"+filepath.Join(dir, "none")), "--listen", "unix:"+filepath.Join(dir, "b"))
	spire.want(t, 200, "GET", "/healthz", "")
	spire.want(t, 503, "GET", "/readyz", "")
	_, proof = sessionProof(t, "l")
	spire.want(t, 503, "POST", "/v1/sessions", proof)
	spire.want(t, 503, "GET", "/v1/keys/x?principal=spiffe://t/orders", "")
	if code := spire.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, spire.lines())
	}
}

// An agent trusts the keys of its file, and takes them in YAML too.
func TestAgentKeysFile(t *testing.T) {
	const jwk = `{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	keys := file(t, "keys.yaml", "static:\n  - {principal: spiffe://t/gw, jwk: "+jwk+"}\n")
	a := startAgent(t, agentEnv(""), "--listen", "unix:"+filepath.Join(folder(t), "a"), "--keys", keys)
	const path = "/v1/keys/kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k?principal=spiffe://t/"
	if text := a.want(t, 200, "GET", path+"gw", ""); !strings.Contains(text, jwk) {
		t.Error(text)
	}
	a.want(t, 404, "GET", path+"other", "")
}

// An identity that is there and can't be used is a no, never the next one's turn.
func TestAgentOfABrokenIdentity(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	cmd := exec.Command(path, "agent", "--listen", "unix:"+filepath.Join(dir, "a"))
	cmd.Env = agentEnv("", "AWS_BEDROCK_AGENT_ID=x")
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitNo || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "agentcore") {
		t.Errorf("exit %d: %s", cmd.ProcessState.ExitCode(), out)
	}
	gone(t, filepath.Join(dir, "a"))
}

func TestAgentExplainsItself(t *testing.T) {
	kestRun(t, "", "agent", "--help").want(t, exitGood, "Example:", "kest agent --listen", "XDG_RUNTIME_DIR", "--token-file", "--cache", "--group")
}
