package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"kest.example/kest"
)

// defaultSkew is how far clocks may differ.
const defaultSkew = 30 * time.Second

// Verifier is a kest.KeySource that vouches for static keys, and for keys that a
// binding or a certificate chain ties to their principal by the rules of
// CONTRACT 8. It is safe for concurrent use.
//
// What it refuses is a *kest.VerificationError with kest.ReasonBinding; where it
// can't tell, because a bundle or a JWKS isn't there, the error wraps
// kest.ErrUnavailable. It doesn't refuse what has expired or was revoked: the
// kest.Key says so, and kest.Verifier judges it at the entry's time and, at run
// time, now.
type Verifier struct {
	bundles *Bundles
	signers []Signer
	static  kest.StaticKeys
	now     func() time.Time
	skew    time.Duration
	cache   *cache
}

var _ kest.KnownKeySource = (*Verifier)(nil)

// Option changes one choice of a Verifier.
type Option func(*Verifier)

// WithBundles trusts SPIFFE trust domains, each for its own ids.
func WithBundles(b *Bundles) Option { return func(v *Verifier) { v.bundles = b } }

// WithSigners adds issuers and KMS keys, each for its own principals.
func WithSigners(signers ...Signer) Option {
	return func(v *Verifier) { v.signers = append(v.signers, signers...) }
}

// WithStatic trusts these keys as they are, for ever.
func WithStatic(keys kest.StaticKeys) Option { return func(v *Verifier) { v.static = keys } }

// WithClock replaces the clock.
func WithClock(now func() time.Time) Option { return func(v *Verifier) { v.now = now } }

// WithSkew sets how far clocks may differ (default 30 s).
func WithSkew(d time.Duration) Option { return func(v *Verifier) { v.skew = d } }

// WithCache sets how many verified bindings are remembered (default 2048).
func WithCache(entries int) Option { return func(v *Verifier) { v.cache = newCache(entries) } }

// NewVerifier makes a verifier. Without options it trusts nobody.
func NewVerifier(options ...Option) *Verifier {
	v := &Verifier{now: time.Now, skew: defaultSkew, cache: newCache(2048)}
	for _, o := range options {
		o(v)
	}
	return v
}

// Keys implements kest.KeySource: a static key that the kid names, else the key
// that the header's binding or chain vouches for. Without either it returns all
// static keys of the principal.
func (v *Verifier) Keys(ctx context.Context, request kest.KeyRequest) ([]kest.Key, error) {
	static, err := v.static.Keys(ctx, request)
	if err != nil || !inline(request) {
		return static, err
	}
	for _, key := range static {
		if key.Public.Thumbprint() == request.KeyID {
			return []kest.Key{key}, nil
		}
	}
	key, err := v.inlineKey(ctx, request)
	if err != nil {
		return nil, err
	}
	return []kest.Key{key}, nil
}

// inline reports whether the header brings what may vouch for a key. A key
// alone vouches for nothing.
func inline(r kest.KeyRequest) bool { return r.Binding != "" || len(r.X5C) > 0 }

func (v *Verifier) inlineKey(ctx context.Context, r kest.KeyRequest) (kest.Key, error) {
	if r.Binding == "" {
		return v.Chain(ctx, r.Principal, r.X5C)
	}
	if len(r.X5C) > 0 {
		return kest.Key{}, refuse(r.Principal, "the header has both a binding and x5c")
	}
	jwk, err := besideKey(r)
	if err != nil {
		return kest.Key{}, err
	}
	found, err := v.binding(ctx, r.Principal, r.Binding, jwk)
	if err != nil {
		return kest.Key{}, err
	}
	if found.audience && r.KeyID != "" && found.key.Public.Thumbprint() != r.KeyID {
		return kest.Key{}, refuse(r.Principal, "the kid is not the thumbprint of the key that the token is bound to")
	}
	return found.key, nil
}

