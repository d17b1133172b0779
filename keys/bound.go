package keys

import (
	"context"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// cnf reads the key that a token of form (a) holds (RFC 7800): cnf has jwk and
// nothing else, since two ways to name a key could name two.
func (t *token) cnf() (kest.PublicKey, bool) {
	confirmation := t.claims.Get("cnf")
	jwk := confirmation.Get("jwk")
	if confirmation.Len() != 1 || jwk.Kind() != jcs.Object {
		return kest.PublicKey{}, false
	}
	key, err := kest.ParsePublicKey(jcs.Append(nil, jwk))
	return key, err == nil
}

// bound verifies form (a): a token that holds the key, signed by the workload's
// X.509-SVID, by a key that is listed for it, or by its trust domain.
func (v *Verifier) bound(ctx context.Context, principal string, t *token, jwk kest.PublicKey) (*verified, error) {
	key, ok := t.cnf()
	p, detail := t.period(v.now(), v.skew)
	switch {
	case detail != "":
		return nil, refuse(principal, detail)
	case t.text("sub") == "" || t.text("sub") != principal:
		return nil, refuse(principal, "sub is not the principal")
	case p.issued.IsZero():
		return nil, refuse(principal, "iat is missing")
	case t.text("jti") == "":
		return nil, refuse(principal, "jti is missing")
	case !ok:
		return nil, refuse(principal, "cnf is not one public jwk")
	case !jwk.IsZero() && jwk.Thumbprint() != key.Thumbprint():
		return nil, refuse(principal, "the key beside the token is not the one in it")
	case len(t.x5c) > 0 && t.kid != "" || len(t.x5c) == 0 && t.kid == "":
		return nil, refuse(principal, "the token has not exactly one of x5c and kid")
	}
	switch {
	case t.typ == typeWIT && len(t.x5c) > 0:
		return nil, refuse(principal, "a wit+jwt is not signed by its trust domain")
	case t.typ == typeWIT:
		return v.byDomain(principal, t, key, p, useWIT, useJWT)
	case len(t.x5c) > 0:
		return v.bySVID(principal, t, key, p)
	}
	return v.bySigner(ctx, principal, "", t, key, p)
}

// bySVID verifies a binding under an X.509-SVID. The chain is verified as of
// when the binding was signed, so that it outlives the SVID's rotation.
func (v *Verifier) bySVID(principal string, t *token, key kest.PublicKey, p period) (*verified, error) {
	td, d, err := v.domainOf(principal)
	if err != nil {
		return nil, err
	}
	s, err := parseSVID(principal, t.x5c)
	if err != nil {
		return nil, err
	}
	leaf := s.certs[0]
	at := p.issued
	if at.Before(leaf.NotBefore) && !at.Add(v.skew).Before(leaf.NotBefore) {
		at = leaf.NotBefore // the workload's clock lags behind its CA's
	}
	switch {
	case s.key.Algorithm() != t.algorithm:
		return nil, refuse(principal, "alg is not that of the leaf's key")
	case p.expires.After(leaf.NotAfter):
		return nil, refuse(principal, "exp lies beyond the leaf's end")
	}
	found, ok := d.chain(s, at)
	if !ok {
		return nil, refuse(principal, "the chain did not lead to its trust domain when the token was signed")
	}
	if !holds(s.key, t.input, t.signature) {
		return nil, refuse(principal, "the token's signature does not hold under the leaf's key")
	}
	found.narrow(p.notBefore, p.expires)
	bound, err := v.settle(principal, key, found, p.issued)
	if err != nil {
		return nil, err
	}
	return &verified{key: bound, current: v.unchanged(td, d)}, nil
}

// byDomain verifies a token under a token authority of the principal's own trust
// domain, which the kid names.
func (v *Verifier) byDomain(principal string, t *token, key kest.PublicKey, p period, uses ...use) (*verified, error) {
	td, d, err := v.domainOf(principal)
	if err != nil {
		return nil, err
	}
	for _, a := range d.find(t.kid, uses...) {
		if a.key.Algorithm() != t.algorithm || !holds(a.key, t.input, t.signature) {
			continue
		}
		bound, err := v.settle(principal, key, vouched{a, p.notBefore, p.expires}, p.issued)
		if err != nil {
			return nil, err
		}
		return &verified{key: bound, current: v.unchanged(td, d)}, nil
	}
	return nil, refuse(principal, "the token holds under no key of its trust domain with its kid and alg")
}
