package kesttest

import (
	"context"
	"slices"
	"sync"
	"time"

	"kest.example/kest"
)

// KeySource is a kest.KeySource whose keys a test adds, limits in time, revokes
// and makes unavailable.
type KeySource struct {
	mu      sync.Mutex
	keys    map[string][]kest.Key
	failure error
	known   bool
	asked   []kest.KeyRequest
}

var _ kest.KnownKeySource = (*KeySource)(nil)

// NewKeySource makes a source that has the keys of the providers, for ever.
func NewKeySource(providers ...*Provider) *KeySource {
	s := &KeySource{keys: make(map[string][]kest.Key), known: true}
	for _, p := range providers {
		s.Add(p.Workload(), kest.Key{Public: p.Key()})
	}
	return s
}

// Add adds a key of a principal.
func (s *KeySource) Add(principal string, key kest.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[principal] = append(s.keys[principal], key)
}

// Limit sets from when to when all keys of a principal are valid; a zero time is no limit.
func (s *KeySource) Limit(principal string, notBefore, notAfter time.Time) {
	s.change(principal, func(k *kest.Key) { k.NotBefore, k.NotAfter = notBefore, notAfter })
}

// Revoke revokes all keys of a principal.
func (s *KeySource) Revoke(principal string) {
	s.change(principal, func(k *kest.Key) { k.Revoked = true })
}

func (s *KeySource) change(principal string, f func(*kest.Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.keys[principal] {
		f(&s.keys[principal][i])
	}
}

// SetError has Keys fail from now on, or work again where err is nil. An error
// that wraps kest.ErrUnavailable is a source that can't be reached.
func (s *KeySource) SetError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// SetKnown says whether answering takes no work (kest.KnownKeySource); at first it does not take any.
func (s *KeySource) SetKnown(known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known
}

// Known implements kest.KnownKeySource.
func (s *KeySource) Known(kest.KeyRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// Keys implements kest.KeySource.
func (s *KeySource) Keys(_ context.Context, request kest.KeyRequest) ([]kest.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, request)
	if s.failure != nil {
		return nil, s.failure
	}
	return slices.Clone(s.keys[request.Principal]), nil
}

// Asked returns the requests so far, in order.
func (s *KeySource) Asked() []kest.KeyRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}
