package plugin

import (
	"context"
	"strings"
	"sync"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/internal/uuid7"
)

// session is this VM's own signing key: made in memory, bound by the agent,
// renewed when two thirds of its life are over (CONTRACT 8).
type session struct {
	f *Filter

	mu       sync.Mutex
	current  *kest.Identity
	key      *kest.SessionKey // of current
	bound    string           // the binding of current, or "" where it isn't known
	renewAt  time.Time
	checkAt  time.Time     // when to ask whether the agent still knows the key
	earlier  []kest.Key    // keys of before, whose entries come back to this workload
	flying   bool          // a registration, or a check, is under way
	retryAt  time.Time     // not before then
	delay    time.Duration // between attempts
	mismatch string        // the agent is another workload: nothing is ever signed
	waiters  []*Exchange   // for the first key
	logged   string        // the last failure that was logged
}

const (
	firstDelay = 250 * time.Millisecond
	maxDelay   = 5 * time.Second
	// checkPeriod is how often the agent is asked whether it still knows the
	// key: one that was restarted does not.
	checkPeriod = 10 * time.Second
	// bindingWait is how long a request waits for a key at most.
	bindingWait = 10 * time.Second
	maxEarlier  = 4
)

// identity returns the identity to sign with, or nil where there is none now.
func (s *session) identity(now time.Time) *kest.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || !now.Before(s.current.NotAfter) {
		return nil
	}
	return s.current
}

// never returns why this workload can't sign at all, or "".
func (s *session) never() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mismatch
}

// wait has a request that is held told when there is a key.
func (s *session) wait(x *Exchange) {
	s.mu.Lock()
	s.waiters = append(s.waiters, x)
	s.mu.Unlock()
	s.tick(s.f.env.Now())
}

// tick makes, renews or checks the key when it is time.
func (s *session) tick(now time.Time) {
	s.mu.Lock()
	s.waiters = s.f.background.stillHeld(s.waiters)
	if s.flying || now.Before(s.retryAt) {
		s.mu.Unlock()
		return
	}
	alive := s.current != nil && now.Before(s.current.NotAfter)
	switch {
	case !alive || !now.Before(s.renewAt):
		s.flying = true
		s.mu.Unlock()
		s.renew(now)
	case !now.Before(s.checkAt):
		s.flying = true
		s.mu.Unlock()
		s.check()
	default:
		s.mu.Unlock()
	}
}

// renew takes another instance's key, or registers a new one.
func (s *session) renew(now time.Time) {
	if s.takeShared(now) {
		return
	}
	key, err := kest.NewSessionKey(s.f.config.Identity.Algorithm, s.f.env.Random)
	if err != nil {
		s.failed(err.Error())
		return
	}
	s.register(key, now, s.unshared(now))
}

// unshared lets an agent whose cache is full bind a key that only its own
// proxies find. While there is a key that all find, and verifiers look for keys,
// it is better to go on with that, until a little before its end.
func (s *session) unshared(now time.Time) kest.ProofMember {
	if s.f.config.Identity.Binding != bindingInline && s.identity(now.Add(2*maxDelay)) != nil {
		return kest.ProofMember{}
	}
	return kest.ProofUnshared()
}

// register proves possession of a key and has it bound.
func (s *session) register(key *kest.SessionKey, now time.Time, more ...kest.ProofMember) {
	identity := key.Identity(s.f.config.Workload, s.f.signer(key))
	jti, err := uuid7.NewV4(s.f.env.Random)
	if err != nil {
		s.failed(err.Error())
		return
	}
	proof, err := identity.ProveKey(context.Background(), jti, now, more...)
	if err != nil {
		s.failed(err.Error())
		return
	}
	s.f.agent.openSession(proof, func(result CallResult) { s.registered(key, identity, result) })
}

// registered takes the agent's answer to a registration.
func (s *session) registered(key *kest.SessionKey, identity *kest.Identity, result CallResult) {
	if result.Status != 200 && result.Status != 201 {
		s.failed(answered(result.Status))
		return
	}
	now := s.f.env.Now()
	v, err := jcs.Parse(result.Body)
	if err != nil {
		s.failed("the agent's answer: " + err.Error())
		return
	}
	notAfter, ok := instant(v.Get("not_after"))
	binding := v.Get("binding").Str()
	switch {
	case v.Get("workload_id").Str() != s.f.config.Workload:
		s.refuse("the agent's identity is " + v.Get("workload_id").Str() + ", the configuration's workload is " + s.f.config.Workload)
		return
	case v.Get("kid").Str() != key.Public().Thumbprint() || binding == "":
		s.failed("the agent's answer is about another key")
		return
	case !ok || notAfter.IsZero() || !now.Before(notAfter):
		s.failed("the agent's binding has ended already")
		return
	}
	identity.NotAfter = notAfter
	mode := s.f.config.Identity.Binding
	if mode == bindingInline || mode == "" && v.Get("inline").IsTrue() {
		identity.Binding, identity.InlineJWK = binding, !holdsKey(binding)
	}
	s.adopt(key, identity, binding, now)
	s.share()
}

