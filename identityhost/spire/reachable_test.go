package spire_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/workloadtest"
)

// One line says why the API can't be reached, and code can tell the causes apart.
func TestReachable(t *testing.T) {
	api := serve(t)
	refusing := serve(t)
	refusing.Refuse(true)
	stale := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for name, c := range map[string]struct {
		address string
		want    error
		limit   time.Duration
	}{
		"there":           {api.Address(), nil, wait},
		"no socket":       {"unix://" + filepath.Join(t.TempDir(), "s"), spire.ErrNoSocket, wait},
		"refused, unix":   {"unix://" + stale, spire.ErrRefused, wait},
		"refused, tcp":    {serve(t, workloadtest.WithTCP(), workloadtest.Late()).Address(), spire.ErrRefused, wait},
		"no identity":     {refusing.Address(), spire.ErrNoIdentity, wait},
		"silent":          {"tcp://" + silent.Addr().String(), context.DeadlineExceeded, 50 * time.Millisecond},
		"under a file":    {"unix:///dev/null/s", nil, wait},
		"no Workload API": {"tcp://" + greeter(t), nil, wait},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), c.limit)
		err := spire.Reachable(ctx, c.address)
		cancel()
		if name == "there" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var typed *spire.Error
		if !errors.As(err, &typed) || !errors.Is(err, kest.ErrUnavailable) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "\n") || typed.Address != c.address {
			t.Errorf("%s: not one line, or of %s: %v", name, typed.Address, err)
		}
	}
	if errors.Is(spire.Reachable(context.Background(), "unix:///dev/null/s"), fs.ErrNotExist) {
		t.Error("a path under a file passes for one that is missing")
	}
}

// greeter is a server of some other protocol.
func greeter(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example.org\r\n"))
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); served.Wait() })
	return l.Addr().String()
}
