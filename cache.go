package kest

import (
	"context"
	"errors"
	"time"
)

// Cache keeps claims: passports that are too long for a header (F-CP-05). It
// must be safe for concurrent use. What it returns is input from outside.
type Cache interface {
	// Put stores a value under a key that must not be there yet (ErrExists).
	// A value that doesn't fit is ErrFull; no live value makes room for it.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Get returns the value; ErrNotFound when there is none.
	Get(ctx context.Context, key string) ([]byte, error)
}

// Errors of a Cache. Any other one means that it could not be reached.
var (
	ErrNotFound = errors.New("kest: not in the cache")
	ErrExists   = errors.New("kest: the key is taken")
	ErrFull     = errors.New("kest: the cache has no room")
)

// ClaimTTL is how long a claim lives by default.
const ClaimTTL = 300 * time.Second

// ClaimKey returns the cache key of a claim's UUID.
func ClaimKey(id string) string { return "kest.claim." + id }
