package kest

import (
	"context"
	"strconv"
	"time"
)

// Kinds of engines, as decisions name them.
const (
	KindCedar      = "cedar"
	KindRego       = "rego"
	KindOPA        = "opa"
	KindCedarAgent = "cedar_agent"
	KindAVP        = "avp"
)

// EngineSet is several engines as one: each policy belongs to exactly one. It
// implements Engine, PolicyDigester and RemoteEngine. Once all engines are
// added it is safe for concurrent use.
type EngineSet struct{ by map[string]member }

type member struct {
	kind   string
	engine Engine
}

// Add has an engine of a kind decide the policies of these names. A name that
// is none, or belongs to an engine already, is a *MemberError.
func (s *EngineSet) Add(kind string, e Engine, names ...string) error {
	if s.by == nil {
		s.by = make(map[string]member)
	}
	for _, name := range names {
		if !ValidPolicyName(name) {
			return &MemberError{kind, strconv.Quote(name) + " is no policy name"}
		}
		if other, taken := s.by[name]; taken {
			return &MemberError{kind, "policy " + strconv.Quote(name) + " belongs to the engine " + other.kind + " already"}
		}
		s.by[name] = member{kind, e}
	}
	return nil
}

// Kind returns the kind of the engine that decides a policy, or "".
func (s *EngineSet) Kind(policy string) string { return s.by[policy].kind }

// Names returns the names of all policies, in no particular order.
func (s *EngineSet) Names() []string {
	names := make([]string, 0, len(s.by))
	for name := range s.by {
		names = append(names, name)
	}
	return names
}

// Evaluate implements Engine. A policy that belongs to no engine is an error.
func (s *EngineSet) Evaluate(ctx context.Context, policy string, c *Context) (Decision, error) {
	m, ok := s.by[policy]
	if !ok {
		return Decision{}, &detailError{"policy " + strconv.Quote(policy) + " belongs to no engine", nil}
	}
	return m.engine.Evaluate(ctx, policy, c)
}

// Digest implements PolicyDigester. A remote engine knows no digest: its
// policies are known with "".
func (s *EngineSet) Digest(policy string) (digest string, known bool) {
	m, ok := s.by[policy]
	if !ok {
		return "", false
	}
	if d, ok := m.engine.(PolicyDigester); ok {
		return d.Digest(policy)
	}
	return "", true
}

// Remote implements RemoteEngine.
func (s *EngineSet) Remote(policy string) bool {
	r, ok := s.by[policy].engine.(RemoteEngine)
	return ok && r.Remote(policy)
}

// Timeout implements PatientEngine.
func (s *EngineSet) Timeout(policy string) time.Duration {
	return timeoutIn(s.by[policy].engine, policy)
}

func timeoutIn(e Engine, policy string) time.Duration {
	if p, ok := e.(PatientEngine); ok {
		return p.Timeout(policy)
	}
	return EvaluationTimeout
}
