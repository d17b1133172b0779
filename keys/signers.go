package keys

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kest.example/kest"
)

// Signer is who else than a SPIFFE trust domain may bind keys, and for whom: a
// KMS key or an OIDC issuer speaks for the principals that are listed, and for
// nobody else. A SPIFFE id belongs to its trust domain: only a pattern that
// starts with "spiffe://" and the trust domain's name lists one.
type Signer struct {
	Principals []kest.Pattern
	Keys       []kest.PublicKey // whatever the token's kid, such as a KMS key's ARN
	JWKS       *JWKS            // by the token's kid; may be nil

	// Issuer is the iss of an OIDC issuer, whose audience-bound tokens, form (b),
	// bind the principal ISS#SUB. Without it the keys sign bindings of form (a).
	Issuer string
}

const spiffeScheme = "spiffe://"

// likeSPIFFE reports whether a name is a SPIFFE id, or would pass for one.
func likeSPIFFE(principal string) bool {
	n := len("spiffe:")
	return len(principal) >= n && strings.EqualFold(principal[:n], "spiffe:")
}

// speaksFor reports whether the signer is listed for the principal, as this issuer.
func (s *Signer) speaksFor(principal, issuer string) bool {
	return s.Issuer == issuer && len(principal) <= maxPrincipal && slices.ContainsFunc(s.Principals, func(p kest.Pattern) bool {
		return p.Match(principal) && (!likeSPIFFE(principal) || namesDomain(p))
	})
}

// namesDomain reports whether a pattern for SPIFFE ids says of which trust domain.
func namesDomain(p kest.Pattern) bool {
	rest, ok := strings.CutPrefix(string(p), spiffeScheme)
	domain, _, path := strings.Cut(rest, "/")
	return ok && path && domain != "" && !strings.Contains(domain, "*")
}

// keys returns the keys that a token with that kid may be signed with. Those
// that are there count even where the error says that others aren't.
func (s *Signer) keys(ctx context.Context, kid string) ([]kest.PublicKey, error) {
	named, err := s.JWKS.Keys(ctx, kid)
	return append(slices.Clone(s.Keys), named...), err
}

// Bounds of what signers bind.
const (
	maxSignerLife = time.Hour // from iat to exp (IDENTITY, Bindings)
	maxSignerKeys = 16        // how many signatures one token makes us check
)

// bySigner verifies a token under the keys of those who are listed for the principal.
func (v *Verifier) bySigner(ctx context.Context, principal, issuer string, t *token, key kest.PublicKey, p period) (*verified, error) {
	if p.expires.Sub(p.issued) > maxSignerLife {
		return nil, refuse(principal, "exp lies more than an hour after iat")
	}
	listed, left := false, maxSignerKeys
	var failure error
	for i := range v.signers {
		s := &v.signers[i]
		if !s.speaksFor(principal, issuer) {
			continue
		}
		listed = true
		keys, err := s.keys(ctx, t.kid)
		if err != nil {
			failure = err
		}
		if by, ok := t.signedBy(keys, &left); ok {
			bound := kest.Key{Public: key, NotBefore: p.notBefore, NotAfter: p.expires}
			return &verified{key: bound, current: s.stillHas(t.kid, by)}, nil
		}
	}
	switch {
	case failure != nil:
		return nil, fmt.Errorf("keys: who binds keys of %q: %w", principal, failure)
	case !listed:
		return nil, refuse(principal, "nobody is listed who may bind its keys so")
	}
	return nil, refuse(principal, "the token's signature holds under no key that is listed for it")
}

// signedBy returns the key that the token's signature holds under.
func (t *token) signedBy(keys []kest.PublicKey, left *int) (kest.PublicKey, bool) {
	for _, key := range keys {
		if key.IsZero() || key.Algorithm() != t.algorithm || *left == 0 {
			continue
		}
		*left--
		if holds(key, t.input, t.signature) {
			return key, true
		}
	}
	return kest.PublicKey{}, false
}

// stillHas reports whether the signer has that key.
func (s *Signer) stillHas(kid string, key kest.PublicKey) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		keys, err := s.keys(ctx, kid)
		if slices.ContainsFunc(keys, func(k kest.PublicKey) bool { return !k.IsZero() && k.Thumbprint() == key.Thumbprint() }) {
			return true, nil
		}
		return false, err
	}
}
