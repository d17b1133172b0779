package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
