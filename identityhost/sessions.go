package identityhost

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// Registration is a session key that is bound to the agent's workload.
type Registration struct {
	WorkloadID string
	KeyID      string // the key's RFC 7638 thumbprint
	Binding    string // a compact JWT, CONTRACT 8
	NotAfter   time.Time
	Unshared   bool // the cache is full: no other agent finds the key
}

// JSON returns {binding, kid, not_after, workload_id}; the time in RFC 3339.
func (r *Registration) JSON() []byte {
	return jcs.AppendObject(nil,
		jcs.Member{Name: "binding", Value: jcs.StringValue(r.Binding)},
		jcs.Member{Name: "kid", Value: jcs.StringValue(r.KeyID)},
		jcs.Member{Name: "not_after", Value: timeValue(r.NotAfter)},
		jcs.Member{Name: "workload_id", Value: jcs.StringValue(r.WorkloadID)},
	)
}

// Sessions binds the key that a proof of possession is about (POST
// /v1/sessions): a compact JWS of typ kest-session+jws, alg EdDSA or ES256, the
// public key as jwk in its header, payload {aud: "kest-agent", iat, jti,
// binding?, unshared?}.
//
// A key that is bound already keeps its binding, and gets it again: after its
// end a new key is due. An agent that has forgotten it takes the binding that the
// proof shows, where that verifies as one of this workload's and this key's, so
// that entries of before go on counting. With "unshared": true a cache that is
// full doesn't matter: then only this agent finds the key until there is room.
//
// Statuses: 400 malformed, or no acceptable key; 401 not
// signed by it, older than 30 s, from more than 30 s ahead, used before, or for
// somebody else; 409 the key was another workload's or is at its end; 413; 429
// with RetryAfter; 503 no identity, or the cache can't take the binding.
func (a *Agent) Sessions(ctx context.Context, compact string) (*Registration, error) {
	p, err := parseProof(compact)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	id, err := a.admit(ctx, p)
	if err != nil {
		return nil, err
	}
	r, err := a.register(ctx, id, p)
	if err != nil {
		return nil, err
	}
	return &Registration{WorkloadID: r.principal, KeyID: r.keyID, Binding: r.binding, NotAfter: r.notAfter, Unshared: r.unshared}, nil
}

// admit uses up a proof. What is refused for lack of an identity or by the rate
// may come again with the same one.
func (a *Agent) admit(ctx context.Context, p *proof) (*kest.Identity, error) {
	now := a.now()
	if err := p.fresh(now); err != nil {
		return nil, err
	}
	if a.replays.seen(p.id(), now) {
		return nil, errRepeated
	}
	id, err := a.identity(ctx)
	if err != nil {
		return nil, err
	}
	if !a.rate.take(now) {
		return nil, tooMany("too many sessions in a second", time.Second)
	}
	switch used, full := a.replays.use(p.id(), now); {
	case used:
		return nil, errRepeated
	case full:
		return nil, tooMany("too many sessions in a minute", replayWindow)
	}
	return id, nil
}

var errRepeated = refused(http.StatusUnauthorized, "the proof was used before", nil)

// register finds the binding of a key or makes one. A second try is for a key
// that somebody else registered in between.
func (a *Agent) register(ctx context.Context, id *kest.Identity, p *proof) (*record, error) {
	for attempt := 0; ; attempt++ {
		found, holds, err := a.existing(ctx, id.WorkloadID, p)
		if err != nil {
			return nil, err
		}
		if holds {
			return a.again(ctx, found, p)
		}
		r, err := a.bindNew(ctx, id, p, found)
		if errors.Is(err, kest.ErrExists) && attempt == 0 {
			continue
		}
		return r, err
	}
}

