package identityhost

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// MaxAge is how long a verifier may hold an answer about a key.
const MaxAge = 10 * time.Second

// maxPrincipal bounds a workload's id, in bytes; SPIFFE ids have at most 2048.
const maxPrincipal = 2048

// KeyAnswer is a key that was verified just now.
type KeyAnswer struct {
	Principal string
	Key       kest.Key
}

// JSON returns {binding, jwk, max_age, not_after, not_before, principal}: times
// in RFC 3339 or null for no limit, max_age in seconds, binding null for a key
// that needs none.
func (k *KeyAnswer) JSON() []byte {
	return jcs.AppendObject(nil,
		jcs.Member{Name: "binding", Value: textValue(k.Key.Binding)},
		jcs.Member{Name: "jwk", Value: keyValue(k.Key.Public.JWK())},
		jcs.Member{Name: "max_age", Value: jcs.IntValue(int64(MaxAge / time.Second))},
		jcs.Member{Name: "not_after", Value: timeValue(k.Key.NotAfter)},
		jcs.Member{Name: "not_before", Value: timeValue(k.Key.NotBefore)},
		jcs.Member{Name: "principal", Value: jcs.StringValue(k.Principal)},
	)
}

// Key finds the key of a kid for a principal (GET /v1/keys/{kid}?principal=P):
// a static one, the agent's own, or one by its binding, which is verified anew
// at each call. Statuses: 400 no principal; 404 unknown, or another's; 403 its
// binding doesn't verify, or it is revoked; 503 nobody can tell yet.
func (a *Agent) Key(ctx context.Context, keyID, principal string) (*KeyAnswer, error) {
	if principal == "" || len(principal) > maxPrincipal || keyID == "" || len(keyID) > maxPrincipal {
		return nil, malformed("a kid and a principal are needed", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	key, err := a.direct(ctx, keyID, principal)
	if err != nil && StatusOf(err) != http.StatusServiceUnavailable {
		return nil, err
	}
	if key != nil {
		return &KeyAnswer{principal, *key}, nil
	}
	r, notFound := a.bound(ctx, keyID, principal)
	if notFound != nil {
		if err != nil && StatusOf(notFound) == http.StatusNotFound {
			return nil, err // a source that was away may know it
		}
		return nil, notFound
	}
	key, err = a.vouched(ctx, r.request(principal))
	if err != nil {
		return nil, err
	}
	return &KeyAnswer{principal, *key}, nil
}

// bound finds the record of a principal's key.
func (a *Agent) bound(ctx context.Context, keyID, principal string) (*record, error) {
	if !isThumbprint(keyID) {
		return nil, errNoKey
	}
	r, err := a.lookUp(ctx, keyID)
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return nil, errNoKey
	case r.binding == "":
		return nil, refused(http.StatusForbidden, "the key's binding doesn't verify", errRecord)
	case r.principal != principal:
		return nil, errNoKey
	}
	return r, nil
}

var errNoKey = refused(http.StatusNotFound, "no such key of this principal", nil)

// lookUp finds a key's record here or in the cache; nil where there is none,
// and one without a binding where the cache holds something else.
func (a *Agent) lookUp(ctx context.Context, keyID string) (*record, error) {
	if r := a.table.get(keyID, a.now(), a.grace); r != nil || a.local {
		return r, nil
	}
	text, err := a.cache.Get(ctx, BindingKey(keyID))
	switch {
	case errors.Is(err, kest.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, unavailable("the cache can't be reached", err)
	}
	r, err := parseRecord(keyID, text)
	if err != nil {
		return &record{keyID: keyID}, nil
	}
	return r, nil
}

// direct asks the key source for a key that needs no binding. Its kid is its
// thumbprint: what an entry calls its key otherwise doesn't name one.
func (a *Agent) direct(ctx context.Context, keyID, principal string) (*kest.Key, error) {
	keys, err := a.keys.Keys(ctx, kest.KeyRequest{Principal: principal, KeyID: keyID})
	if err != nil {
		if kest.AsVerificationError(err) != nil && !errors.Is(err, kest.ErrUnavailable) {
			return nil, nil // there is no binding yet that could fail
		}
		return nil, unavailable("the keys can't be told yet", err)
	}
	return named(keys, keyID)
}

// vouched asks the key source whether what a request brings is a key of its
// principal.
func (a *Agent) vouched(ctx context.Context, request kest.KeyRequest) (*kest.Key, error) {
	keys, err := a.keys.Keys(ctx, request)
	switch {
	case err == nil:
	case errors.Is(err, kest.ErrUnavailable) || kest.AsVerificationError(err) == nil:
		return nil, unavailable("the keys can't be told yet", err)
	default:
		return nil, refused(http.StatusForbidden, "the key's binding doesn't verify", err)
	}
	key, err := named(keys, request.KeyID)
	if key == nil && err == nil {
		return nil, refused(http.StatusForbidden, "nobody vouches for the key", nil)
	}
	return key, err
}

// named is the first key of a kid, nil where there is none. Whoever says that it
// is revoked is believed.
func named(keys []kest.Key, keyID string) (found *kest.Key, err error) {
	for i := range keys {
		k := &keys[i]
		switch {
		case k.Public.IsZero() || k.Public.Thumbprint() != keyID:
		case k.Revoked:
			return nil, refused(http.StatusForbidden, "the key is revoked", nil)
		case found == nil:
			found = k
		}
	}
	return found, nil
}

// isThumbprint reports whether a kid can be an RFC 7638 thumbprint with SHA-256.
func isThumbprint(keyID string) bool {
	sum, err := jws.Decode(keyID)
	return err == nil && len(sum) == 32
}
