package spire

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"

	"kest.example/kest"
	"kest.example/kest/internal/uuid7"
)

// Bind implements kest.Binder: a binding of form (a) under the X.509-SVID, or of
// form (b) with WithJWTBinding. Its errors wrap kest.ErrUnavailable, for no key
// kest.ErrConfiguration.
func (p *Provider) Bind(ctx context.Context, key kest.PublicKey) (*kest.Bound, error) {
	if key.IsZero() {
		return nil, fmt.Errorf("spire: no key to bind: %w", kest.ErrConfiguration)
	}
	if p.options.jwt {
		return p.bindByJWT(ctx, key)
	}
	identity, err := p.Identity(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	jti, err := uuid7.New(now, rand.Reader)
	if err != nil {
		return nil, &Error{Address: p.address, Detail: "no random number for a binding's jti", Err: err}
	}
	return identity.BindKey(ctx, key, jti, now, p.options.ttl)
}

// fetchTimeout bounds one call for a JWT-SVID where the caller doesn't.
const fetchTimeout = 10 * time.Second

// bindByJWT fetches a JWT-SVID for the key alone: what is bound is its one
// audience (RFC 9278).
func (p *Provider) bindByJWT(ctx context.Context, key kest.PublicKey) (*kest.Bound, error) {
	s, err := p.svid()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	audience := key.ThumbprintURI()
	svid, err := p.client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience, Subject: s.id})
	if err != nil {
		return nil, explain(p.address, err, p.dialer.last())
	}
	if detail := unfit(svid, s.id, audience, time.Now()); detail != "" {
		return nil, &Error{Address: p.address, Detail: "the JWT-SVID " + detail}
	}
	return &kest.Bound{WorkloadID: s.id.String(), Binding: svid.Marshal(), InlineJWK: true, NotAfter: svid.Expiry}, nil
}

// unfit says why a JWT-SVID is no binding, "" where it is one.
func unfit(svid *jwtsvid.SVID, id spiffeid.ID, audience string, now time.Time) string {
	switch {
	case svid.ID != id:
		return "is of another workload"
	case len(svid.Audience) != 1 || svid.Audience[0] != audience:
		return "is not for the key alone"
	case !now.Before(svid.Expiry):
		return "has expired"
	}
	return ""
}
