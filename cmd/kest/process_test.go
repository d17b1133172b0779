package main

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds the command once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "kest")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", &buildError{string(out), err}
	}
	return path, nil
})

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return e.err.Error() + ": " + e.out }

// command is a command line of the built command.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// process is a running command that serves.
type process struct {
	address string // where it listens: HOST:PORT or a path
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended

	mu  sync.Mutex
	log []string
}

// startProcess starts a command and waits until it says where it listens, in the
// first group of the expression.
func startProcess(t *testing.T, cmd *exec.Cmd, listens *regexp.Regexp) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-p.done })
	address := make(chan string, 1)
	go p.follow(stderr, listens, address)
	select {
	case p.address = <-address:
	case <-p.done:
		t.Fatalf("it ended after %q", p.lines())
	case <-time.After(3 * time.Minute):
		t.Fatalf("it doesn't listen after %q", p.lines())
	}
	return p
}

// follow keeps what the command says.
func (p *process) follow(stderr io.Reader, listens *regexp.Regexp, address chan<- string) {
	defer close(p.done)
	for s := bufio.NewScanner(stderr); s.Scan(); {
		p.mu.Lock()
		p.log = append(p.log, s.Text())
		p.mu.Unlock()
		if m := listens.FindStringSubmatch(s.Text()); m != nil {
			address <- m[1]
		}
	}
}

func (p *process) lines() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// end sends a signal and returns the exit code, -1 for one that was killed.
func (p *process) end(t *testing.T, signal syscall.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("it doesn't end: %s", p.lines())
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// eventually repeats a look until it is as wanted.
func eventually(t *testing.T, what string, look func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if look() {
			return
		}
	}
	t.Fatalf("not within 30 s: %s", what)
}
