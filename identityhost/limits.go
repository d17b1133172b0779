package identityhost

import (
	"crypto/sha256"
	"sync"
	"time"
)

// bucket limits a rate: it holds twice what flows in within a second.
type bucket struct {
	perSecond int

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func newBucket(perSecond int) *bucket {
	return &bucket{perSecond: perSecond, tokens: float64(2 * perSecond)}
}

// take takes a token, or says that there is none.
func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.last); !b.last.IsZero() && passed > 0 {
		b.tokens = min(float64(2*b.perSecond), b.tokens+passed.Seconds()*float64(b.perSecond))
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// replayWindow is how long after its use a proof could be fresh still.
const replayWindow = proofAge + proofSkew + time.Second

// maxReplays bounds each of the two generations.
const maxReplays = 1 << 16

// replays remembers the proofs that were used, in two generations, so that each
// is known for replayWindow at least. What doesn't fit is refused: a live one
// is never forgotten.
type replays struct {
	mu       sync.Mutex
	new, old map[[sha256.Size]byte]struct{}
	since    time.Time // when the new generation began
}

// seen reports whether a proof was used.
func (r *replays) seen(id [sha256.Size]byte, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	return r.has(id)
}

// use notes a proof; it was used before, or there is no room.
func (r *replays) use(id [sha256.Size]byte, now time.Time) (used, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if r.has(id) {
		return true, false
	}
	if len(r.new) >= maxReplays {
		return false, true
	}
	r.new[id] = struct{}{}
	return false, false
}

func (r *replays) has(id [sha256.Size]byte) bool {
	_, young := r.new[id]
	_, old := r.old[id]
	return young || old
}

// turn begins a new generation when the one before has lasted.
func (r *replays) turn(now time.Time) {
	if r.new != nil && now.Sub(r.since) < replayWindow {
		return
	}
	r.old = r.new
	if now.Sub(r.since) >= 2*replayWindow {
		r.old = nil
	}
	r.new, r.since = make(map[[sha256.Size]byte]struct{}), now
}
