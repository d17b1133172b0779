// Package envoytest runs a real Envoy for tests and benchmarks.
package envoytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kest.example/kest/internal/logtest"
)

// Envoy is one running proxy.
type Envoy struct {
	Admin string // host:port
	cmd   *exec.Cmd
	done  chan struct{}
	log   logtest.Buffer
}

// Root returns the project's folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Binary returns the path of the Envoy that make tools fetched.
func Binary() (string, error) {
	path := filepath.Join(Root(), ".tools", "bin", "envoy")
	if _, err := os.Stat(path); err != nil {
		return "", errors.New("envoy is not there: run make tools")
	}
	return path, nil
}

// FreePorts returns ports on loopback that nobody listened on just now.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all at once, so that they differ
		address, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, errors.New("no TCP address")
		}
		ports[i] = address.Port
	}
	return ports, nil
}

// Start runs Envoy on a configuration, which must have its admin interface at
// the address, and waits until it serves, at most 3 minutes. Its working folder
// is the project's.
func Start(configuration, admin string, concurrency int) (*Envoy, error) {
	return start(Root(), nil, configuration, admin, concurrency)
}

// StartIn is Start in another working folder, where its temporary files are, too.
func StartIn(dir, configuration, admin string, concurrency int) (*Envoy, error) {
	return start(dir, []string{"TMPDIR=" + dir}, configuration, admin, concurrency)
}

func start(dir string, env []string, configuration, admin string, concurrency int) (*Envoy, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "kest-envoy-*.yaml")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if _, err := file.WriteString(configuration); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	e := &Envoy{Admin: admin, done: make(chan struct{})}
	e.cmd = exec.Command(binary, "-c", file.Name(), "--concurrency", strconv.Itoa(concurrency), //nolint:gosec // our own tool
		"--disable-hot-restart", "-l", "warning", "--component-log-level", "wasm:debug", "--file-flush-interval-msec", "100")
	e.cmd.Dir, e.cmd.Env, e.cmd.Stdout, e.cmd.Stderr = dir, append(os.Environ(), env...), &e.log, &e.log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = e.cmd.Wait()
		close(e.done)
	}()
	if err := e.ready(); err != nil {
		e.Stop()
		return nil, fmt.Errorf("%w\n%s", err, e.Log())
	}
	return e, nil
}

func (e *Envoy) ready() error {
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		select {
		case <-e.done:
			return errors.New("envoy ended")
		case <-time.After(50 * time.Millisecond):
		}
		if body, err := e.admin("/ready"); err == nil && strings.HasPrefix(body, "LIVE") {
			return nil
		}
	}
	return errors.New("envoy was not ready within 3 minutes")
}

func (e *Envoy) admin(path string) (string, error) {
	response, err := http.Get("http://" + e.Admin + path)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// Log returns what Envoy has logged so far.
func (e *Envoy) Log() string { return e.log.String() }

// Stop ends Envoy and waits for that.
func (e *Envoy) Stop() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.done:
	case <-time.After(5 * time.Second):
		_ = e.cmd.Process.Kill()
		<-e.done
	}
}

// CPU returns how long all of Envoy's threads have run, by the scheduler's own count.
func (e *Envoy) CPU() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", e.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, errors.New("no schedstat in /proc")
	}
	var total time.Duration
	for _, f := range files {
		b, err := os.ReadFile(f) //nolint:gosec // a path in /proc
		if err != nil {
			continue // a thread that ended
		}
		ns, err := strconv.ParseInt(string(bytes.Fields(b)[0]), 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ns)
	}
	return total, nil
}
