package baggage

import (
	"bytes"
	"container/heap"
	"context"
	"sync"
	"time"

	"kest.example/kest"
)

// MemoryCache is a bounded kest.Cache in memory: in bytes, in number and in
// time. What doesn't fit is ErrFull: no live value is ever evicted.
type MemoryCache struct {
	maxBytes, maxValue, maxValues int
	now                           func() time.Time

	mu     sync.Mutex
	values map[string]*timed
	ending endings
	bytes  int
}

// MemoryOption is a choice that NewMemoryCache takes.
type MemoryOption func(*MemoryCache)

// WithMaxValues bounds the number of live values. The default is one for each
// KiB of the cache, 1024 at least.
func WithMaxValues(n int) MemoryOption { return func(c *MemoryCache) { c.maxValues = n } }

// NewMemoryCache makes a cache of at most maxBytes of keys and values, each
// value at most maxValue bytes. A nil clock is time.Now.
func NewMemoryCache(maxBytes, maxValue int, now func() time.Time, options ...MemoryOption) *MemoryCache {
	if now == nil {
		now = time.Now
	}
	c := &MemoryCache{
		maxBytes: maxBytes, maxValue: maxValue, maxValues: max(maxBytes>>10, 1024), now: now,
		values: make(map[string]*timed),
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// overhead is what one value costs besides its bytes.
const overhead = 128

// Put implements kest.Cache. Values that have ended make room first, each once,
// so that a full cache refuses without looking at what lives.
func (c *MemoryCache) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.sweep(now)
	if _, ok := c.values[key]; ok {
		return kest.ErrExists
	}
	size := len(key) + len(value) + overhead
	if len(value) > c.maxValue || ttl <= 0 || c.bytes+size > c.maxBytes || len(c.values) >= c.maxValues {
		return kest.ErrFull
	}
	v := &timed{key, bytes.Clone(value), now.Add(ttl)}
	c.values[key] = v
	heap.Push(&c.ending, v)
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

// sweep drops what has ended.
func (c *MemoryCache) sweep(now time.Time) {
	for len(c.ending) > 0 && !now.Before(c.ending[0].expires) {
		v := heap.Pop(&c.ending).(*timed)
		delete(c.values, v.key)
		c.bytes -= len(v.key) + len(v.value) + overhead
	}
}

type timed struct {
	key     string
	value   []byte
	expires time.Time
}

// endings is a heap of values, the one that ends first on top.
type endings []*timed

// Len implements heap.Interface.
func (e endings) Len() int { return len(e) }

// Less implements heap.Interface.
func (e endings) Less(i, j int) bool { return e[i].expires.Before(e[j].expires) }

// Swap implements heap.Interface.
func (e endings) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements heap.Interface.
func (e *endings) Push(v any) { *e = append(*e, v.(*timed)) }

// Pop implements heap.Interface.
func (e *endings) Pop() any {
	last := len(*e) - 1
	v := (*e)[last]
	(*e)[last] = nil // or the heap would keep it
	*e = (*e)[:last]
	return v
}
