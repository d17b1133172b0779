package oidc

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"kest.example/kest"
)

// Keys finds the issuer's keys by kid. It returns none and no error where it
// knows none; any error says that it can't tell. It must be safe for
// concurrent use.
type Keys interface {
	Keys(ctx context.Context, kid string) ([]kest.PublicKey, error)
}

// Option is a choice that Open takes.
type Option func(*Provider) error

// KMS looks up a key that signs elsewhere, such as one in KMS: its public part,
// who signs under it, and its id, which is the kid of what it binds, such as an
// ARN. It is called for each use and remembers by itself; aws.Key's Signer is
// one.
type KMS func(ctx context.Context) (public kest.PublicKey, signer kest.Signer, id string, err error)

// WithKMS has a key in KMS sign, which verifiers know by its id.
func WithKMS(key KMS) Option {
	return func(p *Provider) error {
		if key == nil {
			return fmt.Errorf("oidc: no key in KMS: %w", kest.ErrConfiguration)
		}
		p.kms = key
		return nil
	}
}

// WithRequest has a token requested for each key, with the key as its audience:
// a GET of address with the parameter audience and a bearer token, as CI systems
// offer (KEST_OIDC_REQUEST_URL, KEST_OIDC_REQUEST_TOKEN). The address must be
// https, or http to loopback.
func WithRequest(address, bearer string) Option {
	return func(p *Provider) (err error) {
		p.request, err = newRequester(address, bearer)
		return err
	}
}

// WithKeys checks the signatures of this workload's own tokens. Without it they
// are taken as they come: they are ours, and it is others who have to check.
func WithKeys(keys Keys) Option {
	return func(p *Provider) error {
		if keys == nil {
			return fmt.Errorf("oidc: no keys: %w", kest.ErrConfiguration)
		}
		p.keys = keys
		return nil
	}
}

// WithTransport takes the HTTP transport of WithRequest.
func WithTransport(t http.RoundTripper) Option {
	return func(p *Provider) error {
		p.transport = t
		return nil
	}
}

// WithLogger takes warnings. The default is slog.Default.
func WithLogger(l *slog.Logger) Option {
	return func(p *Provider) error {
		p.logger = l
		return nil
	}
}

// WithClock fixes the time; for tests.
func WithClock(now func() time.Time) Option {
	return func(p *Provider) error {
		p.now = now
		return nil
	}
}
