package spire_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

// Open never waits, even for a server that never answers.
func TestOpenDoesNotWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, address := range []string{"tcp://" + l.Addr().String(), "unix:///nowhere/at/all"} {
		p, err := spire.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		kesttest.TestProviderNotReady(t, p)
		if text := fmt.Sprint(p.Ready()); strings.Contains(text, "\n") {
			t.Errorf("more than one line: %s", text)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// After Close there is no key and no goroutine, whatever state the API is in.
func TestClose(t *testing.T) {
	up, away := serve(t), serve(t, workloadtest.Late())
	hush := serve(t)
	hush.Refuse(true)
	until(t, "the end of other tests' goroutines", func() bool { return clientGoroutines() == 0 })
	for _, api := range []*workloadtest.Server{up, away, hush} {
		p, err := spire.Open(api.Address(), spire.OnBundles(func(bundleList) {}))
		if err != nil {
			t.Fatal(err)
		}
		if api == up {
			ready(t, p)
		}
		if clientGoroutines() == 0 {
			t.Error("a provider at work has no goroutine: they are counted wrong")
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		_ = p.Close()
		kesttest.TestProviderNotReady(t, p)
		if err := p.Ready(); !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("Ready: %v", err)
		}
	}
	until(t, "the end of all goroutines", func() bool { return clientGoroutines() == 0 && up.Streams() == 0 })
}

// Close waits for a callback that runs, so that none comes after it.
func TestCloseWaits(t *testing.T) {
	running, release, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	p := open(t, serve(t), spire.OnBundles(func(bundleList) {
		close(running)
		<-release
	}))
	await(t, running)
	go func() {
		defer close(closed)
		_ = p.Close()
	}()
	select {
	case <-closed:
		t.Error("Close returned while a callback ran")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	await(t, closed)
}

// clientGoroutines counts those that providers and their clients run.
func clientGoroutines() int {
	stacks := make([]byte, 1<<20)
	n := 0
	for _, g := range bytes.Split(stacks[:runtime.Stack(stacks, true)], []byte("\n\n")) {
		if bytes.Contains(g, []byte("grpc")) && !bytes.Contains(g, []byte("Server")) || bytes.Contains(g, []byte("identityhost/spire.(")) {
			n++
		}
	}
	return n
}
