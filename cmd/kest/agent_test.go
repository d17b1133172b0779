package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

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
