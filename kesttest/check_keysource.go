package kesttest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"kest.example/kest"
)

// TestKeySource checks what Kest relies on in a kest.KeySource that has a key
// for a request: it finds that key; it has none, and no error, for principals
// that it doesn't know; what a stranger's header brings makes no key; and
// callers can't change each other's answers.
func TestKeySource(t testing.TB, s kest.KeySource, request kest.KeyRequest, want kest.PublicKey) {
	t.Helper()
	c := keysCheck{t, s, want}
	c.finds(request, "at first")
	c.strangers(request)
	c.ownAnswers(request)
	c.concurrent(request)
	c.finds(request, "at last")
}

type keysCheck struct {
	t      testing.TB
	source kest.KeySource
	want   kest.PublicKey
}

func (c keysCheck) has(keys []kest.Key, wanted kest.PublicKey) bool {
	return slices.ContainsFunc(keys, func(k kest.Key) bool {
		return !k.Public.IsZero() && k.Public.Thumbprint() == wanted.Thumbprint()
	})
}

func (c keysCheck) finds(request kest.KeyRequest, when string) {
	c.t.Helper()
	keys, err := c.source.Keys(context.Background(), request)
	if err != nil || !c.has(keys, c.want) {
		c.t.Errorf("Keys of %q %s: %d keys without the one wanted, %v", request.Principal, when, len(keys), err)
	}
	for _, k := range keys {
		if k.Public.IsZero() {
			c.t.Errorf("Keys of %q returned a key without a public key", request.Principal)
		}
		if !k.NotBefore.IsZero() && !k.NotAfter.IsZero() && !k.NotBefore.Before(k.NotAfter) {
			c.t.Errorf("Keys of %q returned a key that is never valid: from %v to %v", request.Principal, k.NotBefore, k.NotAfter)
		}
	}
}

// strangers asks for principals near the known one, and brings a key along.
func (c keysCheck) strangers(request kest.KeyRequest) {
	c.t.Helper()
	name := request.Principal
	for _, other := range []string{"", "spiffe://kesttest.invalid/nobody", name + "x", name + "/", strings.ToUpper(name), name[:len(name)-1], name + "\x00"} {
		if other == name {
			continue
		}
		stranger := request
		stranger.Principal = other
		keys, err := c.source.Keys(context.Background(), stranger)
		if len(keys) > 0 || err != nil {
			c.t.Errorf("Keys of %q, whom it doesn't know: %d keys, %v; none and no error is right", other, len(keys), err)
		}
	}
	forged := NewProvider("spiffe://kesttest.invalid/forger").Key()
	for _, r := range []kest.KeyRequest{
		{Principal: name, KeyID: forged.Thumbprint(), Algorithm: forged.Algorithm(), JWK: forged.JWK()},
		{Principal: name, KeyID: forged.Thumbprint(), Algorithm: forged.Algorithm(), JWK: forged.JWK(), Binding: "e30.e30.e30"},
		{Principal: name, KeyID: forged.Thumbprint(), Algorithm: forged.Algorithm(), X5C: []string{"MAA="}},
	} {
		// An error is an answer here, but that key is none.
		if keys, _ := c.source.Keys(context.Background(), r); c.has(keys, forged) {
			c.t.Errorf("Keys vouches for a key of %q that came in the request itself", name)
		}
	}
}

func (c keysCheck) ownAnswers(request kest.KeyRequest) {
	c.t.Helper()
	keys, _ := c.source.Keys(context.Background(), request)
	for i := range keys {
		keys[i] = kest.Key{Public: NewProvider("spiffe://kesttest.invalid/forger").Key()}
	}
	again, _ := c.source.Keys(context.Background(), request)
	if c.has(again, NewProvider("spiffe://kesttest.invalid/forger").Key()) {
		c.t.Errorf("a caller who changes the slice that Keys returned changes the answer to the next")
	}
}

func (c keysCheck) concurrent(request kest.KeyRequest) {
	c.t.Helper()
	const callers, rounds = 16, 8
	lost := make([]bool, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			for range rounds {
				keys, err := c.source.Keys(context.Background(), request)
				lost[i] = lost[i] || err != nil || !c.has(keys, c.want)
				if known, ok := c.source.(kest.KnownKeySource); ok {
					known.Known(request)
				}
			}
		})
	}
	wait.Wait()
	if slices.Contains(lost, true) {
		c.t.Errorf("under concurrent use Keys of %q fails or has not the key wanted", request.Principal)
	}
}
