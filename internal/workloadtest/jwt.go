package workloadtest

import (
	"crypto"
	"crypto/rand"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

type jwtKey struct {
	id  string
	key crypto.Signer
}

// RotateJWTKey adds a new ES256 key to the bundle, which signs from now on, and
// returns its kid. The ones before stay in the bundle.
func (c *CA) RotateJWTKey() string {
	k := &jwtKey{id: rand.Text(), key: newKey(P256)}
	defer c.changed()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jwtKeys = append(c.jwtKeys, k)
	return k.id
}

// RevokeJWTKey takes a key out of the bundle. The last one stays: something has
// to sign.
func (c *CA) RevokeJWTKey(kid string) {
	defer c.changed()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.jwtKeys) > 1 {
		c.jwtKeys = slices.DeleteFunc(c.jwtKeys, func(k *jwtKey) bool { return k.id == kid })
	}
}

// publicJWTKeys returns the JWT authorities by kid. The caller holds the lock.
func (c *CA) publicJWTKeys() map[string]crypto.PublicKey {
	keys := make(map[string]crypto.PublicKey, len(c.jwtKeys))
	for _, k := range c.jwtKeys {
		keys[k.id] = k.key.Public()
	}
	return keys
}

// jwtTTL is SPIRE's default_jwt_svid_ttl.
const jwtTTL = 5 * time.Minute

// JWTRequest says what JWT-SVID is to be issued. TTL 0 is five minutes; a
// negative one has expired already.
type JWTRequest struct {
	ID       string
	Audience []string
	TTL      time.Duration
	Edit     func(claims map[string]any) // changes the claims before they are signed
}

// IssueJWT issues a JWT-SVID as SPIRE does, but for what the request changes:
// ES256, typ JWT, kid; aud, exp, iat, sub and no jti.
func (c *CA) IssueJWT(r JWTRequest) string {
	if r.TTL == 0 {
		r.TTL = jwtTTL
	}
	now := time.Now()
	claims := map[string]any{
		"aud": r.Audience, "sub": r.ID,
		"iat": jwt.NewNumericDate(now), "exp": jwt.NewNumericDate(now.Add(r.TTL)),
	}
	if r.Edit != nil {
		r.Edit(claims)
	}
	c.mu.Lock()
	k := c.jwtKeys[len(c.jwtKeys)-1]
	c.mu.Unlock()
	signer := must(jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.key, KeyID: k.id}},
		new(jose.SignerOptions).WithType("JWT"),
	))
	return must(jwt.Signed(signer).Claims(claims).Serialize())
}