// holdsKey reports whether a binding is of form (a); one of form (b) has the
// key beside it (IDENTITY, Bindings).
func holdsKey(binding string) bool {
	head, _, _ := strings.Cut(binding, ".")
	text, err := jws.Decode(head)
	if err != nil {
		return false
	}
	v, err := jcs.Parse(text)
	return err == nil && v.Get("typ").Str() == jws.TypeBinding
}

// adopt signs with a key from now on.
func (s *session) adopt(key *kest.SessionKey, identity *kest.Identity, bound string, now time.Time) {
	s.mu.Lock()
	if s.current != nil && s.key != key {
		s.earlier = append(s.earlier, kest.Key{Public: s.current.Key, NotAfter: s.current.NotAfter})
		if len(s.earlier) > maxEarlier {
			s.earlier = s.earlier[1:]
		}
	}
	s.current, s.key, s.bound = identity, key, bound
	s.renewAt = now.Add(identity.NotAfter.Sub(now) * 2 / 3)
	s.checkAt = now.Add(checkPeriod)
	s.flying, s.delay, s.retryAt, s.mismatch, s.logged = false, 0, time.Time{}, "", ""
	waiters := s.waiters
	s.waiters = nil
	s.mu.Unlock()
	s.f.log(LevelInfo, "signing with the key "+key.Public().Thumbprint()+" of "+identity.WorkloadID)
	s.f.background.ended(waiters)
}

// check asks whether the agent still knows the key, and registers it again where
// not: under the binding that it has, so that entries of before go on counting.
func (s *session) check() {
	s.mu.Lock()
	key, identity, bound := s.key, s.current, s.bound
	s.mu.Unlock()
	request := kest.KeyRequest{Principal: identity.WorkloadID, KeyID: key.Public().Thumbprint(), Algorithm: key.Public().Algorithm()}
	s.f.agent.key(request, func(result CallResult) {
		switch result.Status {
		case 404: // an agent that has forgotten it
			s.register(key, s.f.env.Now(), kest.ProofBinding(bound), kest.ProofUnshared())
		case 403: // its binding counts no longer
			s.unshare()
			s.mu.Lock()
			s.current = nil
			s.mu.Unlock()
			s.failed("the agent no longer vouches for the key")
		case 200:
			found, _, detail := readKey(result.Body, request)
			s.mu.Lock()
			if detail == "" {
				s.bound = found.Binding // which another instance may have had made
			}
			s.flying, s.delay = false, 0
			s.checkAt = s.f.env.Now().Add(checkPeriod)
			s.mu.Unlock()
		default:
			s.failed(answered(result.Status))
		}
	})
}

// failed has it tried again later. Who waits goes on waiting until its time is up.
func (s *session) failed(detail string) {
	s.mu.Lock()
	now := s.f.env.Now()
	s.flying = false
	s.delay = min(max(2*s.delay, firstDelay), maxDelay)
	s.retryAt = now.Add(s.delay)
	again := s.logged == detail
	s.logged = detail
	s.mu.Unlock()
	if !again {
		s.f.log(LevelWarn, "no session key could be bound: "+detail)
	}
}

// refuse never signs: who waits is told so at once.
func (s *session) refuse(detail string) {
	s.failed(detail)
	s.mu.Lock()
	s.mismatch = detail
	s.current = nil
	waiters := s.waiters
	s.waiters = nil
	s.mu.Unlock()
	s.f.background.ended(waiters)
}

// keys returns this VM's own keys of a kid.
func (s *session) keys(r kest.KeyRequest) []kest.Key {
	if r.Principal != s.f.config.Workload || r.KeyID == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.Key.Thumbprint() == r.KeyID {
		return []kest.Key{{Public: s.current.Key, NotAfter: s.current.NotAfter}}
	}
	for _, k := range s.earlier {
		if k.Public.Thumbprint() == r.KeyID {
			return []kest.Key{k}
		}
	}
	return nil
}

// ownKeys are what this VM itself signs with.
func (f *Filter) ownKeys(r kest.KeyRequest) []kest.Key {
	if f.session == nil {
		return nil
	}
	return f.session.keys(r)
}
