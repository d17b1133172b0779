package keys

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"kest.example/kest"
)

// verified is a key that something vouches for.
type verified struct {
	key      kest.Key
	audience bool // by an audience-bound token, form (b)

	// current reports whether those who vouched stand as they did: then nothing
	// need be verified again. An error says that it can't tell.
	current func(ctx context.Context) (bool, error)
}

// remember returns what was verified under an id, or verifies it now. What is
// remembered is that signatures and chains hold: who vouches is asked each time.
func (v *Verifier) remember(ctx context.Context, id cacheID, verify func() (*verified, error)) (*verified, error) {
	if found := v.cache.get(id); found != nil {
		current, err := found.current(ctx)
		if err != nil {
			return nil, err
		}
		if current {
			return found, nil
		}
	}
	found, err := verify()
	if err != nil {
		return nil, err
	}
	v.cache.put(id, found)
	return found, nil
}

// cacheID covers everything that a verification was given.
type cacheID [sha256.Size]byte

func bindingID(principal, compact string, jwk kest.PublicKey) cacheID {
	beside := ""
	if !jwk.IsZero() {
		beside = jwk.JWK()
	}
	return idOf("binding", principal, compact, beside)
}

func chainID(principal string, x5c []string) cacheID {
	return idOf(append([]string{"x5c", principal}, x5c...)...)
}

// idOf hashes each part behind its length, so that no two lists run together.
func idOf(parts ...string) cacheID {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return cacheID(h.Sum(nil))
}

// cache is bounded and forgets the half that was used least recently.
type cache struct {
	mu          sync.Mutex
	half        int
	young, aged map[cacheID]*verified
}

func newCache(entries int) *cache {
	return &cache{half: (entries + 1) / 2, young: make(map[cacheID]*verified)}
}

// get returns nil where there is nothing.
func (c *cache) get(id cacheID) *verified {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.young[id]; ok {
		return found
	}
	found, ok := c.aged[id]
	if ok {
		c.store(id, found)
	}
	return found
}

func (c *cache) put(id cacheID, found *verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(id, found)
}

func (c *cache) store(id cacheID, found *verified) {
	if c.half <= 0 {
		return
	}
	if _, there := c.young[id]; !there && len(c.young) >= c.half {
		c.aged, c.young = c.young, make(map[cacheID]*verified, c.half)
	}
	c.young[id] = found
}
