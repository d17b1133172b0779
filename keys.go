package kest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// PublicKey is a verification key: Ed25519, P-256 or RSA. The one algorithm
// that it verifies follows from its type.
type PublicKey struct{ k *jws.PublicKey }

// ParsePublicKey reads a public JWK (RFC 7517). Private members are refused.
func ParsePublicKey(jwk []byte) (PublicKey, error) {
	v, err := jcs.Parse(jwk)
	if err != nil {
		return PublicKey{}, &detailError{"JWK", err}
	}
	return publicKey(v)
}

func publicKey(v *jcs.Value) (PublicKey, error) {
	k, err := jws.ParseJWK(v)
	if err != nil {
		return PublicKey{}, err
	}
	return PublicKey{k}, nil
}

// IsZero reports whether there is no key.
func (k PublicKey) IsZero() bool { return k.k == nil }

// Algorithm returns EdDSA, ES256 or RS256 (RFC 7518, RFC 8037).
func (k PublicKey) Algorithm() string { return k.k.Algorithm() }

// Thumbprint returns the RFC 7638 thumbprint: the kid of entries under it.
func (k PublicKey) Thumbprint() string { return k.k.Thumbprint() }

// JWK returns the key's required members as canonical JSON.
func (k PublicKey) JWK() string { return k.k.JWK() }

// DER returns the SubjectPublicKeyInfo of a P-256 or RSA key, nil for Ed25519.
func (k PublicKey) DER() []byte { return k.k.DER() }

// Key is a public key that a source vouches for as one principal's.
type Key struct {
	Public    PublicKey
	NotBefore time.Time // zero: always
	NotAfter  time.Time // zero: for ever
	Revoked   bool      // no longer accepted at run time; entries from before stay true
	Binding   string    // what ties it to the principal, for the record; "" for a static key
}

// KeyRequest asks for the key of one entry. What the header brings gives no
// trust of its own; a source vouches for it or not (CONTRACT 8).
type KeyRequest struct {
	Principal string
	KeyID     string
	Algorithm string
	Binding   string // compact JWT, or ""
	JWK       string // canonical JSON beside an audience-bound token, or ""
	X5C       []string
}

// KeySource finds the keys of a principal. It returns no keys and no error
// where it knows none, and an error that wraps ErrUnavailable where it can't
// tell. It must be safe for concurrent use.
type KeySource interface {
	Keys(ctx context.Context, request KeyRequest) ([]Key, error)
}

// KnownKeySource is a KeySource that can say whether answering a request takes
// work, such as a call or a chain to verify. At most Limits.UnknownKeys such
// requests are made for one passport.
type KnownKeySource interface {
	KeySource
	Known(request KeyRequest) bool
}

// StaticKeys are keys from configuration: principal to keys, valid for ever.
type StaticKeys map[string][]PublicKey

// Keys implements KeySource.
func (s StaticKeys) Keys(_ context.Context, request KeyRequest) ([]Key, error) {
	keys := s[request.Principal]
	if len(keys) == 0 {
		return nil, nil
	}
	list := make([]Key, len(keys))
	for i, k := range keys {
		list[i] = Key{Public: k}
	}
	return list, nil
}

// ParseStaticKeys reads {"<principal>": JWK or [JWK, …]}.
func ParseStaticKeys(text []byte) (StaticKeys, error) {
	v, err := jcs.Parse(text)
	if err != nil {
		return nil, &detailError{"keys", err}
	}
	if v.Kind() != jcs.Object {
		return nil, configurationError("the keys are " + v.Kind().String() + `, not an object {"<principal>": JWK or [JWK, …]}`)
	}
	keys := make(StaticKeys, v.Len())
	for i := range v.Items() {
		m := &v.Items()[i]
		list, err := parseKeyList(m)
		if err != nil {
			return nil, err
		}
		keys[m.Name] = list
	}
	return keys, nil
}

func parseKeyList(m *jcs.Member) ([]PublicKey, error) {
	items := []jcs.Member{{Value: m.Value}}
	if m.Value.Kind() == jcs.Array {
		items = m.Value.Items()
	}
	list := make([]PublicKey, 0, len(items))
	for i := range items {
		k, err := publicKey(&items[i].Value)
		if err != nil {
			return nil, &detailError{"key " + strconv.Itoa(i) + " of " + strconv.Quote(m.Name), err}
		}
		list = append(list, k)
	}
	if len(list) == 0 || m.Name == "" {
		return nil, configurationError("the principal " + strconv.Quote(m.Name) + " has no key or no name")
	}
	return list, nil
}

// KeySources asks several sources in order and returns all keys that they have.
type KeySources []KeySource

// Keys implements KeySource. A source that is unavailable matters only where
// no other one has a key.
func (s KeySources) Keys(ctx context.Context, request KeyRequest) ([]Key, error) {
	var all []Key
	var failure error
	for _, source := range s {
		keys, err := source.Keys(ctx, request)
		if err != nil && failure == nil {
			failure = err
		}
		all = append(all, keys...)
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, failure
}

// Known implements KnownKeySource.
func (s KeySources) Known(request KeyRequest) bool {
	return !slices.ContainsFunc(s, func(source KeySource) bool {
		known, ok := source.(KnownKeySource)
		return ok && !known.Known(request)
	})
}
