package kest

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"kest.example/kest/internal/jws"
)

// Binder ties a session key to this workload (CONTRACT 8).
type Binder interface {
	// Bind returns the workload's id, the binding and until when the key counts.
	// While the workload has no identity its error wraps ErrUnavailable.
	Bind(ctx context.Context, key PublicKey) (*Bound, error)
}

// Bound is what a Binder made of a key.
type Bound struct {
	WorkloadID string
	Binding    string // a compact JWT; "" where only a directory has it
	InlineJWK  bool   // the binding is an audience-bound token and doesn't hold the key
	NotAfter   time.Time
}

// Updater is what a Binder may be besides, so that a Session follows it.
type Updater interface {
	// Updated returns a channel that is closed at the next change of the
	// identity that binds.
	Updated() <-chan struct{}
}

// Session is a Provider with a short-lived key in memory, which another
// provider binds to the workload. It makes and binds a new key when two thirds
// of the old one's life are over, and when a binder that is an Updater has
// changed, at most every 5 s: a binding outlives its SVID, not its root. What is
// being signed under the old key goes on.
type Session struct {
	binder    Binder
	now       func() time.Time
	algorithm string
	directory bool

	mu       sync.Mutex
	current  *Identity
	renewAt  time.Time
	updated  <-chan struct{} // closed: the binder has changed since it bound current
	followAt time.Time       // that doesn't matter before then
	used     time.Time       // the last call
	renew    chan struct{}   // closed when the renewal under way ends
	awaited  bool            // who has a valid key waits for it, too
}

// SessionOption is a choice that NewSession takes.
type SessionOption func(*Session)

// SessionES256 signs with P-256 instead of Ed25519, as fleets under FIPS rules want it.
func SessionES256() SessionOption { return func(s *Session) { s.algorithm = jws.ES256 } }

// SessionDirectory leaves the binding out of the entries: verifiers find it by
// the key's kid in a directory, which the binder told of it.
func SessionDirectory() SessionOption { return func(s *Session) { s.directory = true } }

// NewSession makes a session. Its first key is made at the first use. now is
// time.Now where it is nil.
func NewSession(binder Binder, now func() time.Time, options ...SessionOption) *Session {
	if now == nil {
		now = time.Now
	}
	s := &Session{binder: binder, now: now, algorithm: jws.EdDSA}
	for _, option := range options {
		option(s)
	}
	return s
}

// Identity implements Provider. While a valid key is there, nobody waits for a
// renewal, and one that fails is tried again at the next call. Only where the
// binder changed while nobody called for 5 s, one attempt is waited for: the
// root behind the old key may have been revoked since.
func (s *Session) Identity(ctx context.Context) (*Identity, error) {
	s.mu.Lock()
	now := s.now()
	idle := now.Sub(s.used) >= followPeriod
	s.used = now
	current, usable := s.current, s.current != nil && now.Before(s.current.NotAfter)
	changed := usable && s.changed(now)
	if usable && !changed && !s.awaited && now.Before(s.renewAt) {
		defer s.mu.Unlock()
		return current, nil
	}
	done := s.start(now)
	s.awaited = s.awaited || changed && idle
	wait := s.awaited || !usable
	s.mu.Unlock()
	if !wait {
		return current, nil
	}
	return s.await(ctx, done, usable)
}

// await waits for a renewal, and returns the key that is there then.
func (s *Session) await(ctx context.Context, done <-chan struct{}, usable bool) (*Identity, error) {
	select {
	case <-done:
	case <-ctx.Done():
		if !usable {
			return nil, unavailable("the session key", ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || !s.now().Before(s.current.NotAfter) {
		return nil, unavailable("the session key could not be bound", nil)
	}
	return s.current, nil
}

// followPeriod is how long after one binding a change of the binder may lead to
// another one.
const followPeriod = 5 * time.Second

// changed reports whether it is time to follow the binder.
func (s *Session) changed(now time.Time) bool {
	if now.Before(s.followAt) {
		return false
	}
	select {
	case <-s.updated:
		return true
	default: // or no Updater
		return false
	}
}

// start begins a renewal, or joins the one under way.
func (s *Session) start(now time.Time) <-chan struct{} {
	if s.renew == nil {
		done := make(chan struct{})
		s.renew, s.followAt = done, now.Add(followPeriod)
		go s.bind(done)
	}
	return s.renew
}

// bindTimeout bounds one attempt to bind a key.
const bindTimeout = 10 * time.Second

func (s *Session) bind(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), bindTimeout)
	defer cancel()
	var updated <-chan struct{}
	if u, ok := s.binder.(Updater); ok {
		updated = u.Updated() // before it binds, so that no change is missed
	}
	identity := s.fresh(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if identity != nil {
		now := s.now()
		s.current, s.updated = identity, updated
		s.renewAt = now.Add(identity.NotAfter.Sub(now) * 2 / 3)
	}
	s.renew, s.awaited = nil, false
	close(done)
}

// fresh makes a key and has it bound; nil where that fails.
func (s *Session) fresh(ctx context.Context) *Identity {
	key, err := NewSessionKey(s.algorithm, rand.Reader)
	if err != nil {
		return nil
	}
	bound, err := s.binder.Bind(ctx, key.Public())
	if err != nil || bound.WorkloadID == "" || !s.now().Before(bound.NotAfter) {
		return nil
	}
	identity := key.Identity(bound.WorkloadID, nil)
	identity.NotAfter = bound.NotAfter
	if !s.directory {
		identity.Binding, identity.InlineJWK = bound.Binding, bound.InlineJWK
	}
	return identity
}
