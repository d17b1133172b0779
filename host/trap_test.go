package host_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest/host"
)

func TestTrapThenNextIsServed(t *testing.T) {
	f, log := newFilter(t, "", host.WithPool(1))
	s := newServer(t, f)
	for _, path := range []string{"/exit", "/block"} {
		wantUnavailable(t, get(t, s.URL+path), log)
		if r := get(t, s.URL+"/pass"); r.StatusCode != 200 {
			t.Error(r.StatusCode, r.body)
		}
	}
	log.await(t, "the guest trapped", 2)
}

// A request that waits for a callout in an instance that traps is refused at once.
func TestTrapRefusesWhatWaits(t *testing.T) {
	release := make(chan struct{})
	callee := newCallee(t, func(http.ResponseWriter, *http.Request) { <-release })
	f, log := newFilter(t, "", host.WithPool(1), host.WithTarget("callee", callee))
	defer close(release)
	s := newServer(t, f)
	waiting := make(chan result)
	go func() { waiting <- get(t, s.URL+"/call?cluster=callee&path=/&ms=4000") }()
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	wantUnavailable(t, get(t, s.URL+"/exit"), log)
	wantUnavailable(t, <-waiting, log)
	if time.Since(start) > 2*time.Second {
		t.Error("the waiting request was refused late")
	}
}

func TestMemoryLimit(t *testing.T) {
	f, log := newFilter(t, "", host.WithPool(1), host.WithMemoryLimit(512))
	s := newServer(t, f)
	if r := get(t, s.URL+"/grow?mib=8"); r.body != "8" {
		t.Error(r.StatusCode, r.body)
	}
	wantUnavailable(t, get(t, s.URL+"/grow?mib=64"), log)
	if r := get(t, s.URL+"/pass"); r.StatusCode != 200 {
		t.Error(r.StatusCode)
	}
}

// A guest that doesn't come back is ended by the deadline, in a loop and in a
// recursion, while Go's collector, which can't interrupt it, goes on working.
func TestRunawayGuest(t *testing.T) {
	for _, path := range []string{"/spin", "/recurse", "/sleep"} {
		f, log := newFilter(t, "", host.WithPool(1), host.WithDeadline(500*time.Millisecond))
		s := newServer(t, f)
		start := time.Now()
		refused := make(chan result)
		go func() { refused <- get(t, s.URL+path) }()
		time.Sleep(100 * time.Millisecond)
		collected := time.Now()
		runtime.GC()
		if d := time.Since(collected); d > 400*time.Millisecond {
			t.Errorf("%s: the collector stood still for %v", path, d)
		}
		wantUnavailable(t, <-refused, log)
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("%s: refused after %v", path, d)
		}
		log.await(t, "ran past its deadline", 1)
		if r := get(t, s.URL+"/pass"); r.StatusCode != 200 {
			t.Error(path, r.StatusCode)
		}
	}
}

// A call that ends in time leaves nothing behind that would end a later one.
func TestDeadlineIsPerCall(t *testing.T) {
	f, _ := newFilter(t, "", host.WithPool(1), host.WithDeadline(500*time.Millisecond))
	s := newServer(t, f)
	for range 8 {
		if r := get(t, s.URL+"/work?ms=100"); r.StatusCode != 200 {
			t.Fatal(r.StatusCode, r.body)
		}
	}
}

func TestPoolCap(t *testing.T) {
	f, log := newFilter(t, "", host.WithPool(1), host.WithDeadline(time.Second))
	s := newServer(t, f)
	busy := make(chan result)
	go func() { busy <- get(t, s.URL+"/work?ms=700") }()
	time.Sleep(50 * time.Millisecond)
	var wg sync.WaitGroup
	for range 3 { // one after the other they would take longer than the deadline
		wg.Go(func() { get(t, s.URL+"/work?ms=700") })
	}
	wg.Wait()
	if r := <-busy; r.StatusCode != 200 {
		t.Error(r.StatusCode, log)
	}
	log.await(t, "no instance came free in time", 1)
	if strings.Contains(log.String(), "instance=2 ") && !strings.Contains(log.String(), "ran past its deadline") {
		t.Error("a second instance was made")
	}
}

func TestBadConfiguration(t *testing.T) {
	for configuration, want := range map[string]string{
		"refuse=banana": "routes[3]: no such thing as banana",
		"panic":         "at configure",
		"exit":          "",
	} {
		f, err := host.New(context.Background(), host.GuestWasm, []byte(configuration), host.WithCompileCache(host.CacheDir))
		var refused *host.RefusedError
		if f != nil || err == nil || want != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Reason, want)) {
			t.Errorf("%s: %v", configuration, err)
		}
	}
	start := time.Now()
	_, err := host.New(context.Background(), host.GuestWasm, []byte("spin"), host.WithCompileCache(host.CacheDir), host.WithDeadline(300*time.Millisecond))
	if err == nil || time.Since(start) > 4*time.Second {
		t.Error("a guest that spins at its start:", err)
	}
}

func TestBadOptions(t *testing.T) {
	for name, opt := range map[string]host.Option{
		"pool": host.WithPool(0), "deadline": host.WithDeadline(0), "memory": host.WithMemoryLimit(1 << 17),
		"ftp": host.WithTarget("x", "ftp://x"), "path": host.WithTarget("x", "http://x/path"), "unix": host.WithTarget("x", "unix:"),
		"user": host.WithTarget("x", "http://a:b@x"),
	} {
		if _, err := host.New(context.Background(), host.GuestWasm, nil, opt); err == nil {
			t.Error(name, "was taken")
		}
	}
	if _, err := host.New(context.Background(), []byte("\x00asm\x01\x00\x00\x00"), nil); err == nil {
		t.Error("an empty module was taken")
	}
}

func TestClose(t *testing.T) {
	f, log := newFilter(t, "")
	s := newServer(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	running := make(chan result)
	go func() { running <- get(t, s.URL+"/spin") }()
	time.Sleep(100 * time.Millisecond)
	if err := f.Close(ctx); err != nil {
		t.Error(err)
	}
	wantUnavailable(t, <-running, log)
	wantUnavailable(t, get(t, s.URL+"/pass"), log)
}
