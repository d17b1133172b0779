// Package oidc makes an identity of an OIDC token in a file or a variable: the
// workload's id is ISS#SUB (IDENTITY.md, CONTRACT 8).
//
// The token's audience was fixed before there was a key, so the token itself
// can't bind one. Verifiers trust the key for one of three reasons: it is in KMS
// and they list it for this workload (WithKMS); a token was requested for it,
// whose audience it is (WithRequest); or they hold it as a static key.
package oidc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/internal/jwt"
	"kest.example/kest/internal/uuid7"
)

// BindingTTL is how long a binding under the provider's own key holds, unless
// the token ends before.
const BindingTTL = time.Hour

// early is how far an issuer's clock may be ahead of ours. Where a token ends,
// there is no such room: a signer stops in time.
const early = 30 * time.Second

// Errors of a Provider. Each is wrapped beside kest.ErrUnavailable.
var (
	ErrExpired = errors.New("the OIDC token has expired")
	ErrToken   = errors.New("the OIDC token is not acceptable")
	ErrRequest = errors.New("the request for an OIDC token failed")
)

// Provider is a kest.Provider and a kest.Binder. It is safe for concurrent use.
type Provider struct {
	keys      Keys // nil checks no signature
	now       func() time.Time
	logger    *slog.Logger
	transport http.RoundTripper

	watch   *watch         // nil: the id comes from the requested tokens alone
	own     *kest.Identity // the local key, without an id
	request *requester     // nil: none is requested
	session *kest.Session  // of request

	kms KMS // nil: the key is local

	mu     sync.Mutex
	last   *self // the last token that was good
	failed error // why no token could be had for a key
}

var (
	_ kest.Provider = (*Provider)(nil)
	_ kest.Binder   = (*Provider)(nil)
)

// Open makes a provider and reads nothing yet. A nil source needs WithRequest.
func Open(source Source, opts ...Option) (*Provider, error) {
	p := &Provider{now: time.Now, logger: slog.Default()}
	for _, opt := range opts {
		if err := opt(p); err != nil {
			return nil, err
		}
	}
	switch {
	case source == nil && p.request == nil:
		return nil, fmt.Errorf("oidc: neither a token nor where to request one: %w", kest.ErrConfiguration)
	case p.kms != nil && p.request != nil:
		return nil, fmt.Errorf("oidc: a key in KMS or tokens requested for keys, not both: %w", kest.ErrConfiguration)
	case source != nil:
		p.watch = newWatch(source)
	}
	if p.request != nil {
		p.request.client.Transport = p.transport
		p.session = kest.NewSession(p, p.now)
		return p, nil
	}
	if p.kms == nil {
		return p, p.makeKey()
	}
	return p, nil
}

func (p *Provider) makeKey() (err error) {
	seed := make([]byte, 32)
	if _, err = rand.Read(seed); err != nil {
		return unavailable("randomness", err)
	}
	p.own, err = kest.SeedIdentity("unbound", seed)
	return err
}

// Identity implements kest.Provider. Its key is this provider's own; the
// identity ends with the token.
func (p *Provider) Identity(ctx context.Context) (*kest.Identity, error) {
	if p.watch == nil {
		return p.requested(ctx)
	}
	s, err := p.current(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case p.request != nil:
		return p.requested(ctx)
	case p.kms != nil:
		public, signer, keyID, err := p.kms(ctx)
		if err != nil || public.IsZero() || signer == nil {
			return nil, unavailable("the key in KMS", err)
		}
		return &kest.Identity{
			WorkloadID: s.workload(), Key: public, Signer: signer, BindingKeyID: keyID, NotAfter: s.notAfter,
		}, nil
	}
	id := *p.own
	id.WorkloadID, id.NotAfter = s.workload(), s.notAfter
	return &id, nil
}

// requested is an identity whose key a requested token binds.
func (p *Provider) requested(ctx context.Context) (*kest.Identity, error) {
	id, err := p.session.Identity(ctx)
	if err == nil {
		return id, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return nil, p.failed // the session doesn't say why
	}
	return nil, err
}

// Bind implements kest.Binder: by a token requested for the key, form (b), or by
// a binding of form (a) under this provider's own key.
func (p *Provider) Bind(ctx context.Context, key kest.PublicKey) (*kest.Bound, error) {
	if p.request != nil {
		bound, err := p.bindByToken(ctx, key)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failed = err
		return bound, err
	}
	id, err := p.Identity(ctx)
	if err != nil {
		return nil, err
	}
	jti, err := uuid7.NewV4(rand.Reader)
	if err != nil {
		return nil, unavailable("randomness", err)
	}
	return id.BindKey(ctx, key, jti, p.now(), BindingTTL)
}

// Issuer returns iss of the token: the label oidc.iss. It is "" before the
// first Identity or Bind that succeeded.
func (p *Provider) Issuer() string { return p.lastSelf().issuer }

// Subject returns sub of the token: the label oidc.sub. See Issuer.
func (p *Provider) Subject() string { return p.lastSelf().subject }

func (p *Provider) lastSelf() self {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		return self{}
	}
	return *p.last
}

// Describe says why verifiers trust the key, for operators.
func (p *Provider) Describe() string {
	switch {
	case p.request != nil:
		return "the key is local, and a token is requested for it, which binds it"
	case p.kms != nil:
		return "the key is in KMS: verifiers must list it for this workload"
	}
	return "the key is local and nothing binds it: verifiers must hold it as a static key"
}

// String hides tokens and keys from logs.
func (*Provider) String() string { return "oidc.Provider" }

// GoString hides tokens and keys from logs.
func (p *Provider) GoString() string { return p.String() }

// Format hides tokens and keys from logs.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

func unavailable(detail string, err error) error {
	if err == nil {
		return fmt.Errorf("oidc: %s: %w", detail, kest.ErrUnavailable)
	}
	return fmt.Errorf("oidc: %s: %w: %w", detail, kest.ErrUnavailable, err)
}

// refused turns what is wrong with a token into this package's errors.
func refused(err error) error {
	var e *jwt.Error
	switch {
	case errors.As(err, &e) && e.Reason == jwt.Expired:
		return fmt.Errorf("oidc: %w: %w: %s", kest.ErrUnavailable, ErrExpired, e.Detail)
	case e != nil:
		return fmt.Errorf("oidc: %w: %w: %s", kest.ErrUnavailable, ErrToken, e.Detail)
	}
	return err
}
