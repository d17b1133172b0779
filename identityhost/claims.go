package identityhost

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/uuid7"
)

// The limits of a claim.
const (
	MaxClaim    = 1 << 20 // bytes
	MinClaimTTL = time.Second
	MaxClaimTTL = time.Hour
)

// claimOverhead is what a claim costs a store besides its bytes.
const claimOverhead = 128

// maxClaimEntries is far more than any verifier takes (CONTRACT 3.1).
const maxClaimEntries = 4096

// ClaimPut stores a passport under a UUID v4 that nobody has used (PUT
// /v1/claims/{uuid}); ttl 0 is kest.ClaimTTL. Statuses: 400 no UUID v4, no
// passport in wire form, or a ttl out of range; 409 the UUID is taken; 413;
// 507 no room; 503 the cache can't be reached.
func (a *Agent) ClaimPut(ctx context.Context, id string, ttl time.Duration, body []byte) error {
	if ttl == 0 {
		ttl = kest.ClaimTTL
	}
	if err := checkClaim(id, ttl, body); err != nil {
		return err
	}
	size := int64(len(kest.ClaimKey(id)) + len(body) + claimOverhead)
	until, ok := a.claims.reserve(size, a.maxClaims, a.now(), ttl)
	if !ok {
		return errClaimsFull
	}
	err := a.cache.Put(ctx, kest.ClaimKey(id), body, ttl)
	if err == nil {
		return nil
	}
	a.claims.release(size, until, a.now())
	switch {
	case errors.Is(err, kest.ErrExists):
		return refused(http.StatusConflict, "the UUID is taken", nil)
	case errors.Is(err, kest.ErrFull):
		return errClaimsFull
	}
	return unavailable("the cache can't be reached", err)
}

var errClaimsFull = refused(http.StatusInsufficientStorage, "there is no room for the claim", nil)

func checkClaim(id string, ttl time.Duration, body []byte) error {
	if err := checkClaimID(id, ttl); err != nil {
		return err
	}
	if len(body) > MaxClaim {
		return refused(http.StatusRequestEntityTooLarge, "the claim is longer than 1 MiB", nil)
	}
	if _, err := kest.ParsePassportWithin(string(body), maxClaimEntries); err != nil {
		return malformed("the body is no passport in wire form", err)
	}
	return nil
}

func checkClaimID(id string, ttl time.Duration) error {
	if !uuid7.ValidV4(id) {
		return malformed("the claim's name is no UUID v4", nil)
	}
	if ttl < MinClaimTTL || ttl > MaxClaimTTL {
		return malformed("the ttl is not between 1 and 3600 seconds", nil)
	}
	return nil
}

// ClaimGet returns a claim's bytes as they were put (GET /v1/claims/{uuid}).
// They are input from outside. Statuses: 400 no UUID v4; 404 unknown; 503 the
// cache can't be reached.
func (a *Agent) ClaimGet(ctx context.Context, id string) ([]byte, error) {
	if err := checkClaimID(id, MinClaimTTL); err != nil {
		return nil, err
	}
	body, err := a.cache.Get(ctx, kest.ClaimKey(id))
	switch {
	case errors.Is(err, kest.ErrNotFound):
		return nil, refused(http.StatusNotFound, "no such claim", nil)
	case err != nil:
		return nil, unavailable("the cache can't be reached", err)
	case len(body) > MaxClaim:
		return nil, unavailable("the cache holds something that is no claim", nil)
	}
	return body, nil
}

// claimMeter counts the live claims that were put through an agent, by the
// second in which they end. Its size is fixed.
type claimMeter struct {
	mu    sync.Mutex
	slots [claimSlots]struct{ count, bytes int64 }
	at    int64 // the second up to which slots are counted off

	count, bytes int64
}

// minClaims is how many small claims are taken at least, however few bytes.
const minClaims = 1024

// claimSlots is more seconds than a claim can live.
const claimSlots = 4096

// reserve counts a claim in; false where it would be more than limit bytes, or
// more claims than small ones may be.
func (m *claimMeter) reserve(size, limit int64, now time.Time, ttl time.Duration) (until int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	if m.bytes+size > limit || m.count >= max(limit>>10, minClaims) {
		return 0, false
	}
	until = m.at + int64((ttl+time.Second-1)/time.Second) + 1
	m.change(until, 1, size)
	return until, true
}

// release counts a claim off again that couldn't be stored.
func (m *claimMeter) release(size, until int64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.turn(now); until > m.at {
		m.change(until, -1, -size)
	}
}

func (m *claimMeter) change(until, count, size int64) {
	slot := &m.slots[until%claimSlots]
	slot.count, slot.bytes = slot.count+count, slot.bytes+size
	m.count, m.bytes = m.count+count, m.bytes+size
}

// turn counts off what has ended; a clock that goes back changes nothing.
func (m *claimMeter) turn(now time.Time) {
	second := now.Unix()
	if second-m.at > claimSlots {
		m.at = second - claimSlots
	}
	for ; m.at < second; m.at++ {
		slot := &m.slots[(m.at+1)%claimSlots]
		m.count, m.bytes = m.count-slot.count, m.bytes-slot.bytes
		slot.count, slot.bytes = 0, 0
	}
}

// live returns how many claims live, and their bytes.
func (m *claimMeter) live(now time.Time) (count, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	return m.count, m.bytes
}
