package kest

import (
	"context"
	"time"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// Types of the JWTs that tie a key to a workload (CONTRACT 8).
const (
	TypeBinding = jws.TypeBinding // form (a), signed by an X.509-SVID or a KMS key
	TypeSession = jws.TypeSession // a proof of possession, see Identity.ProveKey
)

// thumbprintURI is the scheme of RFC 9278 section 3.
const thumbprintURI = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"

// ThumbprintURI returns the JWK thumbprint URI of a key (RFC 9278): the one
// audience of a token that binds the key, form (b).
func (k PublicKey) ThumbprintURI() string { return thumbprintURI + k.Thumbprint() }

// BindKey signs a binding of form (a) for a session key: a JWT of typ
// kest-binding+jwt that holds until ttl from now, or until this identity ends.
// jti names it, such as a random UUID.
func (id *Identity) BindKey(ctx context.Context, key PublicKey, jti string, now time.Time, ttl time.Duration) (*Bound, error) {
	now = now.Truncate(time.Second)
	until := now.Add(ttl)
	if !id.NotAfter.IsZero() && until.After(id.NotAfter) {
		until = id.NotAfter.Truncate(time.Second)
	}
	if !now.Before(until) {
		return nil, unavailable("the identity of "+id.WorkloadID+" has expired", nil)
	}
	jwk, err := jcs.ParseString(key.JWK())
	if err != nil {
		return nil, err
	}
	h := jws.Header{Algorithm: id.Key.Algorithm(), Type: jws.TypeBinding, X5C: id.X5C}
	if len(h.X5C) == 0 {
		if h.KeyID = id.BindingKeyID; h.KeyID == "" {
			h.KeyID = id.Key.Thumbprint()
		}
	}
	token, err := id.compact(ctx, h, jcs.AppendObject(nil,
		jcs.Member{Name: "cnf", Value: jcs.ObjectValue(jcs.Member{Name: "jwk", Value: *jwk})},
		jcs.Member{Name: "exp", Value: jcs.IntValue(until.Unix())},
		jcs.Member{Name: "iat", Value: jcs.IntValue(now.Unix())},
		jcs.Member{Name: "jti", Value: jcs.StringValue(jti)},
		jcs.Member{Name: "sub", Value: jcs.StringValue(id.WorkloadID)},
	))
	if err != nil {
		return nil, err
	}
	return &Bound{WorkloadID: id.WorkloadID, Binding: token, NotAfter: until}, nil
}

// ProveKey signs a proof of possession of this identity's key, the body of
// POST /v1/sessions (DESIGN 6): a JWS of typ kest-session+jws with the key in
// its header.
func (id *Identity) ProveKey(ctx context.Context, jti string, now time.Time, more ...ProofMember) (string, error) {
	jwk, err := jcs.ParseString(id.Key.JWK())
	if err != nil {
		return "", err
	}
	members := []jcs.Member{
		{Name: "aud", Value: jcs.StringValue(SessionAudience)},
		{Name: "iat", Value: jcs.IntValue(now.Unix())},
		{Name: "jti", Value: jcs.StringValue(jti)},
	}
	for _, m := range more {
		if m.member.Name != "" {
			members = append(members, m.member)
		}
	}
	return id.compact(ctx, jws.Header{Algorithm: id.Key.Algorithm(), Type: jws.TypeSession, JWK: jwk}, jcs.AppendObject(nil, members...))
}

// ProofMember is what a proof of possession says besides. The zero value says
// nothing.
type ProofMember struct{ member jcs.Member }

// maxProofBinding leaves room for the rest of a proof of 16 KiB.
const maxProofBinding = 8 << 10

// ProofBinding shows the binding that the key has already, so that an agent
// that has forgotten it needs not make another one (member binding). One of
// more than 8 KiB is left out.
func ProofBinding(binding string) ProofMember {
	if binding == "" || len(binding) > maxProofBinding {
		return ProofMember{}
	}
	return ProofMember{jcs.Member{Name: "binding", Value: jcs.StringValue(binding)}}
}

// ProofUnshared says that a binding will do which other agents don't find (member
// unshared), should the cache that they share be full.
func ProofUnshared() ProofMember {
	return ProofMember{jcs.Member{Name: "unshared", Value: jcs.BoolValue(true)}}
}

// SessionAudience is aud of a proof of possession.
const SessionAudience = "kest-agent"
