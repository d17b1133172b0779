package workloadtest

import "time"

// Option changes one choice of a Server.
type Option func(*Server)

// WithTCP serves on a loopback port in place of a Unix socket.
func WithTCP() Option { return func(s *Server) { s.network = "tcp" } }

// WithKey makes keys of another kind than P-256.
func WithKey(t KeyType) Option { return func(s *Server) { s.key = t } }

// WithTTL sets how long X.509-SVIDs hold, an hour by default. While the server
// runs it rotates them at half of that, as SPIRE does.
func WithTTL(ttl time.Duration) Option { return func(s *Server) { s.ttl = ttl } }

// WithFederated hands out the bundles of other trust domains too.
func WithFederated(cas ...*CA) Option {
	return func(s *Server) { s.federated = append(s.federated, cas...) }
}

// WithIdentity gives the workload another id, after those before it. The hint
// may be empty.
func WithIdentity(id, hint string) Option {
	return func(s *Server) { s.identities = append(s.identities, Request{ID: id, Hint: hint}) }
}

// WithHint sets the hint of the first id.
func WithHint(hint string) Option { return func(s *Server) { s.identities[0].Hint = hint } }

// WithoutJWT leaves the JWT-SVID profile Unimplemented, as an operator may.
func WithoutJWT() Option { return func(s *Server) { s.noJWT = true } }

// Late leaves the server stopped until Start: its address is known and dead.
func Late() Option { return func(s *Server) { s.late = true } }
