package workloadtest

import (
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// SVIDs returns what the server hands out now.
func (s *Server) SVIDs() []SVID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.svids)
}

// RotateSVID issues the workload's SVIDs anew, each with a new key, and pushes
// them.
func (s *Server) RotateSVID() { s.set(s.issue(), false) }

// rotateDue is RotateSVID at half of a life; a server that stopped meanwhile
// keeps what it has.
func (s *Server) rotateDue() {
	list := s.issue()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up {
		s.setLocked(list, false)
	}
}

func (s *Server) issue() []SVID {
	s.mu.Lock()
	ttl := s.ttl
	s.mu.Unlock()
	list := make([]SVID, len(s.identities))
	for i, r := range s.identities {
		r.Key, r.TTL = s.key, ttl
		list[i] = s.ca.Issue(r)
	}
	return list
}

// Push hands out these SVIDs, whatever they are, until RotateSVID.
func (s *Server) Push(svids ...SVID) { s.set(slices.Clone(svids), true) }

func (s *Server) set(list []SVID, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(list, held)
}

func (s *Server) setLocked(list []SVID, held bool) {
	s.svids, s.held = list, held
	s.schedule()
	s.wake()
}

// SetTTL sets how long the X.509-SVIDs of the next rotation hold. A negative one
// issues them expired, and rotates no more by itself.
func (s *Server) SetTTL(ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ttl = ttl
}

// SetJWTTTL sets how long JWT-SVIDs hold, five minutes by default. A negative
// one issues them expired.
func (s *Server) SetJWTTTL(ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jwt.TTL = ttl
}

// EditJWT changes the claims of all JWT-SVIDs before they are signed; nil ends that.
func (s *Server) EditJWT(edit func(claims map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jwt.Edit = edit
}

// Refuse answers everything with PermissionDenied, as SPIRE does where no
// registration entry matches: streams end with it.
func (s *Server) Refuse(refuse bool) {
	var err error
	if refuse {
		err = errNoIdentity
	}
	s.setFailure(err)
}

// Fail answers everything with an error of this code, streams end with it;
// codes.OK ends that.
func (s *Server) Fail(code codes.Code) { s.setFailure(status.Error(code, "told to fail")) }

func (s *Server) setFailure(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
	s.wake()
}

// Streams returns how many streams are open.
func (s *Server) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// notify has all streams look again.
func (s *Server) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake()
}

// wake is notify for who holds the lock.
func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// schedule sets when the SVIDs rotate by themselves. The caller holds the lock.
func (s *Server) schedule() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.up && !s.held && s.ttl > 0 {
		s.timer = time.AfterFunc(s.ttl/2, s.rotateDue)
	}
}
