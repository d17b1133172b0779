package keys

import (
	"context"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// onlyAudience returns the one audience of a token, or "".
func (t *token) onlyAudience() string {
	aud := t.claims.Get("aud")
	if list, ok := aud.Strings(); ok && len(list) == 1 {
		return list[0]
	}
	if aud.Kind() == jcs.String {
		return aud.Str()
	}
	return ""
}

// audience verifies form (b): a JWT-SVID or an OIDC token whose only audience is
// the thumbprint of the key beside it.
func (v *Verifier) audience(ctx context.Context, principal string, t *token, jwk kest.PublicKey) (*verified, error) {
	if jwk.IsZero() {
		return nil, refuse(principal, "an audience-bound token has no key beside it")
	}
	p, detail := t.period(v.now(), v.skew)
	switch {
	case detail != "":
		return nil, refuse(principal, detail)
	case t.onlyAudience() != jwk.ThumbprintURI():
		return nil, refuse(principal, "the token's only audience is not the thumbprint of the key")
	case t.kid == "":
		return nil, refuse(principal, "the token has no kid")
	}
	found, err := v.audienceSigner(ctx, principal, t, jwk, p)
	if err != nil {
		return nil, err
	}
	found.audience = true
	return found, nil
}

func (v *Verifier) audienceSigner(ctx context.Context, principal string, t *token, jwk kest.PublicKey, p period) (*verified, error) {
	subject, issuer := t.text("sub"), t.text("iss")
	if likeSPIFFE(principal) {
		if subject != principal {
			return nil, refuse(principal, "sub is not the principal")
		}
		return v.byDomain(principal, t, jwk, p, useJWT)
	}
	switch {
	case subject == "" || issuer == "" || strings.Contains(issuer, "#") || issuer+"#"+subject != principal:
		return nil, refuse(principal, "iss#sub is not the principal")
	case p.issued.IsZero():
		return nil, refuse(principal, "iat is missing")
	}
	return v.bySigner(ctx, principal, issuer, t, jwk, p)
}
