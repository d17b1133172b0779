package keys

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// JWKS is a set of verification keys by kid (RFC 7517 section 5): a text, a file
// or what a server has. A key without a kid has its thumbprint for one. Keys of
// a kind that is not supported, or for another use than to verify, are left out.
// A nil *JWKS has no keys. It is safe for concurrent use.
type JWKS struct {
	keys  func(ctx context.Context, kid string) ([]kest.PublicKey, error)
	close func()
}

// Keys returns the keys of that kid: none and no error where the set has none.
// Where it can't be read, or was read too long ago, the error wraps
// kest.ErrUnavailable.
func (j *JWKS) Keys(ctx context.Context, kid string) ([]kest.PublicKey, error) {
	if j == nil || kid == "" {
		return nil, nil
	}
	return j.keys(ctx, kid)
}

// Close ends what runs in the background. A set from a server is then
// unavailable; others go on.
func (j *JWKS) Close() error {
	if j != nil && j.close != nil {
		j.close()
	}
	return nil
}

// JWKSOption changes one choice of a JWKS.
type JWKSOption func(*jwksOptions)

type jwksOptions struct {
	client      *http.Client
	plain       bool
	every       time.Duration
	again       time.Duration
	keep        time.Duration
	first, most time.Duration
}

func newJWKSOptions(options []JWKSOption) *jwksOptions {
	o := &jwksOptions{
		every: 5 * time.Minute, again: 5 * time.Second, keep: time.Hour, first: time.Second, most: time.Minute,
	}
	for _, option := range options {
		option(o)
	}
	return o
}

// WithHTTPClient asks with this client, whose redirects and time-outs are then
// the caller's. An attempt takes 10 s at most all the same.
func WithHTTPClient(c *http.Client) JWKSOption { return func(o *jwksOptions) { o.client = c } }

// RefreshEvery sets how often a server is asked while it answers (default 5 min).
func RefreshEvery(d time.Duration) JWKSOption { return func(o *jwksOptions) { o.every = d } }

// AskAgainAfter sets how long after an attempt an unknown kid may cause the next
// one (default 5 s).
func AskAgainAfter(d time.Duration) JWKSOption { return func(o *jwksOptions) { o.again = d } }

// KeepFor sets for how long keys count while they can't be read anew (default 1 h).
func KeepFor(d time.Duration) JWKSOption { return func(o *jwksOptions) { o.keep = d } }

// RetryAfter sets the pause after a failed attempt, which doubles with each
// further one up to a most (default 1 s, up to 1 min). Up to half of it is cut
// off at random.
func RetryAfter(first, most time.Duration) JWKSOption {
	return func(o *jwksOptions) { o.first, o.most = first, most }
}

// InsecurePlainHTTP takes keys from http URLs beyond this machine: whoever is on
// the way may replace them.
func InsecurePlainHTTP() JWKSOption { return func(o *jwksOptions) { o.plain = true } }

// NewStaticJWKS reads a set from a text. Its error wraps kest.ErrConfiguration:
// the text is no JWKS of at most 1 MiB, holds a private key or no usable key.
func NewStaticJWKS(text []byte) (*JWKS, error) {
	set, err := parseOwnSet(text)
	if err != nil {
		return nil, fmt.Errorf("keys: the JWKS: %w: %w", kest.ErrConfiguration, err)
	}
	return &JWKS{keys: func(_ context.Context, kid string) ([]kest.PublicKey, error) { return set.get(kid), nil }}, nil
}

// keySet holds keys by kid.
type keySet map[string][]kest.PublicKey

func (s keySet) get(kid string) []kest.PublicKey { return slices.Clone(s[kid]) }

// maxKeys bounds how many keys a set may have, usable or not.
const maxKeys = 256

// setError says why a text is no set of keys.
type setError string

func (e setError) Error() string { return string(e) }

// Why a text is no set of keys.
const (
	errNoSet      setError = "it is no object with a list of keys"
	errManyKeys   setError = "it has more than 256 keys"
	errPrivateKey setError = "it holds a private key"
	errNoKeys     setError = "it holds no key that can be used"
)

// parseOwnSet reads a set that is in the reader's own hands: a private key in
// it, or no usable key, is a mistake to mend.
func parseOwnSet(text []byte) (keySet, error) {
	set, private, err := parseSet(text)
	switch {
	case err != nil:
		return nil, err
	case private:
		return nil, errPrivateKey
	case len(set) == 0:
		return nil, errNoKeys
	}
	return set, nil
}

// parseSet leaves out what RFC 7517 section 5 says to ignore, and a key whose
// private half is there for everybody to read.
func parseSet(text []byte) (set keySet, private bool, err error) {
	if len(text) > maxDocument {
		return nil, false, errTooLong
	}
	v, err := jcs.Parse(text)
	if err != nil {
		return nil, false, err
	}
	list := v.Get("keys")
	if list.Kind() != jcs.Array {
		return nil, false, errNoSet
	}
	if list.Len() > maxKeys {
		return nil, false, errManyKeys
	}
	set = make(keySet, list.Len())
	for i := range list.Items() {
		jwk := &list.Items()[i].Value
		private = private || isPrivate(jwk)
		if kid, key, ok := parseSetKey(jwk); ok {
			set[kid] = append(set[kid], key)
		}
	}
	return set, private, nil
}

func isPrivate(jwk *jcs.Value) bool {
	return jwk.Get("d").Kind() != jcs.Invalid || jwk.Get("k").Kind() != jcs.Invalid
}

func parseSetKey(jwk *jcs.Value) (kid string, key kest.PublicKey, ok bool) {
	if jwk.Kind() != jcs.Object || !mayVerify(jwk) {
		return "", kest.PublicKey{}, false
	}
	key, err := kest.ParsePublicKey(jcs.Append(nil, jwk))
	if err != nil {
		return "", kest.PublicKey{}, false
	}
	id := jwk.Get("kid")
	switch {
	case id.Kind() == jcs.Invalid:
		return key.Thumbprint(), key, true
	case id.Str() == "":
		return "", kest.PublicKey{}, false
	}
	return id.Str(), key, true
}

// mayVerify reports whether key_ops, where it is there, lets the key verify.
func mayVerify(jwk *jcs.Value) bool {
	operations := jwk.Get("key_ops")
	if operations.Kind() == jcs.Invalid {
		return true
	}
	list, _ := operations.Strings()
	return slices.Contains(list, "verify")
}
