package plugin

import (
	"bytes"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jws"
)

// A Go host runs one filter in several instances and keeps their session for
// them (kest.session): one that is made while the agent is away signs at once,
// and the agent binds one key for all. Envoy has no such function; there each
// VM has a key of its own.

// share hands the present session to the host's other instances.
func (s *session) share() {
	kept := hostcall.Session{
		ES256: s.f.config.Identity.Algorithm == jws.ES256, InlineJWK: s.current.InlineJWK,
		RenewAt: s.renewAt, NotAfter: s.current.NotAfter, Secret: s.key.InsecureSecret(), Binding: s.current.Binding,
	}
	s.f.foreign(hostcall.KeepSession, hostcall.AppendSession(make([]byte, 0, 512), &kept))
}

// unshare drops the host's session, if it is the present one.
func (s *session) unshare() {
	if kept := s.kept(); kept != nil && s.key != nil && bytes.Equal(kept.Secret, s.key.InsecureSecret()) {
		s.f.foreign(hostcall.KeepSession, hostcall.DropSession())
	}
}

func (s *session) kept() *hostcall.Session {
	b, ok := s.f.foreign(hostcall.KeepSession, nil)
	if !ok {
		return nil
	}
	return hostcall.ParseSession(b)
}

// takeShared adopts a session that another instance has had bound, where it
// has longer to live than the present one.
func (s *session) takeShared(now time.Time) bool {
	kept := s.kept()
	if kept == nil || !now.Before(kept.RenewAt) {
		return false
	}
	algorithm := jws.EdDSA
	if kept.ES256 {
		algorithm = jws.ES256
	}
	key, err := kest.NewSessionKey(algorithm, bytes.NewReader(kept.Secret))
	if err != nil || algorithm != s.f.config.Identity.Algorithm {
		return false
	}
	identity := key.Identity(s.f.config.Workload, s.f.signer(key))
	identity.NotAfter, identity.Binding, identity.InlineJWK = kept.NotAfter, kept.Binding, kept.InlineJWK
	s.adopt(key, identity, kept.Binding, now)
	s.mu.Lock()
	s.renewAt = kept.RenewAt
	s.mu.Unlock()
	return true
}