// existing looks for a binding that the key has, and whether it holds for the
// workload. One that is known and doesn't verify may be replaced; one that the
// proof shows is the same as none then.
func (a *Agent) existing(ctx context.Context, workload string, p *proof) (r *record, holds bool, err error) {
	r, err = a.lookUp(ctx, p.key.Thumbprint())
	switch {
	case err != nil:
		return nil, false, err
	case r == nil && p.binding != "":
		if r, holds, err = a.holding(ctx, workload, p.shown(workload, a.now().Add(a.ttl))); !holds {
			r = nil
		}
		return r, holds, err
	case r == nil || r.binding == "":
		return r, false, nil
	}
	return a.holding(ctx, workload, r)
}

// holding reports whether a record's binding holds. One that does for another
// workload, or has ended, is 409.
func (a *Agent) holding(ctx context.Context, workload string, r *record) (*record, bool, error) {
	key, err := a.vouched(ctx, r.request(r.principal))
	switch StatusOf(err) {
	case http.StatusOK:
	case http.StatusForbidden:
		return r, false, nil
	default:
		return nil, false, err
	}
	if key.NotAfter.IsZero() || r.shown && key.Binding != r.binding {
		return r, false, nil // not by its binding, so that its end isn't known
	}
	if r.principal != workload {
		return nil, false, refused(http.StatusConflict, "the key is another workload's", nil)
	}
	if now := a.now(); !now.Before(key.NotAfter) || !now.Before(r.notAfter) {
		return nil, false, refused(http.StatusConflict, "the key's time is over: make a new one", nil)
	}
	verified := *r
	if verified.notAfter.After(key.NotAfter) { // a cache could say anything
		verified.notAfter = key.NotAfter.Truncate(time.Second)
	}
	return &verified, true, nil
}

// again gives a key the binding that it has, and the cache too, should it have
// lost it.
func (a *Agent) again(ctx context.Context, r *record, p *proof) (*record, error) {
	if err := a.store(ctx, r, nil, p); err != nil && !errors.Is(err, kest.ErrExists) {
		return nil, err
	}
	if a.table.keep(r, nil, a.maxSessions, a.now(), a.grace) == nil {
		return nil, errSessions
	}
	return r, nil
}

var errSessions = tooMany("too many live sessions", 10*time.Second)

// bindNew binds a key and stores the binding, in place of a stale one if any.
func (a *Agent) bindNew(ctx context.Context, id *kest.Identity, p *proof, stale *record) (*record, error) {
	key := p.key
	if !a.table.room(key.Thumbprint(), a.maxSessions, a.now(), a.grace) {
		return nil, errSessions
	}
	bound, err := a.bind(ctx, id, key)
	if err != nil {
		return nil, unavailable("the key could not be bound", err)
	}
	if bound == nil || bound.Binding == "" || bound.WorkloadID == "" || !a.now().Before(bound.NotAfter) {
		return nil, unavailable("the key could not be bound", nil)
	}
	r := &record{
		principal: bound.WorkloadID, keyID: key.Thumbprint(), algorithm: key.Algorithm(),
		binding: bound.Binding, notAfter: bound.NotAfter.Truncate(time.Second),
	}
	if end := a.now().Add(a.ttl).Truncate(time.Second); r.notAfter.After(end) {
		r.notAfter = end // the binding holds for longer than keys are to be used
	}
	if bound.InlineJWK {
		r.jwk = key.JWK()
	}
	if len(id.X5C) == 0 {
		r.own = &kest.Key{Public: key, NotBefore: a.now().Truncate(time.Second), NotAfter: bound.NotAfter.Truncate(time.Second), Binding: r.binding}
	}
	if err := a.store(ctx, r, stale, p); err != nil {
		return nil, err
	}
	kept := a.table.keep(r, stale, a.maxSessions, a.now(), a.grace)
	if kept == nil {
		return nil, errSessions
	}
	return kept, nil
}

func (a *Agent) bind(ctx context.Context, id *kest.Identity, key kest.PublicKey) (*kest.Bound, error) {
	if b, ok := a.provider.(kest.Binder); ok {
		return b.Bind(ctx, key)
	}
	jti, err := newJTI()
	if err != nil {
		return nil, err
	}
	return id.BindKey(ctx, key, jti, a.now(), a.ttl)
}
