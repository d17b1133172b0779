package kest

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// DecisionCache remembers an engine's decisions for a while. Its key covers the
// policy's name, its digest where the engine knows it, and the whole context,
// so that only the very same question finds an answer. Errors are not
// remembered. It is safe for concurrent use.
type DecisionCache struct {
	engine Engine
	ttl    time.Duration
	max    int
	now    func() time.Time

	mu    sync.Mutex
	by    map[[sha256.Size]byte]*list.Element
	order *list.List // of *cachedDecision, the oldest first: all live equally long
	epoch int        // of Invalidate: what was asked before is not put in after
}

type cachedDecision struct {
	key      [sha256.Size]byte
	decision Decision
	until    time.Time
}

// CacheDecisions keeps up to most decisions for a time each. Without it every
// policy is asked anew, which is the default (CONTRACT 6).
func CacheDecisions(e Engine, ttl time.Duration, most int) (*DecisionCache, error) {
	if e == nil || ttl <= 0 || most < 1 {
		return nil, configurationError("a decision cache needs an engine, a time to live and room for one")
	}
	return &DecisionCache{
		engine: e, ttl: ttl, max: most, now: time.Now,
		by: make(map[[sha256.Size]byte]*list.Element), order: list.New(),
	}, nil
}

// Evaluate implements Engine.
func (d *DecisionCache) Evaluate(ctx context.Context, policy string, c *Context) (Decision, error) {
	key := d.key(policy, c)
	decision, epoch, found := d.get(key)
	if found {
		return decision, nil
	}
	decision, err := d.engine.Evaluate(ctx, policy, c)
	if err == nil {
		d.put(key, decision, epoch)
	}
	return decision, err
}

// Invalidate forgets all decisions, those that are being asked for as well.
func (d *DecisionCache) Invalidate() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	clear(d.by)
	d.order.Init()
}

// Digest implements PolicyDigester.
func (d *DecisionCache) Digest(policy string) (digest string, known bool) {
	if p, ok := d.engine.(PolicyDigester); ok {
		return p.Digest(policy)
	}
	return "", false
}

// Remote implements RemoteEngine.
func (d *DecisionCache) Remote(policy string) bool {
	r, ok := d.engine.(RemoteEngine)
	return ok && r.Remote(policy)
}

// Timeout implements PatientEngine.
func (d *DecisionCache) Timeout(policy string) time.Duration { return timeoutIn(d.engine, policy) }

func (d *DecisionCache) key(policy string, c *Context) [sha256.Size]byte {
	digest, _ := d.Digest(policy)
	var b []byte
	for _, part := range [...]string{policy, digest} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // a name and a digest
		b = append(b, part...)
	}
	return sha256.Sum256(append(b, c.JSON()...))
}

func (d *DecisionCache) get(key [sha256.Size]byte) (decision Decision, epoch int, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.by[key]; e != nil {
		if kept, _ := e.Value.(*cachedDecision); d.now().Before(kept.until) {
			return kept.decision, d.epoch, true
		}
	}
	return Decision{}, d.epoch, false
}

func (d *DecisionCache) put(key [sha256.Size]byte, decision Decision, epoch int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if epoch != d.epoch {
		return
	}
	now := d.now()
	if e := d.by[key]; e != nil {
		d.remove(e)
	}
	for e := d.order.Front(); e != nil; e = d.order.Front() {
		kept, _ := e.Value.(*cachedDecision)
		if d.order.Len() < d.max && now.Before(kept.until) {
			break
		}
		d.remove(e)
	}
	d.by[key] = d.order.PushBack(&cachedDecision{key, decision, now.Add(d.ttl)})
}

func (d *DecisionCache) remove(e *list.Element) {
	kept, _ := d.order.Remove(e).(*cachedDecision)
	delete(d.by, kept.key)
}
