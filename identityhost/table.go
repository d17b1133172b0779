package identityhost

import (
	"sync"
	"time"
)

// table holds the bindings that this agent made or found again, until their
// grace is over.
type table struct {
	mu      sync.Mutex
	records map[string]*record // by key id
}

func (t *table) get(keyID string, now time.Time, grace time.Duration) *record {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.records[keyID]
	if r == nil || r.over(now, grace) {
		return nil
	}
	return r
}

// room reports whether a key's binding would fit.
func (t *table) room(keyID string, limit int, now time.Time, grace time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fits(keyID, limit, now, grace)
}

// keep takes a binding in place of the stale one, which may be nil. Where the
// key has another one by now, that stays. It returns the one that is kept, or
// nil where none fits.
func (t *table) keep(r, stale *record, limit int, now time.Time, grace time.Duration) *record {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.fits(r.keyID, limit, now, grace) {
		return nil
	}
	if there := t.records[r.keyID]; there != nil && there != stale && !there.over(now, grace) {
		return there
	}
	if t.records == nil {
		t.records = make(map[string]*record)
	}
	t.records[r.keyID] = r
	return r
}

func (t *table) fits(keyID string, limit int, now time.Time, grace time.Duration) bool {
	if _, there := t.records[keyID]; there || len(t.records) < limit {
		return true
	}
	t.sweep(now, grace)
	return len(t.records) < limit
}

func (t *table) sweep(now time.Time, grace time.Duration) {
	for id, r := range t.records {
		if r.over(now, grace) {
			delete(t.records, id)
		}
	}
}

// shared notes that a binding is in the cache. Records are never changed: others
// read them.
func (t *table) shared(r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.records[r.keyID] == r && r.unshared {
		known := *r
		known.unshared = false
		t.records[r.keyID] = &known
	}
}

// live returns the bindings that hold now.
func (t *table) live(now time.Time, grace time.Duration) []*record {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now, grace)
	list := make([]*record, 0, len(t.records))
	for _, r := range t.records {
		if now.Before(r.notAfter) {
			list = append(list, r)
		}
	}
	return list
}
