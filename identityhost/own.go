package identityhost

import (
	"context"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// ownKeys vouches for a provider's own key as its own workload's, for what this
// agent had bound, and for the bindings of form (a) that the key signed. Where a
// chain stands behind the key it keeps silent: only who knows the roots can tell
// whether they are revoked.
type ownKeys struct {
	provider kest.Provider
	table    *table
	now      func() time.Time
	grace    time.Duration
}

// Keys implements kest.KeySource.
func (s ownKeys) Keys(ctx context.Context, request kest.KeyRequest) ([]kest.Key, error) {
	if r := s.table.get(request.KeyID, s.now(), s.grace); r != nil && r.own != nil &&
		r.principal == request.Principal && r.binding == request.Binding && r.jwk == request.JWK && len(request.X5C) == 0 {
		return []kest.Key{*r.own}, nil
	}
	id, err := s.provider.Identity(ctx)
	if err != nil {
		return nil, unavailable("the workload has no identity yet", err)
	}
	if id == nil || id.WorkloadID != request.Principal || len(id.X5C) > 0 || id.Binding != "" || len(request.X5C) > 0 || request.JWK != "" {
		return nil, nil
	}
	if request.Binding == "" {
		return []kest.Key{{Public: id.Key, NotAfter: id.NotAfter}}, nil
	}
	return s.bound(id, request)
}

// maxBinding is how long a binding of a key without a chain may hold (CONTRACT 8).
const maxBinding = time.Hour

// bound checks a binding of form (a) under the identity's own key.
func (s ownKeys) bound(id *kest.Identity, request kest.KeyRequest) ([]kest.Key, error) {
	m, err := jws.Parse(request.Binding, kest.TypeBinding)
	if err != nil || m.Header.KeyID != bindingKeyID(id) || m.Header.Algorithm != id.Key.Algorithm() || len(m.Header.X5C) > 0 || m.Header.JWK != nil {
		return nil, nil // not this key's: somebody else may know it
	}
	public, err := hostcall.ParseKey(id.Key.JWK())
	if err != nil {
		return nil, badBinding("the own key", err)
	}
	if !jws.VerifyAll([]jws.Check{{Key: public, Input: []byte(m.Input), Signature: m.Signature}}) {
		return nil, badBinding("the signature is not of the own key", nil)
	}
	key, err := s.claims(id, m.Payload)
	if err != nil {
		return nil, err
	}
	if request.KeyID != "" && request.KeyID != key.Public.Thumbprint() {
		return nil, badBinding("it is another key's", nil)
	}
	key.Binding = request.Binding
	return []kest.Key{*key}, nil
}

func bindingKeyID(id *kest.Identity) string {
	if id.BindingKeyID != "" {
		return id.BindingKeyID
	}
	return id.Key.Thumbprint()
}

// claims reads what a binding says: sub, cnf.jwk, iat, exp and jti, all of them.
func (s ownKeys) claims(id *kest.Identity, payload []byte) (*kest.Key, error) {
	v, err := jcs.Parse(payload)
	if err != nil {
		return nil, badBinding("the payload", err)
	}
	cnf := v.Get("cnf")
	key, err := kest.ParsePublicKey(jcs.Append(nil, cnf.Get("jwk")))
	if err != nil || cnf.Len() != 1 {
		return nil, badBinding("cnf", err)
	}
	iat, iatOK := v.Get("iat").Int()
	exp, expOK := v.Get("exp").Int()
	if v.Get("sub").Str() != id.WorkloadID || v.Get("jti").Str() == "" || !iatOK || !expOK {
		return nil, badBinding("a claim is missing or wrong", nil)
	}
	from, until := time.Unix(iat, 0), time.Unix(exp, 0)
	if !from.Before(until) || until.Sub(from) > maxBinding || from.Sub(s.now()) > proofSkew {
		return nil, badBinding("its time", nil)
	}
	return &kest.Key{Public: key, NotBefore: from, NotAfter: until}, nil
}

func badBinding(detail string, err error) error {
	return &kest.VerificationError{Index: -1, Reason: kest.ReasonBinding, Detail: detail, Err: err}
}
