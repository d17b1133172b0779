package baggage

import (
	"bytes"
	"context"
	"sync"
	"time"

	"kest.example/kest"
)

// MemoryCache is a bounded kest.Cache in memory. What doesn't fit is
// ErrFull: no live value is ever evicted.
type MemoryCache struct {
	maxBytes, maxValue int
	now                func() time.Time

	mu     sync.Mutex
	values map[string]timed
	bytes  int
}

type timed struct {
	value   []byte
	expires time.Time
}

// NewMemoryCache makes a cache of at most maxBytes of keys and values, each
// value at most maxValue bytes. A nil clock is time.Now.
func NewMemoryCache(maxBytes, maxValue int, now func() time.Time) *MemoryCache {
	if now == nil {
		now = time.Now
	}
	return &MemoryCache{maxBytes: maxBytes, maxValue: maxValue, now: now, values: make(map[string]timed)}
}

// overhead is what one value costs besides its bytes.
const overhead = 128

// Put implements kest.Cache.
func (c *MemoryCache) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if old, ok := c.values[key]; ok {
		if now.Before(old.expires) {
			return kest.ErrExists
		}
		c.drop(key, old)
	}
	size := len(key) + len(value) + overhead
	if len(value) > c.maxValue || ttl <= 0 {
		return kest.ErrFull
	}
	if c.bytes+size > c.maxBytes {
		c.sweep(now)
	}
	if c.bytes+size > c.maxBytes {
		return kest.ErrFull
	}
	c.values[key] = timed{bytes.Clone(value), now.Add(ttl)}
	c.bytes += size
	return nil
}

// Get implements kest.Cache.
func (c *MemoryCache) Get(_ context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[key]
	if !ok || !c.now().Before(v.expires) {
		return nil, kest.ErrNotFound
	}
	return bytes.Clone(v.value), nil
}

func (c *MemoryCache) sweep(now time.Time) {
	for key, v := range c.values {
		if !now.Before(v.expires) {
			c.drop(key, v)
		}
	}
}

func (c *MemoryCache) drop(key string, v timed) {
	delete(c.values, key)
	c.bytes -= len(key) + len(v.value) + overhead
}
