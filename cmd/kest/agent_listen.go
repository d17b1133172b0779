package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// agentAddress is where an agent listens.
type agentAddress struct {
	tcp  string // HOST:PORT, or ""
	path string // of a Unix socket
	mode os.FileMode
	gid  int // -1: the process's own
}

// address reads --listen, --mode and --group.
func (a *agentCmd) address() (*agentAddress, error) {
	path, isUnix := strings.CutPrefix(a.Listen, "unix:")
	switch {
	case a.Listen == "":
		var err error
		if path, err = defaultSocket(os.LookupEnv, a.Group == ""); err != nil {
			return nil, err
		}
	case isUnix && path == "":
		return nil, errors.New("--listen unix: needs a path, such as unix:/run/kest/agent.sock")
	case !isUnix:
		return a.loopback()
	}
	mode, err := socketMode(a.Mode, a.Group != "")
	if err != nil {
		return nil, err
	}
	gid, err := groupID(a.Group)
	if err != nil {
		return nil, err
	}
	return &agentAddress{path: path, mode: mode, gid: gid}, nil
}

// loopback reads HOST:PORT. Names are not looked up: what localhost means is
// fixed, and nothing else is on this machine for certain.
func (a *agentCmd) loopback() (*agentAddress, error) {
	host, port, err := net.SplitHostPort(a.Listen)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("--listen %s: it must be unix:PATH, or a loopback address such as 127.0.0.1:8477", a.Listen)
	}
	if a.TokenFile == "" {
		return nil, fmt.Errorf("--listen %s: every user of this machine reaches it: name the file of a token with --token-file", a.Listen)
	}
	if a.Group != "" || a.Mode != "" {
		return nil, errors.New("--group and --mode are for a Unix socket")
	}
	return &agentAddress{tcp: net.JoinHostPort(host, port)}, nil
}

// defaultSocket is the path without --listen, in a folder that nobody else can enter.
func defaultSocket(env func(string) (string, bool), alone bool) (string, error) {
	if !alone {
		return "", errors.New("--group needs --listen unix:PATH: the default folder is open to this user alone")
	}
	folder, ok := env("XDG_RUNTIME_DIR")
	if ok && filepath.IsAbs(folder) {
		folder = filepath.Join(folder, "kest")
	} else {
		folder = filepath.Join(os.TempDir(), "kest-"+strconv.Itoa(os.Getuid()))
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return "", err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s: it is not a folder of this user alone: remove it, or choose another with --listen unix:PATH", folder)
	}
	return filepath.Join(folder, "agent.sock"), nil
}

func socketMode(text string, group bool) (os.FileMode, error) {
	if text == "" {
		if group {
			return 0o660, nil
		}
		return 0o600, nil
	}
	mode, err := strconv.ParseUint(text, 8, 9)
	if err != nil || mode&0o600 != 0o600 {
		return 0, fmt.Errorf("--mode %s: it must be octal, such as 0600 or 0660, and let this user read and write", text)
	}
	return os.FileMode(mode), nil
}

// groupID finds a group by name or number.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if gid, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(gid), nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("--group %s: there is no such group", name)
	}
	return strconv.Atoi(group.Gid)
}

// listen begins to listen; afterwards String names the port that was chosen.
func (a *agentAddress) listen() (net.Listener, error) {
	if a.tcp == "" {
		return listenUnix(a.path, a.mode, a.gid)
	}
	l, err := net.Listen("tcp", a.tcp)
	if err != nil {
		return nil, err
	}
	a.tcp = l.Addr().String()
	return l, nil
}

func (a *agentAddress) String() string {
	if a.tcp == "" {
		return "unix:" + a.path
	}
	return a.tcp
}

// socket is a listener on a Unix socket that removes its file at the end.
type socket struct {
	*net.UnixListener
	path string
	file os.FileInfo
}

// Close ends it. A file that somebody put in its place stays.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.file) {
		return errors.Join(err, os.Remove(s.path))
	}
	return err
}

// maxSocketPath is the room for a path and its end in unix(7).
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path)

// listenUnix makes a socket in a folder of its own, where nobody reaches it
// before it has its mode and group, and then links it to its path. A umask
// would be the whole process's, and chmod after bind comes too late.
func listenUnix(path string, mode os.FileMode, gid int) (net.Listener, error) {
	if len(path) >= maxSocketPath {
		return nil, fmt.Errorf("--listen unix:%s: the path is too long: nobody could connect to more than %d bytes", path, maxSocketPath-1)
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), ".kest")
	if err != nil {
		return nil, fmt.Errorf("--listen unix:%s: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	hidden := filepath.Join(folder, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("--listen unix:%s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	info, err := publishSocket(hidden, path, mode, gid)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{l, path, info}, nil
}

func publishSocket(hidden, path string, mode os.FileMode, gid int) (os.FileInfo, error) {
	if err := os.Chown(hidden, -1, gid); err != nil {
		return nil, fmt.Errorf("--group: %w", err)
	}
	if err := os.Chmod(hidden, mode); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	err = os.Link(hidden, path)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) {
		err = os.Rename(hidden, path) // a file system without hard links; nothing is there, as we just saw
	}
	if err != nil {
		return nil, fmt.Errorf("--listen unix:%s: %w", path, err)
	}
	return os.Lstat(path)
}

// lockTime is how long another agent that starts in the same folder may take.
const lockTime = 5 * time.Second

// lockFolder lets one agent at a time replace a stale socket, so that none
// removes what another has just put there. The lock is on the folder itself and
// leaves no file.
func lockFolder(folder string) (unlock func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockTime); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // which unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("--listen: locking %s: %w", folder, err), f.Close())
		}
	}
}

// removeStale removes a socket that nobody listens on, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("--listen unix:%s: something that is no socket is there", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("--listen unix:%s: it is in use: another agent listens there", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return fmt.Errorf("--listen unix:%s: whether it is in use can't be told: %w", path, err)
}
