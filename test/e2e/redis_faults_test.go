//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kest.example/kest"
)

// A Redis that crashes and forgets: while it is away the answer is 503, and
// what an agent bound itself goes on. When it is back, so is all that the agents
// know, without a restart; claims of before are gone, as this Redis promises no
// more.
func TestRedisKilledAndRestarted(t *testing.T) {
	r := startRedis(t)
	a, b := startNode(t, r.open(t)), startNode(t, r.open(t))
	status, keyID := a.session(t, "a")
	if status != 200 {
		t.Fatalf("a session: %d", status)
	}
	claim := newClaim(t)
	a.want(t, 204, "a claim", "PUT", claim, `["a"]`)
	b.want(t, 200, "the other's key", "GET", keyPath(keyID), "")
	r.kill()
	for range 3 {
		a.want(t, 503, "a claim, while it is away", "PUT", newClaim(t), `["a"]`)
		b.want(t, 503, "a claim to get", "GET", claim, "")
		b.want(t, 503, "the other's key", "GET", keyPath(keyID), "")
		a.want(t, 200, "its own key", "GET", keyPath(keyID), "")
		if status, _ := b.session(t, "b"); status != 503 {
			t.Errorf("a session, while it is away: %d", status)
		}
		a.want(t, 200, "health", "GET", "/healthz", "")
	}
	r.start(t)
	within(t, 5*time.Second, "claims are taken again", func() bool { status, _ := a.do(t, "PUT", newClaim(t), `["a"]`); return status == 204 })
	within(t, 5*time.Second, "sessions are bound again", func() bool { status, _ := b.session(t, "b"); return status == 200 })
	b.want(t, 404, "a claim of before", "GET", claim, "")
	within(t, 30*time.Second, "the other's key is found again", func() bool { status, _ := b.do(t, "GET", keyPath(keyID), ""); return status == 200 })
}

// A Redis that writes each value to its file before it answers loses nothing
// that it acknowledged, whenever it crashes.
func TestRedisWithAFileLosesNothing(t *testing.T) {
	r := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := startNode(t, r.open(t)), startNode(t, r.open(t))
	status, keyID := a.session(t, "a")
	if status != 200 {
		t.Fatalf("a session: %d", status)
	}
	stop, done := make(chan struct{}), make(chan []string)
	go func() { // claims are made all the time; the crash comes in between
		var taken []string
		for {
			select {
			case <-stop:
				done <- taken
				return
			default:
			}
			claim := newClaim(t)
			if status, _ := a.do(t, "PUT", claim, `["`+claim+`"]`); status == 204 {
				taken = append(taken, claim)
			}
		}
	}()
	time.Sleep(300 * time.Millisecond)
	r.kill()
	r.start(t)
	time.Sleep(300 * time.Millisecond)
	close(stop)
	taken := <-done
	if len(taken) < 10 {
		t.Fatalf("%d claims only", len(taken))
	}
	for _, claim := range taken {
		if status, text := b.do(t, "GET", claim, ""); status != 200 || text != `["`+claim+`"]` {
			t.Errorf("a claim that was acknowledged: %d %s", status, text)
		}
	}
	b.want(t, 200, "the binding", "GET", keyPath(keyID), "")
}

// A Redis that is full takes nothing more and loses nothing. A session that can't
// wait is bound for its own agent's proxies alone; when there is room again the
// others find it, and all goes on.
func TestFullRedis(t *testing.T) {
	r := startRedis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
	cache := r.open(t)
	a, b := startNode(t, cache), startNode(t, r.open(t))
	status, keyID := a.session(t, "a")
	if status != 200 {
		t.Fatalf("a session: %d", status)
	}
	body := `["` + strings.Repeat("a", 100_000) + `"]`
	var taken []string
	for len(taken) < 100 {
		claim := newClaim(t)
		status, _ := a.do(t, "PUT", claim+"?ttl=15", body)
		if status == http.StatusInsufficientStorage {
			break
		}
		if status != 204 {
			t.Fatalf("claim %d: %d", len(taken), status)
		}
		taken = append(taken, claim)
	}
	if len(taken) == 0 || len(taken) == 100 {
		t.Fatalf("%d claims in 4 MB", len(taken))
	}
	if err := cache.Put(context.Background(), kest.ClaimKey("full"), []byte(body), time.Minute); !errors.Is(err, kest.ErrFull) {
		t.Errorf("Put: %v", err)
	}
	for _, claim := range taken {
		b.want(t, 200, "a claim of before", "GET", claim, "")
	}
	b.want(t, 200, "a key of before", "GET", keyPath(keyID), "")
	if status, _ := b.session(t, "b"); status != 503 {
		t.Errorf("a session: %d", status)
	}
	status, alone := b.session(t, "alone", kest.ProofUnshared())
	if status != 200 {
		t.Errorf("a session that others need not find: %d", status)
	}
	b.want(t, 200, "its key at its own agent", "GET", keyPath(alone), "")
	a.want(t, 404, "its key at the other", "GET", keyPath(alone), "")
	within(t, 60*time.Second, "there is room again", func() bool { status, _ := a.do(t, "PUT", newClaim(t), body); return status == 204 })
	if status, _ := b.session(t, "b"); status != 200 {
		t.Errorf("a session, when there is room again: %d", status)
	}
	within(t, 30*time.Second, "the other finds the key", func() bool { status, _ := a.do(t, "GET", keyPath(alone), ""); return status == 200 })
}

// A Redis that hangs costs each request its second and hinders nobody else.
func TestRedisThatHangs(t *testing.T) {
	r := startRedis(t)
	a := startNode(t, r.open(t))
	_, keyID := a.session(t, "a")
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }()
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() { a.want(t, 503, "a claim", "PUT", newClaim(t), `["a"]`) })
	}
	for range 20 {
		a.want(t, 200, "health", "GET", "/healthz", "")
		a.want(t, 200, "its own key", "GET", keyPath(keyID), "")
	}
	wait.Wait()
	if err := r.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "claims are taken again", func() bool { status, _ := a.do(t, "PUT", newClaim(t), `["a"]`); return status == 204 })
}
