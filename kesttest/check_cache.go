package kesttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
)

// shortTTL is long enough for stores that count in seconds.
const shortTTL = time.Second

// TestCache checks what Kest relies on in a kest.Cache: claims are create-only
// (also under concurrent use), come back as they were put, byte for byte, are
// the cache's own copy, and end with their time. It waits for one claim to end, a
// second or a little more. The caches that newCache makes may share a store:
// keys are random. They must have room for 1 MiB.
func TestCache(t testing.TB, newCache func() kest.Cache) {
	t.Helper()
	c := cacheCheck{t, newCache()}
	c.missing()
	c.createOnly()
	c.anyBytes()
	c.ownCopy()
	c.concurrent()
	c.expires()
}

type cacheCheck struct {
	t testing.TB
	kest.Cache
}

// key is one that nobody has used, of the form that Kest uses.
func key() string { return kest.ClaimKey("kesttest-" + rand.Text()) }

func (c cacheCheck) put(key string, value []byte) {
	c.t.Helper()
	if err := c.Put(context.Background(), key, value, time.Minute); err != nil {
		c.t.Fatalf("Put of %d bytes under a new key: %v", len(value), err)
	}
}

func (c cacheCheck) want(key string, value []byte, when string) {
	c.t.Helper()
	got, err := c.Get(context.Background(), key)
	if err != nil {
		c.t.Errorf("Get %s: %v", when, err)
	} else if !bytes.Equal(got, value) {
		c.t.Errorf("Get %s returned %d other bytes than the %d that were put", when, len(got), len(value))
	}
}

func (c cacheCheck) missing() {
	c.t.Helper()
	value, err := c.Get(context.Background(), key())
	if !errors.Is(err, kest.ErrNotFound) {
		c.t.Errorf("Get of a key that was never put: the error is %v, not kest.ErrNotFound: the request would be refused with 503 instead of 403", err)
	}
	if len(value) > 0 {
		c.t.Errorf("Get of a key that was never put returned %d bytes", len(value))
	}
}

func (c cacheCheck) createOnly() {
	c.t.Helper()
	k, other := key(), key()
	c.put(k, []byte("first"))
	for _, value := range []string{"second", "first"} {
		if err := c.Put(context.Background(), k, []byte(value), time.Minute); !errors.Is(err, kest.ErrExists) {
			c.t.Errorf("Put of %q under a key that is taken by \"first\": the error is %v, not kest.ErrExists", value, err)
		}
	}
	c.want(k, []byte("first"), "after a second Put under the same key")
	if _, err := c.Get(context.Background(), other); !errors.Is(err, kest.ErrNotFound) {
		c.t.Errorf("Get of another key: %v, not kest.ErrNotFound", err)
	}
}

func (c cacheCheck) anyBytes() {
	c.t.Helper()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, value := range [][]byte{all, bytes.Repeat([]byte("passport"), 16<<10), []byte("\xff\xfe\x00")} {
		k := key()
		c.put(k, value)
		c.want(k, value, "after Put")
		c.want(k, value, "a second time")
	}
}

func (c cacheCheck) ownCopy() {
	c.t.Helper()
	k, value := key(), []byte("as it was put")
	c.put(k, value)
	value[0] = 'X'
	c.want(k, []byte("as it was put"), "after the caller changed the slice that it had put")
	if got, err := c.Get(context.Background(), k); err == nil && len(got) > 0 {
		got[0] = 'X'
	}
	c.want(k, []byte("as it was put"), "after a caller changed the slice that it had got")
}

// concurrent has many callers take one key: exactly one wins.
func (c cacheCheck) concurrent() {
	c.t.Helper()
	const callers = 16
	k, errs, winner := key(), make([]error, callers), -1
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			errs[i] = c.Put(context.Background(), k, []byte(strconv.Itoa(i)), time.Minute)
			_, _ = c.Get(context.Background(), k)
			_ = c.Put(context.Background(), key(), []byte(strconv.Itoa(i)), time.Minute)
		})
	}
	wait.Wait()
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			c.t.Errorf("two concurrent Puts under one key succeeded")
		case err == nil:
			winner = i
		case !errors.Is(err, kest.ErrExists):
			c.t.Errorf("a concurrent Put under a key that another took: %v, not kest.ErrExists", err)
		}
	}
	if winner < 0 {
		c.t.Errorf("none of %d concurrent Puts under one key succeeded", callers)
		return
	}
	c.want(k, []byte(strconv.Itoa(winner)), "after concurrent Puts, of which one succeeded")
}

func (c cacheCheck) expires() {
	c.t.Helper()
	k := key()
	if err := c.Put(context.Background(), k, []byte("short"), shortTTL); err != nil {
		c.t.Fatalf("Put for %v: %v", shortTTL, err)
	}
	for end := time.Now().Add(3 * shortTTL); ; time.Sleep(shortTTL / 20) {
		_, err := c.Get(context.Background(), k)
		if errors.Is(err, kest.ErrNotFound) {
			break
		}
		if err != nil || time.Now().After(end) {
			c.t.Errorf("Get after the end of a value's time: %v, not kest.ErrNotFound", err)
			return
		}
	}
	c.put(k, []byte("again"))
	c.want(k, []byte("again"), "of a key that was free again")
}
