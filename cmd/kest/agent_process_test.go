package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
)

const agentToken = "correct-horse-battery-staple"

// agentProcess is a running kest agent.
type agentProcess struct {
	*process
	http *http.Client
}

// agentEnv is an environment without an identity but the local one.
func agentEnv(runtime string, more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "XDG_RUNTIME_DIR=" + runtime, "KEST_WORKLOAD=spiffe://t/orders"}, more...)
}

// startAgent starts the command, in an environment of its own, and waits until
// it says where it listens.
func startAgent(t *testing.T, env []string, args ...string) *agentProcess {
	t.Helper()
	return startAgentCommand(t, env, command(t, append([]string{"agent"}, args...)...))
}

var agentListens = regexp.MustCompile(`^kest: identity [a-z]+, listening on (?:unix:)?(\S+)$`)

func startAgentCommand(t *testing.T, env []string, cmd *exec.Cmd) *agentProcess {
	t.Helper()
	cmd.Env = env
	p := startProcess(t, cmd, agentListens)
	network := "tcp"
	if strings.HasPrefix(p.address, "/") {
		network = "unix"
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &agentProcess{p, &http.Client{Transport: transport, Timeout: time.Minute}}
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
