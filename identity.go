package kest

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"kest.example/kest/internal/ed25519"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// Signer makes raw signatures; only this library makes a JWS of them. The
// algorithm follows from the key: 64 bytes for EdDSA, R||S of 64 bytes for
// ES256, PKCS #1 v1.5 for RS256.
type Signer interface {
	Sign(ctx context.Context, input []byte) ([]byte, error)
}

// Identity is a workload that can sign.
type Identity struct {
	WorkloadID string
	Key        PublicKey
	Signer     Signer
	Binding    string    // goes into the header when set (CONTRACT 8)
	InlineJWK  bool      // the key stands beside an audience-bound binding
	NotAfter   time.Time // zero: for ever; past it nothing is signed

	// X5C is the chain that vouches for the key, standard base64 of DER, leaf
	// first, without the root. It goes into the header (direct mode).
	X5C []string
	// BindingKeyID names the key in the bindings that it signs where there is no
	// X5C, such as the ARN of a KMS key; "" is the key's thumbprint.
	BindingKeyID string
}

// Provider resolves the identity of this workload (F-ID-01). While it has
// none, its error wraps ErrUnavailable and every hook denies. It must be safe
// for concurrent use.
type Provider interface {
	Identity(ctx context.Context) (*Identity, error)
}

// ed25519Signer keeps a private key in memory and shows it to nobody.
type ed25519Signer struct{ key *ed25519.PrivateKey }

func (s ed25519Signer) Sign(_ context.Context, input []byte) ([]byte, error) {
	return s.key.Sign(input), nil
}

// String hides the key from logs.
func (ed25519Signer) String() string { return "kest.Signer(Ed25519)" }

// GoString hides the key from logs.
func (s ed25519Signer) GoString() string { return s.String() }

// fixedProvider is a provider of one identity.
type fixedProvider struct{ identity *Identity }

func (p fixedProvider) Identity(context.Context) (*Identity, error) { return p.identity, nil }

// InsecureSeedProvider signs as the workload with the Ed25519 key of a fixed
// seed of 32 bytes. Whoever has the seed is the workload: for tests. It warns.
func InsecureSeedProvider(workload string, seed []byte) (Provider, error) {
	identity, err := SeedIdentity(workload, seed)
	if err != nil {
		return nil, err
	}
	warn("insecure identity from a fixed seed; for tests only: " + workload)
	return fixedProvider{identity}, nil
}

// InsecureLocalProvider signs as the workload with a fresh Ed25519 key that
// nobody vouches for: for development. It warns.
func InsecureLocalProvider(workload string) (Provider, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, unavailable("randomness", err)
	}
	identity, err := SeedIdentity(workload, seed)
	if err != nil {
		return nil, err
	}
	warn("insecure local identity, a key that nobody vouches for; for development only: " + workload)
	return fixedProvider{identity}, nil
}

// SeedIdentity is the identity of the Ed25519 key of a seed of 32 bytes. Nobody
// vouches for it: who uses it says so in a warning.
func SeedIdentity(workload string, seed []byte) (*Identity, error) {
	if workload == "" {
		return nil, configurationError("an identity needs a workload id")
	}
	key, err := newEd25519Key(bytes.Clone(seed))
	if err != nil {
		return nil, err
	}
	return key.Identity(workload, nil), nil
}

// NewIdentity makes an identity of a JWK and whoever signs under it.
func NewIdentity(workload string, jwk []byte, signer Signer) (*Identity, error) {
	key, err := ParsePublicKey(jwk)
	if err != nil {
		return nil, err
	}
	if workload == "" || signer == nil {
		return nil, configurationError("an identity needs a workload id and a signer")
	}
	return &Identity{WorkloadID: workload, Key: key, Signer: signer}, nil
}

// SignEntry canonicalises an entry and signs it: the evidence of one hop. It
// asks no policy; a Hook does.
func (id *Identity) SignEntry(ctx context.Context, e *Entry, now time.Time) (string, error) {
	return id.sign(ctx, jws.TypeEntry, e.Canonical(), now)
}

// sign writes the JWS of a payload (RFC 7515, F-ID-03). It never returns an
// unsigned or half a signature (NF-SEC-02, NF-SEC-04).
func (id *Identity) sign(ctx context.Context, typ string, payload []byte, now time.Time) (string, error) {
	if !id.NotAfter.IsZero() && !now.Before(id.NotAfter) {
		return "", unavailable("the identity of "+id.WorkloadID+" has expired", nil)
	}
	h := jws.Header{
		Algorithm: id.Key.Algorithm(), KeyID: id.Key.Thumbprint(), Type: typ, Binding: id.Binding, X5C: id.X5C,
	}
	if id.InlineJWK {
		var err error
		if h.JWK, err = jcs.ParseString(id.Key.JWK()); err != nil {
			return "", err
		}
	}
	return id.compact(ctx, h, payload)
}

// compact signs under a header.
func (id *Identity) compact(ctx context.Context, h jws.Header, payload []byte) (string, error) {
	input := jws.Input(h, payload)
	signature, err := id.Signer.Sign(ctx, slices.Clip(input))
	if err != nil {
		return "", unavailable("signing as "+id.WorkloadID, err)
	}
	if size := len(signature); size == 0 || h.Algorithm != jws.RS256 && size != ed25519.SignatureSize {
		return "", unavailable("signing as "+id.WorkloadID+" gave no signature", nil)
	}
	if h.Algorithm == jws.ES256 {
		signature = jws.LowS(signature)
	}
	return jws.Compact(input, signature), nil
}
