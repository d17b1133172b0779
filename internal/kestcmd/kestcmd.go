// Package kestcmd runs the kest command as a process of its own, for tests.
package kestcmd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/internal/logtest"
)

// Build builds the command and returns its path.
func Build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kest")
	build := exec.Command("go", "build", "-o", path, "./cmd/kest") //nolint:gosec // our own command
	build.Dir = envoytest.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// Folder makes a folder with a short name, since a Unix socket's path has 107
// bytes at most; it is removed at the test's end.
func Folder(t testing.TB) string {
	t.Helper()
	path, err := os.MkdirTemp("", "kc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	return path
}

// Process is a kest command that runs.
type Process struct {
	Log logtest.Buffer // what it writes to standard output and error

	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a binary in a folder, with these variables and no others, until
// the test's end.
func Start(t testing.TB, binary, folder string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(binary, args...), done: make(chan struct{})} //nolint:gosec // our own command
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = folder, env, &p.Log, &p.Log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Await waits until the log has what a pattern says, at most two minutes, and
// returns the submatches.
func (p *Process) Await(t testing.TB, pattern string) []string {
	t.Helper()
	r := regexp.MustCompile(pattern)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if m := r.FindStringSubmatch(p.Log.String()); m != nil {
			return m
		}
		select {
		case <-p.done:
			if r.MatchString(p.Log.String()) {
				continue
			}
			t.Fatalf("it ended with %d before %q:\n%s", p.cmd.ProcessState.ExitCode(), pattern, p.Log.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("no %q in\n%s", pattern, p.Log.String())
	return nil
}

// Listening waits until an agent or a proxy says where it listens: a path or
// HOST:PORT.
func (p *Process) Listening(t testing.TB) string {
	t.Helper()
	return p.Await(t, `(?m)^kest: .*listening on (?:unix:)?([^\s,]+)`)[1]
}

// Wait waits until it has ended and returns its exit code, -1 where a signal
// ended it.
func (p *Process) Wait() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends it at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop has it end by itself and returns its exit code.
func (p *Process) Stop(t testing.TB) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	return p.Wait()
}

// Client sends whatever is asked to an address as Listening returns it.
func Client(t testing.TB, address string) *http.Client {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}
