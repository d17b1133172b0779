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

// rotating is a binder whose identity changes.
type rotating struct {
	*binder
	mu      sync.Mutex
	updated chan struct{}
}

func newRotating(clock *stepClock) *rotating {
	return &rotating{binder: newBinder(clock), updated: make(chan struct{})}
}

func (r *rotating) Updated() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.updated
}

func (r *rotating) rotate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.updated)
	r.updated = make(chan struct{})
}

// followed is a session whose first key is bound, 5 s later.
func followed(t *testing.T) (s *kest.Session, r *rotating, clock *stepClock, first *kest.Identity) {
	t.Helper()
	clock = newClock()
	r = newRotating(clock)
	s = kest.NewSession(r, clock.Now)
	r.let <- nil
	first = identityOf(t, s)
	<-r.keys
	clock.add(4 * time.Second)
	if identityOf(t, s) != first { // it is in use
		t.Fatal("another key at once")
	}
	clock.add(time.Second)
	return s, r, clock, first
}

// Once its binder has another identity a session has another key bound; until
// then the old one signs, and nobody waits.
func TestSessionFollowsItsBinder(t *testing.T) {
	s, r, clock, first := followed(t)
	r.rotate()
	for range 3 { // the binder does not answer yet
		if identityOf(t, s) != first {
			t.Fatal("another key before it was bound")
		}
	}
	bound := <-r.keys
	r.let <- nil
	eventually(t, "the new key", func() bool { return identityOf(t, s) != first })
	if second := identityOf(t, s); second.Key.Thumbprint() != bound || bound == first.Key.Thumbprint() {
		t.Error("it isn't a key of its own")
	}
	if _, err := first.SignEntry(context.Background(), &kest.Entry{}, clock.Now()); err != nil {
		t.Errorf("what is in flight under the old key: %v", err)
	}
	clock.add(30 * time.Minute)
	identityOf(t, s)
	time.Sleep(20 * time.Millisecond) // in which it would ask the binder
	if len(r.keys) != 0 {
		t.Error("one change was followed twice")
	}
}

// A change during a binding leads to another one.
func TestSessionMissesNoChange(t *testing.T) {
	s, r, clock, first := followed(t)
	r.rotate()
	identityOf(t, s)
	<-r.keys
	r.rotate()
	r.let <- nil
	eventually(t, "the second key", func() bool { return identityOf(t, s) != first })
	second := identityOf(t, s)
	clock.add(4 * time.Second)
	identityOf(t, s)
	clock.add(time.Second)
	r.let <- nil
	eventually(t, "the third key", func() bool { return identityOf(t, s) != second })
}

// A binder that changes all the time costs a key every 5 s.
func TestSessionOfBinderThatFlaps(t *testing.T) {
	s, r, clock, _ := followed(t)
	const seconds = 60
	for range seconds {
		r.rotate()
		for len(r.let) < cap(r.let) {
			r.let <- nil
		}
		identityOf(t, s)
		time.Sleep(2 * time.Millisecond) // for the binder's goroutine
		clock.add(time.Second)
	}
	if n := len(r.keys); n < 2 || n > seconds/5+1 {
		t.Errorf("%d keys in %d s", n, seconds)
	}
}

// A binder that has changed and can't bind is asked every 5 s; the old key signs.
func TestSessionFollowingFails(t *testing.T) {
	s, r, clock, first := followed(t)
	r.rotate()
	for range 3 {
		r.let <- io.ErrUnexpectedEOF
		eventually(t, "another attempt", func() bool {
			if identityOf(t, s) != first {
				t.Fatal("another key though none was bound")
			}
			return len(r.keys) == 1
		})
		<-r.keys
		for range 4 {
			clock.add(time.Second)
			identityOf(t, s)
		}
		time.Sleep(10 * time.Millisecond) // in which it would ask again
		if len(r.keys) != 0 {
			t.Fatal("asked again within 5 s")
		}
		clock.add(time.Second)
	}
	r.let <- nil
	eventually(t, "the new key", func() bool { return identityOf(t, s) != first })
}

// Who comes after a while in which nobody came doesn't sign with a key whose
// root may be revoked: all wait for the one attempt.
func TestIdleSessionFollowsFirst(t *testing.T) {
	s, r, clock, first := followed(t)
	r.rotate()
	clock.add(10 * time.Minute)
	found := make(chan *kest.Identity)
	for range 8 {
		go func() {
			id, err := s.Identity(context.Background())
			if err != nil {
				t.Error(err)
			}
			found <- id
		}()
	}
	key := <-r.keys
	r.let <- nil
	for range 8 {
		if id := <-found; id == first || id.Key.Thumbprint() != key {
			t.Error("an idle session signs with its old key")
		}
	}
	if len(r.keys) != 0 {
		t.Errorf("%d more attempts", len(r.keys))
	}
}

// An idle session whose binder fails, or whose caller has no time, has its old
// key still.
func TestIdleSessionThatCannotFollow(t *testing.T) {
	s, r, clock, first := followed(t)
	r.rotate()
	clock.add(10 * time.Minute)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if id, err := s.Identity(ctx); err != nil || id != first {
		t.Errorf("a caller without time: %v, %v", id, err)
	}
	<-r.keys
	r.let <- io.ErrUnexpectedEOF
	if id, err := s.Identity(context.Background()); err != nil || id != first {
		t.Errorf("a binder that fails: %v, %v", id, err)
	}
	clock.add(50 * time.Minute) // the old key is over
	r.let <- io.ErrUnexpectedEOF
	if id, err := s.Identity(context.Background()); id != nil || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("after its end: %v, %v", id, err)
	}
}

// Callers and changes at once: every key that is handed out is bound and valid.
func TestSessionFollowsUnderLoad(t *testing.T) {
	clock := newClock()
	r := newRotating(clock)
	s := kest.NewSession(r, clock.Now)
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() { // binds whatever is asked
		for {
			select {
			case r.let <- nil:
			case <-r.keys:
			case <-stop:
				return
			}
		}
	})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 500 {
				id, err := s.Identity(context.Background())
				if err != nil || !clock.Now().Before(id.NotAfter) {
					t.Errorf("%v, %v", id, err)
					return
				}
			}
		})
	}
	for range 50 {
		r.rotate()
		clock.add(2 * time.Second)
		time.Sleep(time.Millisecond)
	}
	callers.Wait()
	close(stop)
	work.Wait()
}
