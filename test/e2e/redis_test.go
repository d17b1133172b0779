//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/rediscache"
	"kest.example/kest/kesttest"
)

// What Kest relies on in a cache holds in Redis.
func TestRedisIsACache(t *testing.T) {
	r := startRedis(t)
	for name, url := range map[string]string{"loopback": r.url(), "unix": r.unixURL()} {
		t.Run(name, func(t *testing.T) {
			kesttest.TestCache(t, func() kest.Cache {
				c, err := rediscache.Open(url)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return c
			})
		})
	}
}

func TestRedisLimits(t *testing.T) {
	r := startRedis(t)
	small, large := r.open(t, rediscache.WithMaxValue(1000)), r.open(t)
	ctx := context.Background()
	key := func(name string) string { return kest.ClaimKey(t.Name() + name) }
	for name, c := range map[string]struct {
		key   string
		size  int
		ttl   time.Duration
		fails bool
	}{
		"just fits":     {key("fits"), 1000, time.Minute, false},
		"too long":      {key("long"), 1001, time.Minute, true},
		"no time":       {key("time"), 1, 0, true},
		"negative time": {key("neg"), 1, -time.Minute, true},
		"a long key":    {key(strings.Repeat("k", 600)), 1, time.Minute, true},
		"no bytes":      {key("empty"), 0, time.Minute, false},
	} {
		err := small.Put(ctx, c.key, make([]byte, c.size), c.ttl)
		if c.fails != errors.Is(err, kest.ErrFull) || !c.fails && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := small.Get(ctx, c.key)
		if c.fails != errors.Is(err, kest.ErrNotFound) || !c.fails && (err != nil || len(got) != c.size) {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
	if err := large.Put(ctx, key("large"), make([]byte, 5000), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := small.Get(ctx, key("large")); !unreachable(err) || len(got) != 0 {
		t.Errorf("a value longer than any that may be put: %d bytes, %v", len(got), err)
	}
	for range 2 {
		if err := large.Replace(ctx, key("replaced"), []byte("b"), time.Minute); err != nil {
			t.Error(err)
		}
	}
	if err := large.Put(ctx, key("replaced"), []byte("c"), time.Minute); !errors.Is(err, kest.ErrExists) {
		t.Error(err)
	}
}

// unreachable is an error that is none of the three of a cache.
func unreachable(err error) bool {
	return errors.Is(err, kest.ErrUnavailable) && !errors.Is(err, kest.ErrNotFound) && !errors.Is(err, kest.ErrExists) && !errors.Is(err, kest.ErrFull)
}

// No error and no text of a cache has the password.
func TestRedisTellsNoPassword(t *testing.T) {
	r := startRedis(t)
	right := r.open(t)
	wrongURL := strings.Replace(r.url(), redisPassword, "wrong-"+redisPassword, 1)
	wrong, err := rediscache.Open(wrongURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = wrong.Close() }()
	_, failure := wrong.Get(context.Background(), "k")
	if !unreachable(failure) {
		t.Errorf("the wrong password: %v", failure)
	}
	texts := []string{failure.Error(), fmt.Sprintf("%v %+v %#v %s", right, right, right, wrong)}
	if all := strings.Join(texts, "\n"); strings.Contains(all, redisPassword) {
		t.Errorf("the password is told:\n%s", all)
	}
}
