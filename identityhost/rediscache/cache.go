// Package rediscache is a kest.Cache in Redis, which agents on several nodes
// share. What it returns is input from outside: whoever can write to the Redis
// can change it.
package rediscache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"kest.example/kest"
)

// Cache keeps values in one Redis. It is safe for concurrent use. A Redis that
// is away is an error that wraps kest.ErrUnavailable; once it is back, so is
// the cache. It promises what that Redis does: a value that was put may be gone
// when the Redis restarts without a file that it appends to, or fails over.
type Cache struct {
	client   *redis.Client
	address  string
	timeout  time.Duration
	maxValue int
}

// Option changes a Cache.
type Option func(*Cache)

// The limits of a Cache.
const (
	DefaultTimeout  = time.Second
	DefaultMaxValue = 1 << 20 // bytes
	maxKey          = 512     // bytes
	poolSize        = 32      // connections
)

// WithTimeout bounds each operation, the connection's set-up included.
func WithTimeout(d time.Duration) Option { return func(c *Cache) { c.timeout = d } }

// WithMaxValue bounds a value: a longer one is kest.ErrFull to Put, and not
// read by Get.
func WithMaxValue(bytes int) Option { return func(c *Cache) { c.maxValue = bytes } }

// ErrURL is returned for a URL that can't be read. It doesn't repeat it: a
// password may be in it.
var ErrURL = fmt.Errorf("rediscache: the URL must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://… for TLS, or unix://[USER:PASSWORD@]/PATH: %w", kest.ErrConfiguration)

var errLimit = fmt.Errorf("rediscache: time-out and size must be more than 0: %w", kest.ErrConfiguration)

// Open makes a cache of a URL. It connects when it is used first, and again
// whenever it must.
func Open(url string, options ...Option) (*Cache, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, ErrURL
	}
	c := &Cache{address: o.Addr, timeout: DefaultTimeout, maxValue: DefaultMaxValue}
	for _, option := range options {
		option(c)
	}
	if c.timeout <= 0 || c.maxValue <= 0 {
		return nil, errLimit
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = c.timeout, c.timeout, c.timeout, c.timeout
	o.ContextTimeoutEnabled = true
	o.DialerRetries = 1
	o.MaxRetries = -1 // a Put that is tried again would find its own value
	o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize = poolSize, poolSize, -1
	o.Protocol, o.DisableIdentity = 2, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c.client = redis.NewClient(o)
	return c, nil
}

// String names the Redis without its password.
func (c *Cache) String() string { return "redis at " + c.address }

// GoString is String.
func (c *Cache) GoString() string { return c.String() }

// Close ends the connections.
func (c *Cache) Close() error { return c.client.Close() }

// Ping asks the Redis whether it is there.
func (c *Cache) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.failure(c.client.Ping(ctx).Err())
}

// Put implements kest.Cache, by SET NX PX. A Redis that is full (maxmemory,
// noeviction) is kest.ErrFull; one that evicts may lose live values.
func (c *Cache) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return c.set(ctx, key, value, ttl, "nx")
}

// Replace implements identityhost.Replacer, by SET PX.
func (c *Cache) Replace(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return c.set(ctx, key, value, ttl)
}

func (c *Cache) set(ctx context.Context, key string, value []byte, ttl time.Duration, flags ...any) error {
	if len(value) > c.maxValue || len(key) > maxKey || ttl < time.Millisecond {
		return kest.ErrFull
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	arguments := append([]any{"set", key, value, "px", ttl.Milliseconds()}, flags...)
	err := c.client.Do(ctx, arguments...).Err()
	switch {
	case errors.Is(err, redis.Nil):
		return kest.ErrExists
	case redis.IsOOMError(err):
		return kest.ErrFull
	}
	return c.failure(err)
}

// Get implements kest.Cache. It reads no more of a value than may be put.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, error) {
	if len(key) > maxKey {
		return nil, kest.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	text, err := c.client.GetRange(ctx, key, 0, int64(c.maxValue)).Result()
	switch {
	case err != nil:
		return nil, c.failure(err)
	case len(text) > c.maxValue:
		return nil, c.failure(errTooLong)
	case text == "":
		return c.empty(ctx, key)
	}
	return []byte(text), nil
}

var errTooLong = errors.New("a value is longer than any that may be put")

// empty tells a value without bytes from none.
func (c *Cache) empty(ctx context.Context, key string) ([]byte, error) {
	n, err := c.client.Exists(ctx, key).Result()
	switch {
	case err != nil:
		return nil, c.failure(err)
	case n == 0:
		return nil, kest.ErrNotFound
	}
	return []byte{}, nil
}

func (c *Cache) failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rediscache: %s: %w: %w", c, kest.ErrUnavailable, err)
}
