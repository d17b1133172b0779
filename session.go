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

// Session is a Provider with a short-lived key in memory, which another
// provider binds to the workload. It makes and binds a new key when two thirds
// of the old one's life are over; what is being signed under the old one goes on.
type Session struct {
	binder    Binder
	now       func() time.Time
	algorithm string
	directory bool

	mu      sync.Mutex
	current *Identity
	renewAt time.Time
	renew   chan struct{} // closed when the renewal under way ends
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
// renewal, and one that fails is tried again at the next call.
func (s *Session) Identity(ctx context.Context) (*Identity, error) {
	s.mu.Lock()
	now := s.now()
	usable := s.current != nil && now.Before(s.current.NotAfter)
	if usable && now.Before(s.renewAt) {
		defer s.mu.Unlock()
		return s.current, nil
	}
	current, wait := s.current, s.start()
	s.mu.Unlock()
	if usable {
		return current, nil
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, unavailable("the session key", ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || !s.now().Before(s.current.NotAfter) {
		return nil, unavailable("the session key could not be bound", nil)
	}
	return s.current, nil
}

// start begins a renewal, or joins the one under way.
func (s *Session) start() <-chan struct{} {
	if s.renew == nil {
		done := make(chan struct{})
		s.renew = done
		go s.bind(done)
	}
	return s.renew
}

// bindTimeout bounds one attempt to bind a key.
const bindTimeout = 10 * time.Second

func (s *Session) bind(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), bindTimeout)
	defer cancel()
	identity := s.fresh(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if identity != nil {
		now := s.now()
		s.current, s.renewAt = identity, now.Add(identity.NotAfter.Sub(now)*2/3)
	}
	s.renew = nil
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
