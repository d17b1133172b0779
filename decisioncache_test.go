package kest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/kesttest"
)

func TestDecisionCache(t *testing.T) {
	asked := 0
	failure := error(nil)
	engine := kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) {
		asked++
		return kest.Decision{Allow: failure == nil}, failure
	})
	c, err := kest.CacheDecisions(engine, time.Hour, 2)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(policy string, about *kest.Context, wantAsked int) {
		t.Helper()
		if d, err := c.Evaluate(context.Background(), policy, about); d.Allow != (err == nil) || asked != wantAsked {
			t.Errorf("%v, %v, asked %d times, want %d", d, err, asked, wantAsked)
		}
	}
	one := kesttest.Context(t, "op")
	other := *one
	other.Subject.TrustScore++ // anything at all of the context
	ask("p", one, 1)
	ask("p", one, 1)
	ask("p", &other, 2)
	ask("q", one, 3) // pushes the oldest out
	ask("p", &other, 3)
	ask("p", one, 4)
	c.Invalidate()
	ask("p", one, 5)
	failure = errors.New("away")
	c.Invalidate()
	ask("p", one, 6)
	ask("p", one, 7) // no error is remembered
	failure = nil
	ask("p", one, 8)
}

func TestDecisionCacheExpires(t *testing.T) {
	asked := 0
	c, err := kest.CacheDecisions(kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) {
		asked++
		return kest.Decision{Allow: true}, nil
	}), time.Nanosecond, 1)
	if err != nil {
		t.Fatal(err)
	}
	about := kesttest.Context(t, "op")
	for range 2 {
		if _, err := c.Evaluate(context.Background(), "p", about); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	for _, ttl := range []time.Duration{0, -1} {
		if _, err := kest.CacheDecisions(kest.AllowAll(), ttl, 1); !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("a time to live of %s: %v", ttl, err)
		}
	}
}

// What was being asked when everything was forgotten is not remembered.
func TestDecisionCacheForgetsWhatIsUnderWay(t *testing.T) {
	var c *kest.DecisionCache
	asked := 0
	c, err := kest.CacheDecisions(kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) {
		if asked++; asked == 1 {
			c.Invalidate()
		}
		return kest.Decision{Allow: true}, nil
	}), time.Hour, 1)
	if err != nil {
		t.Fatal(err)
	}
	about := kesttest.Context(t, "op")
	for range 3 {
		if _, err := c.Evaluate(context.Background(), "p", about); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}
