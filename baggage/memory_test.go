package baggage_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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

// The number of live values is bounded, whatever their size.
func TestCacheBoundsTheNumber(t *testing.T) {
	for name, c := range map[string]struct {
		maxBytes int
		options  []baggage.MemoryOption
		want     int
	}{
		"as told":        {64 << 20, []baggage.MemoryOption{baggage.WithMaxValues(7)}, 7},
		"by the bytes":   {64 << 20, nil, 1 << 16},
		"a small cache":  {1 << 20, nil, 1024},
		"no room at all": {64 << 20, []baggage.MemoryOption{baggage.WithMaxValues(0)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			clock := &handClock{time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
			cache, ctx := baggage.NewMemoryCache(c.maxBytes, 10, clock.Now, c.options...), context.Background()
			for round := range 2 { // the second shows that what has ended doesn't count
				key := func(i int) string { return fmt.Sprint(round, "-", i) }
				for i := range c.want {
					if err := cache.Put(ctx, key(i), nil, time.Minute); err != nil {
						t.Fatalf("value %d: %v", i, err)
					}
				}
				if err := cache.Put(ctx, key(c.want), nil, time.Minute); !errors.Is(err, kest.ErrFull) {
					t.Errorf("one more: %v", err)
				}
				for i := range c.want {
					wantValue(t, cache, key(i), "")
				}
				clock.now = clock.now.Add(time.Minute)
			}
		})
	}
}

// Values end each at its own time, in whatever order they came, and a full cache
// takes as many as have ended.
func TestCacheDropsInTheOrderOfTheirEnd(t *testing.T) {
	clock := &handClock{time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	c, ctx := baggage.NewMemoryCache(1<<20, 10, clock.Now, baggage.WithMaxValues(100)), context.Background()
	for i := range 100 {
		if err := c.Put(ctx, fmt.Sprint(i), []byte("v"), time.Duration(1+i*37%100)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for second := 1; second <= 100; second++ {
		clock.now = clock.now.Add(time.Second)
		key := fmt.Sprint("new", second)
		if err := c.Put(ctx, key, []byte("v"), time.Hour); err != nil {
			t.Fatalf("after %d s: %v", second, err)
		}
		if err := c.Put(ctx, key+"!", []byte("v"), time.Hour); !errors.Is(err, kest.ErrFull) {
			t.Fatalf("a second one after %d s: %v", second, err)
		}
		for i := range 100 {
			_, err := c.Get(ctx, fmt.Sprint(i))
			if over := 1+i*37%100 <= second; over != errors.Is(err, kest.ErrNotFound) {
				t.Fatalf("value %d after %d s: %v", i, second, err)
			}
		}
	}
}

// What a full cache costs who wants to put something: it doesn't grow with what
// lives in it.
func BenchmarkPutIntoFullCache(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 16} {
		b.Run(fmt.Sprint(n, " values"), func(b *testing.B) {
			c, ctx := baggage.NewMemoryCache(64<<20, 10, nil, baggage.WithMaxValues(n)), context.Background()
			for i := range n {
				if err := c.Put(ctx, fmt.Sprint(i), nil, time.Hour); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Put(ctx, "full", nil, time.Hour); !errors.Is(err, kest.ErrFull) {
					b.Fatal(err)
				}
			}
		})
	}
}

// One value ends for each that comes: the cost of a claim at a steady rate.
func BenchmarkPutAtASteadyRate(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 16} {
		b.Run(fmt.Sprint(n, " values"), func(b *testing.B) {
			clock := &handClock{time.Now()}
			c, ctx := baggage.NewMemoryCache(64<<20, 10, clock.Now, baggage.WithMaxValues(n)), context.Background()
			put := func(i int) {
				clock.now = clock.now.Add(time.Millisecond)
				if err := c.Put(ctx, strconv.Itoa(i), nil, time.Duration(n)*time.Millisecond); err != nil {
					b.Fatal(err)
				}
			}
			for i := range n {
				put(i)
			}
			b.ReportAllocs()
			for i := n; b.Loop(); i++ {
				put(i)
			}
		})
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
