package kest_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
)

// stepClock is a clock that a test moves.
type stepClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// binder binds keys for an hour, once it is let.
type binder struct {
	clock *stepClock
	let   chan error // one answer for each attempt
	keys  chan string
	bound kest.Bound // what it says besides the time, if anything
}

func newBinder(clock *stepClock) *binder {
	return &binder{clock: clock, let: make(chan error, 16), keys: make(chan string, 64)}
}

func (b *binder) Bind(ctx context.Context, key kest.PublicKey) (*kest.Bound, error) {
	b.keys <- key.Thumbprint()
	select {
	case err := <-b.let:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	bound := b.bound
	if bound == (kest.Bound{}) {
		bound = kest.Bound{WorkloadID: edge, NotAfter: b.clock.Now().Add(time.Hour)}
	}
	return &bound, nil
}

func newClock() *stepClock {
	return &stepClock{now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
}

func identityOf(t *testing.T, s *kest.Session) *kest.Identity {
	t.Helper()
	id, err := s.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// eventually waits for what a goroutine does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to " + what)
		}
	}
}

func TestSessionKeepsItsKeyForTwoThirds(t *testing.T) {
	clock := newClock()
	b := newBinder(clock)
	s := kest.NewSession(b, clock.Now)
	b.let <- nil
	first := identityOf(t, s)
	if first.WorkloadID != edge || first.Key.Thumbprint() != <-b.keys || !first.NotAfter.Equal(clock.Now().Add(time.Hour)) {
		t.Fatalf("identity %+v", first)
	}
	clock.add(40*time.Minute - time.Nanosecond)
	unchanged := identityOf(t, s) == first
	time.Sleep(20 * time.Millisecond) // in which a renewal would ask the binder
	if !unchanged || len(b.keys) != 0 {
		t.Error("another key before two thirds of its life were over")
	}
}

// While a valid key is there, nobody waits for a renewal.
func TestSessionRenewsWithoutWaiting(t *testing.T) {
	clock := newClock()
	b := newBinder(clock)
	s := kest.NewSession(b, clock.Now)
	b.let <- nil
	first := identityOf(t, s)
	<-b.keys
	clock.add(40 * time.Minute)
	for range 3 { // the binder does not answer yet
		if identityOf(t, s) != first {
			t.Error("another key before it was bound")
		}
	}
	renewed := <-b.keys
	if len(b.keys) != 0 {
		t.Error("more than one renewal at a time")
	}
	b.let <- nil
	eventually(t, "the new key", func() bool { return identityOf(t, s) != first })
	second := identityOf(t, s)
	if second.Key.Thumbprint() != renewed || renewed == first.Key.Thumbprint() {
		t.Error("the renewal did not bring a key of its own")
	}
	if !second.NotAfter.Equal(clock.Now().Add(time.Hour)) {
		t.Errorf("the new key ends at %v", second.NotAfter)
	}
}

func TestSessionRenewalThatFails(t *testing.T) {
	clock := newClock()
	b := newBinder(clock)
	s := kest.NewSession(b, clock.Now)
	b.let <- nil
	first := identityOf(t, s)
	<-b.keys
	clock.add(50 * time.Minute)
	for range 2 { // tried again at the next call, which goes on with the valid key
		eventually(t, "another attempt", func() bool {
			if identityOf(t, s) != first {
				t.Fatal("another key though none was bound")
			}
			return len(b.keys) == 1
		})
		<-b.keys
		b.let <- io.ErrUnexpectedEOF
	}
	clock.add(10 * time.Minute) // the old key is over
	for range 8 {
		b.let <- io.ErrUnexpectedEOF
	}
	if id, err := s.Identity(context.Background()); id != nil || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("after its end: %v, %v", id, err)
	}
}

func TestSessionThatNeverBinds(t *testing.T) {
	clock := newClock()
	for name, c := range map[string]struct {
		bound kest.Bound
		err   error
	}{
		"an error":       {kest.Bound{}, io.ErrUnexpectedEOF},
		"no workload id": {kest.Bound{NotAfter: clock.Now().Add(time.Hour)}, nil},
		"no validity":    {kest.Bound{WorkloadID: edge}, nil},
		"already over":   {kest.Bound{WorkloadID: edge, NotAfter: clock.Now()}, nil},
	} {
		b := newBinder(clock)
		b.bound = c.bound
		b.let <- c.err
		id, err := kest.NewSession(b, clock.Now).Identity(context.Background())
		if id != nil || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}

func TestSessionRecovers(t *testing.T) {
	clock := newClock()
	b := newBinder(clock)
	s := kest.NewSession(b, clock.Now)
	b.let <- io.ErrUnexpectedEOF
	if _, err := s.Identity(context.Background()); err == nil {
		t.Fatal("an identity without a binding")
	}
	b.let <- nil
	if id := identityOf(t, s); id.WorkloadID != edge {
		t.Errorf("identity %+v", id)
	}
}

func TestSessionWaitsNoLongerThanItsCaller(t *testing.T) {
	clock := newClock()
	b := newBinder(clock)
	s := kest.NewSession(b, clock.Now)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := s.Identity(ctx)
		done <- err
	}()
	<-b.keys
	cancel()
	if err := <-done; !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	b.let <- nil // the attempt goes on for others
	if id := identityOf(t, s); id.WorkloadID != edge || len(b.keys) != 0 {
		t.Errorf("identity %+v, %d more attempts", id, len(b.keys))
	}
}

func TestSessionBindsOnceForAll(t *testing.T) {
	clock := newClock()
	b := newBinder(clock)
	s := kest.NewSession(b, clock.Now)
	found := make(chan *kest.Identity)
	for range 16 {
		go func() {
			id, err := s.Identity(context.Background())
			if err != nil {
				t.Error(err)
			}
			found <- id
		}()
	}
	<-b.keys
	b.let <- nil
	first := <-found
	for range 15 {
		if id := <-found; id != first {
			t.Error("two identities")
		}
	}
	if len(b.keys) != 0 {
		t.Errorf("%d more attempts", len(b.keys))
	}
}

// A binding that goes inline stands in the header, with the key beside it
// where it is bound to an audience (CONTRACT 8).
func TestSessionInlineBinding(t *testing.T) {
	clock := newClock()
	b := newBinder(clock)
	b.bound = kest.Bound{WorkloadID: edge, Binding: "a.b.c", InlineJWK: true, NotAfter: clock.Now().Add(time.Hour)}
	b.let <- nil
	session := kest.NewSession(b, clock.Now)
	h, err := kest.NewHook(session, kest.AllowAll(), kest.WithHookClock(clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	o, err := h.Operation(kest.Hop{Operation: "in", RootOrigin: "llm", Policies: []string{"any"}})
	if err != nil {
		t.Fatal(err)
	}
	var p kest.Passport
	if err := o.Do(context.Background(), func(ctx context.Context) error { p = kest.CurrentLineage(ctx).Passport(); return nil }); err != nil {
		t.Fatal(err)
	}
	var got kest.KeyRequest
	v, err := kest.NewVerifier(keySourceFunc(func(r kest.KeyRequest) ([]kest.Key, error) {
		got = r
		key, err := kest.ParsePublicKey([]byte(r.JWK))
		return []kest.Key{{Public: key}}, err
	}), nil, kest.InsecureTrustAllClaims(), kest.WithClock(clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if got.Binding != "a.b.c" || got.Principal != edge || got.JWK != identityOf(t, session).Key.JWK() {
		t.Errorf("request %+v", got)
	}
}
