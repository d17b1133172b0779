// Package aws is the identity of a workload that runs in AWS (CONTRACT 8): who
// it is says STS, and its key stays in KMS, which signs and shows nobody the
// private part. Bedrock AgentCore's names are here too.
//
// Nothing here calls AWS before the first use, and what fails is tried again
// at a later use. Errors are *Error or wrap kest.ErrConfiguration; no error, log or formatted
// value holds a credential.
package aws

import (
	"context"
	"crypto/rand"
	"time"

	"kest.example/kest"
)

// Provider is the identity of this workload: its id as STS says it, and a key
// in KMS. It is safe for concurrent use.
type Provider struct {
	source *source
	now    func() time.Time
	ttl    time.Duration
}

var (
	_ kest.Provider = (*Provider)(nil)
	_ kest.Binder   = (*Provider)(nil)
)

// Open makes a provider whose key is keyID: a KMS key's id, ARN, alias/NAME or
// alias ARN. The key's usage is SIGN_VERIFY, its spec one of ECC_NIST_P256
// (ES256), ECC_NIST_EDWARDS25519 (EdDSA) and RSA_2048, RSA_3072 and RSA_4096
// (RS256). The workload's role needs kms:GetPublicKey and kms:Sign on it.
//
// The workload's id is arn:PARTITION:iam::ACCOUNT:role/NAME for every session
// of a role, without the role's path, which STS doesn't tell; a user's ARN stays as it is.
//
// Open calls nobody. Its error wraps kest.ErrConfiguration.
func Open(keyID string, options ...Option) (*Provider, error) {
	return open(keyID, caller.workloadID, options)
}

func open(keyID string, name func(caller) (string, error), options []Option) (*Provider, error) {
	s, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	source, err := newSource(keyID, name, s)
	if err != nil {
		return nil, err
	}
	return &Provider{source: source, now: s.now, ttl: s.ttl}, nil
}

// Identity implements kest.Provider. The first call asks STS and KMS, later ones
// don't: the identity is kept until KMS refuses to sign under it for good. While there is none
// the error wraps kest.ErrUnavailable, and kest.ErrConfiguration as well where
// only a change mends it.
func (p *Provider) Identity(ctx context.Context) (*kest.Identity, error) {
	return p.source.identity(ctx)
}

// Bind implements kest.Binder: a binding of form (a), signed by the KMS key,
// whose kid is the key's ARN. It holds for the provider's binding TTL.
func (p *Provider) Bind(ctx context.Context, key kest.PublicKey) (*kest.Bound, error) {
	if key.IsZero() {
		return nil, configurationError("there is no key to bind")
	}
	id, err := p.Identity(ctx)
	if err != nil {
		return nil, err
	}
	return id.BindKey(ctx, key, rand.Text(), p.now(), p.ttl)
}

// String names the key and nothing else.
func (p *Provider) String() string { return "aws.Provider(" + p.source.keyID + ")" }

// GoString is String.
func (p *Provider) GoString() string { return p.String() }
