package aws

import (
	"context"

	"kest.example/kest"
)

// Key is a KMS key on its own, for identities whose id comes from elsewhere,
// such as an OIDC token. It is safe for concurrent use.
type Key struct{ source *source }

// OpenKey makes a key of an id as Open takes it, and like Open calls nobody.
// Its error wraps kest.ErrConfiguration.
func OpenKey(keyID string, options ...Option) (*Key, error) {
	s, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	source, err := newSource(keyID, nil, s)
	if err != nil {
		return nil, err
	}
	return &Key{source}, nil
}

// Signer returns the public key, who signs under it, and the key's ARN for
// kest.Identity.BindingKeyID. What it returns is kept as an identity is, so
// call it again for each use. Its errors are those of Provider.Identity.
func (k *Key) Signer(ctx context.Context) (public kest.PublicKey, signer kest.Signer, arn string, err error) {
	id, err := k.source.identity(ctx)
	if err != nil {
		return kest.PublicKey{}, nil, "", err
	}
	return id.Key, id.Signer, id.BindingKeyID, nil
}

// String names the key and nothing else.
func (k *Key) String() string { return "aws.Key(" + k.source.keyID + ")" }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// PublicKey fetches the public key of a KMS key, for verifiers that list a key
// by its id or ARN. It asks KMS every time: callers keep the answer. It needs
// kms:GetPublicKey alone. Its errors are those of Provider.Identity.
func PublicKey(ctx context.Context, keyID string, options ...Option) (kest.PublicKey, error) {
	key, err := OpenKey(keyID, options...)
	if err != nil {
		return kest.PublicKey{}, err
	}
	public, _, _, err := key.Signer(ctx)
	return public, err
}