// besideKey reads the key that the header carries beside a binding.
func besideKey(r kest.KeyRequest) (kest.PublicKey, error) {
	if r.JWK == "" {
		return kest.PublicKey{}, nil
	}
	if len(r.JWK) > maxToken {
		return kest.PublicKey{}, refuse(r.Principal, "the key beside the binding is too long")
	}
	key, err := kest.ParsePublicKey([]byte(r.JWK))
	if err != nil {
		return kest.PublicKey{}, refuse(r.Principal, "the key beside the binding is none that is accepted")
	}
	return key, nil
}

// Known implements kest.KnownKeySource: answering from the static keys, or from
// what was verified before, takes no work.
func (v *Verifier) Known(r kest.KeyRequest) bool {
	if !inline(r) {
		return true
	}
	for _, key := range v.static[r.Principal] {
		if key.Thumbprint() == r.KeyID {
			return true
		}
	}
	if r.Binding == "" {
		return v.cache.get(chainID(r.Principal, r.X5C)) != nil
	}
	jwk, err := besideKey(r)
	return err == nil && v.cache.get(bindingID(r.Principal, r.Binding, jwk)) != nil
}

// Binding verifies a binding of either form, however it came, and returns the
// key that it ties to the principal. jwk is the key beside an audience-bound
// token, form (b), and may be zero for form (a), whose token holds the key.
func (v *Verifier) Binding(ctx context.Context, principal, compact string, jwk kest.PublicKey) (kest.Key, error) {
	found, err := v.binding(ctx, principal, compact, jwk)
	if err != nil {
		return kest.Key{}, err
	}
	return found.key, nil
}

func (v *Verifier) binding(ctx context.Context, principal, compact string, jwk kest.PublicKey) (*verified, error) {
	return v.remember(ctx, bindingID(principal, compact, jwk), func() (*verified, error) {
		t, detail := parseToken(compact)
		if detail != "" {
			return nil, refuse(principal, detail)
		}
		found, err := v.judge(ctx, principal, t, jwk)
		if err != nil {
			return nil, err
		}
		found.key.Binding = compact
		return found, nil
	})
}

// judge tells the forms apart by typ alone.
func (v *Verifier) judge(ctx context.Context, principal string, t *token, jwk kest.PublicKey) (*verified, error) {
	switch t.typ {
	case kest.TypeBinding, typeWIT:
		return v.bound(ctx, principal, t, jwk)
	case typeJWT, typeJOSE, "":
		return v.audience(ctx, principal, t, jwk)
	}
	return nil, refuse(principal, "the token's typ is none of a binding")
}

// Chain verifies the chain of an entry that is signed by its leaf's own key:
// standard base64 of DER, leaf first, without the root. The key counts while the
// whole chain does.
func (v *Verifier) Chain(ctx context.Context, principal string, x5c []string) (kest.Key, error) {
	found, err := v.remember(ctx, chainID(principal, x5c), func() (*verified, error) {
		return v.direct(principal, x5c)
	})
	if err != nil {
		return kest.Key{}, err
	}
	return found.key, nil
}

// domainOf returns the one trust domain that may speak for a principal.
func (v *Verifier) domainOf(principal string) (spiffeid.TrustDomain, *domain, error) {
	id, err := spiffeid.FromString(principal)
	if err != nil || id.Path() == "" || len(principal) > maxPrincipal {
		return spiffeid.TrustDomain{}, nil, refuse(principal, "the principal is no SPIFFE id of a workload")
	}
	td := id.TrustDomain()
	d := v.bundles.domain(td)
	if v.bundles.awaited(td) {
		return td, nil, fmt.Errorf("keys: the bundle of %s is not there yet: %w", td, kest.ErrUnavailable)
	}
	if d == nil {
		return td, nil, refuse(principal, "its trust domain is not trusted")
	}
	return td, d, nil
}

// maxPrincipal is the length of the longest SPIFFE id (SPIFFE-ID section 2.3).
const maxPrincipal = 2048

// refuse makes the error of what doesn't verify.
func refuse(principal, detail string) *kest.VerificationError {
	return &kest.VerificationError{Index: -1, Principal: principal, Reason: kest.ReasonBinding, Detail: detail}
}
