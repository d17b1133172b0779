package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

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
