package baggage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
)

var _ kest.Cache = (*baggage.MemoryCache)(nil)

// handClock is a clock that a test moves.
type handClock struct{ now time.Time }

func (c *handClock) Now() time.Time { return c.now }

func newCache(maxBytes, maxValue int) (*baggage.MemoryCache, *handClock) {
	clock := &handClock{time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	return baggage.NewMemoryCache(maxBytes, maxValue, clock.Now), clock
}

func wantValue(t *testing.T, c kest.Cache, key, want string) {
	t.Helper()
	if got, err := c.Get(context.Background(), key); err != nil || string(got) != want {
		t.Errorf("%s is %q, %v; want %q", key, got, err, want)
	}
}

func TestCacheIsCreateOnly(t *testing.T) { // F-CP-05
	c, _ := newCache(1<<20, 1<<10)
	ctx := context.Background()
	if err := c.Put(ctx, "k", []byte("first"), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"second", "first", ""} {
		if err := c.Put(ctx, "k", []byte(value), time.Hour); !errors.Is(err, kest.ErrExists) {
			t.Errorf("%q: %v", value, err)
		}
	}
	wantValue(t, c, "k", "first")
	if _, err := c.Get(ctx, "other"); !errors.Is(err, kest.ErrNotFound) {
		t.Errorf("what was never put: %v", err)
	}
}

func TestCacheForgetsInTime(t *testing.T) {
	c, clock := newCache(1<<20, 1<<10)
	ctx := context.Background()
	if err := c.Put(ctx, "k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(time.Minute - time.Nanosecond)
	wantValue(t, c, "k", "v")
	if err := c.Put(ctx, "k", []byte("w"), time.Minute); !errors.Is(err, kest.ErrExists) {
		t.Errorf("a moment before its end: %v", err)
	}
	clock.now = clock.now.Add(time.Nanosecond)
	if _, err := c.Get(ctx, "k"); !errors.Is(err, kest.ErrNotFound) {
		t.Errorf("at its end: %v", err)
	}
	if err := c.Put(ctx, "k", []byte("w"), time.Minute); err != nil {
		t.Errorf("again after its end: %v", err)
	}
	wantValue(t, c, "k", "w")
	for _, ttl := range []time.Duration{0, -time.Second} {
		if err := c.Put(ctx, "x", nil, ttl); err == nil {
			t.Errorf("a TTL of %v was taken", ttl)
		}
	}
}

// A value that doesn't fit is refused; no live value makes room for it.
func TestCacheNeverEvicts(t *testing.T) {
	c, clock := newCache(10_000, 1000)
	ctx := context.Background()
	value := []byte(strings.Repeat("v", 900))
	n := 0
	for ; n < 100; n++ {
		if err := c.Put(ctx, fmt.Sprint(n), value, time.Minute); err != nil {
			if !errors.Is(err, kest.ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if n < 5 || n > 11 {
		t.Fatalf("%d values of 900 bytes in 10000", n)
	}
	for i := range n {
		wantValue(t, c, fmt.Sprint(i), string(value))
	}
	if err := c.Put(ctx, "small", nil, time.Minute); err != nil && !errors.Is(err, kest.ErrFull) {
		t.Error(err)
	}
	clock.now = clock.now.Add(time.Minute) // all are over: there is room again
	for i := range n {
		if err := c.Put(ctx, "new"+fmt.Sprint(i), value, time.Minute); err != nil {
			t.Errorf("after the others' end: %v", err)
		}
	}
}

func TestCacheBoundsOneValue(t *testing.T) {
	c, _ := newCache(1<<20, 10)
	ctx := context.Background()
	if err := c.Put(ctx, "k", make([]byte, 11), time.Minute); !errors.Is(err, kest.ErrFull) {
		t.Errorf("11 bytes: %v", err)
	}
	if err := c.Put(ctx, "k", make([]byte, 10), time.Minute); err != nil {
		t.Errorf("10 bytes: %v", err)
	}
	if err := c.Put(ctx, strings.Repeat("k", 2<<20), nil, time.Minute); !errors.Is(err, kest.ErrFull) {
		t.Errorf("a long key: %v", err)
	}
}

// Many small values count too: the number of values is bounded with the bytes.
func TestCacheBoundsTheNumber(t *testing.T) {
	c, _ := newCache(100_000, 10)
	n := 0
	for n < 100_000 && c.Put(context.Background(), fmt.Sprint(n), nil, time.Minute) == nil {
		n++
	}
	if n > 1000 {
		t.Errorf("%d empty values in 100000 bytes", n)
	}
}

func TestCacheKeepsItsOwnCopy(t *testing.T) {
	c, _ := newCache(1<<20, 1<<10)
	value := []byte("value")
	if err := c.Put(context.Background(), "k", value, time.Minute); err != nil {
		t.Fatal(err)
	}
	value[0] = 'x'
	got, err := c.Get(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	got[1] = 'x'
	wantValue(t, c, "k", "value")
}

func TestCacheIsSafeForConcurrentUse(t *testing.T) {
	c := baggage.NewMemoryCache(1<<16, 1<<10, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				err := c.Put(context.Background(), fmt.Sprint(i), []byte("v"), time.Minute)
				if err == nil {
					mu.Lock()
					created++
					mu.Unlock()
				} else if !errors.Is(err, kest.ErrExists) {
					t.Error(err)
				}
				wantValue(t, c, fmt.Sprint(i), "v")
			}
		})
	}
	wg.Wait()
	if created != 100 {
		t.Errorf("100 keys were created %d times", created)
	}
}
