package identityhost

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kest.example/kest"
)

// Replacer is a kest.Cache that can also put a value in place of another. The
// binding of a key is replaced only where it no longer verifies.
type Replacer interface {
	kest.Cache
	// Replace stores a value whether the key is there or not; its errors are
	// those of Put without kest.ErrExists.
	Replace(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// store publishes a binding. One that doesn't fit is unshared, where the proof
// puts up with that.
func (a *Agent) store(ctx context.Context, r, stale *record, p *proof) error {
	err := a.publish(ctx, r, stale)
	r.unshared = errors.Is(err, kest.ErrFull)
	if r.unshared && p.unshared {
		return nil
	}
	return err
}

// publish puts a binding into the cache for other agents. It wraps
// kest.ErrExists where the key has one there that isn't known to be stale, and
// kest.ErrFull where there is no room.
func (a *Agent) publish(ctx context.Context, r, stale *record) error {
	if a.local {
		return nil
	}
	ttl := r.notAfter.Add(a.grace).Sub(a.now())
	put := a.cache.Put
	if stale != nil {
		replacer, ok := a.cache.(Replacer)
		if !ok {
			return refused(http.StatusConflict, "the key was bound before: make a new one", nil)
		}
		put = replacer.Replace
	}
	if err := put(ctx, BindingKey(r.keyID), r.encode(), ttl); err != nil {
		return unavailable("the cache can't take the binding", err)
	}
	return nil
}

// publishAll puts all live bindings into the cache once more.
func (a *Agent) publishAll(ctx context.Context) {
	for _, r := range a.table.live(a.now(), a.grace) {
		if err := a.publish(ctx, r, nil); err != nil && !errors.Is(err, kest.ErrExists) {
			return // the cache is away or full: the next round tries again
		}
		a.table.shared(r)
	}
}
