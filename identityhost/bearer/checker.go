// Package bearer checks the bearer token of a user in a Go host, as Envoy's
// jwt_authn does in Envoy, and shows its claims to a filter under Envoy's names
// (CONTRACT 9).
//
//	c, err := bearer.New("https://issuer.example.org", "orders", keys)
//	f, err := host.New(ctx, wasm, configuration, host.WithProperties(c.Properties))
//	server.Handler = c.Middleware(f.Handler(next))
package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/internal/jwt"
	"kest.example/kest/internal/jcs"
)

// Skew is how far this host's clock and the issuer's may be apart.
const Skew = 30 * time.Second

// DefaultMetadataKey is where claims stand unless WithMetadataKey says
// otherwise: payload_in_metadata of Envoy's jwt_authn.
const DefaultMetadataKey = "payload"

// Keys finds the issuer's keys by kid. It returns none and no error where it
// knows none; any error says that it can't tell. It must be safe for
// concurrent use.
type Keys interface {
	Keys(ctx context.Context, kid string) ([]kest.PublicKey, error)
}

// Reason says in one word why a token is refused.
type Reason string

// The reasons for which a token is refused.
const (
	ReasonHeader    Reason = "header" // not exactly one Authorization header
	ReasonMalformed Reason = Reason(jwt.Malformed)
	ReasonAlgorithm Reason = Reason(jwt.Algorithm)
	ReasonType      Reason = Reason(jwt.Type)
	ReasonNoKey     Reason = Reason(jwt.NoKey)
	ReasonSignature Reason = Reason(jwt.Signature)
	ReasonExpired   Reason = Reason(jwt.Expired)
	ReasonNotYet    Reason = Reason(jwt.NotYet)
	ReasonIssuer    Reason = Reason(jwt.Issuer)
	ReasonAudience  Reason = Reason(jwt.Audience)
)

// TokenError refuses a token: 401. It never quotes one.
type TokenError struct {
	Reason Reason
	Detail string
}

func (e *TokenError) Error() string { return "bearer token: " + string(e.Reason) + ": " + e.Detail }

// Checker checks the tokens of one issuer for one audience. It is safe for
// concurrent use.
type Checker struct {
	issuer, audience, metadataKey string
	keys                          Keys
	now                           func() time.Time
	logger                        *slog.Logger
}

// Option is a choice that New takes.
type Option func(*Checker)

// WithMetadataKey sets the name under which Properties shows the claims, the
// same as user.jwt.metadata_key of the filter's configuration.
func WithMetadataKey(name string) Option { return func(c *Checker) { c.metadataKey = name } }

// WithLogger takes what is refused and why. The default is slog.Default.
func WithLogger(l *slog.Logger) Option { return func(c *Checker) { c.logger = l } }

// WithClock fixes the time; for tests.
func WithClock(now func() time.Time) Option { return func(c *Checker) { c.now = now } }

// New makes a checker. iss of a token must equal issuer, and aud must hold
// audience. What is missing is an error that wraps kest.ErrConfiguration.
func New(issuer, audience string, keys Keys, opts ...Option) (*Checker, error) {
	c := &Checker{
		issuer: issuer, audience: audience, keys: keys,
		metadataKey: DefaultMetadataKey, now: time.Now, logger: slog.Default(),
	}
	for _, opt := range opts {
		opt(c)
	}
	if issuer == "" || audience == "" || keys == nil || c.metadataKey == "" {
		return nil, fmt.Errorf("bearer: an issuer, an audience, a source of keys and a metadata key are needed: %w", kest.ErrConfiguration)
	}
	return c, nil
}

// Check checks a token of at most 16 KiB: a compact JWS under EdDSA, ES256 or
// RS256 and the issuer's key of its kid, without crit (RFC 7515), with iss, aud,
// and exp, in its time but for Skew (RFC 7519 section 4.1). It returns the
// claims as canonical JSON. A token that is refused is a *TokenError; where the
// issuer's keys can't be had the error wraps kest.ErrUnavailable.
func (c *Checker) Check(ctx context.Context, token string) (claims []byte, err error) {
	v, err := c.check(ctx, token)
	if err != nil {
		return nil, err
	}
	return jcs.Append(nil, v), nil
}

// check leaves the signature to the last: the rest costs no call.
func (c *Checker) check(ctx context.Context, token string) (*jcs.Value, error) {
	t, err := jwt.Parse(token)
	if err == nil {
		err = c.meant(t)
	}
	if err == nil {
		err = t.Verify(ctx, c.keys)
	}
	var refused *jwt.Error
	switch {
	case errors.As(err, &refused):
		return nil, &TokenError{Reason(refused.Reason), refused.Detail}
	case err != nil:
		return nil, err
	}
	return t.Claims, nil
}

// meant checks that the token is the issuer's, for us, and for now.
func (c *Checker) meant(t *jwt.Token) error {
	if t.Claims.Get("iss").Str() != c.issuer {
		return &jwt.Error{Reason: jwt.Issuer, Detail: "iss is not the issuer"}
	}
	audiences, err := t.Audiences()
	if err != nil {
		return err
	}
	if !slices.Contains(audiences, c.audience) {
		return &jwt.Error{Reason: jwt.Audience, Detail: "aud does not hold the audience"}
	}
	return t.InTime(c.now(), Skew, Skew)
}
