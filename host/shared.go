package host

import (
	"bytes"
	"sync"

	"kest.example/kest/plugin/proxywasm"
)

// Bounds of a SharedData.
const (
	maxSharedKeys  = 1 << 16
	maxSharedBytes = 64 << 20
)

// SharedData is a table that the instances of one or more filters share
// (proxy_get_shared_data, proxy_set_shared_data). It is bounded in number and
// bytes and safe for concurrent use.
type SharedData struct {
	mu      sync.Mutex
	entries map[string]sharedEntry
	bytes   int
	last    uint32
}

type sharedEntry struct {
	value []byte
	cas   uint32
}

// NewSharedData returns an empty table.
func NewSharedData() *SharedData { return &SharedData{entries: make(map[string]sharedEntry)} }

func (t *SharedData) get(key string) ([]byte, uint32, proxywasm.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[key]
	if !ok {
		return nil, 0, proxywasm.NotFound
	}
	return e.value, e.cas, proxywasm.OK
}

// set stores a copy of value. A cas that is not 0 must be the stored one.
func (t *SharedData) set(key string, value []byte, cas uint32) proxywasm.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, ok := t.entries[key]
	if cas != 0 && cas != old.cas {
		return proxywasm.CASMismatch
	}
	size := t.bytes + len(value) - len(old.value)
	if !ok {
		size += len(key)
	}
	if size > maxSharedBytes || !ok && len(t.entries) >= maxSharedKeys {
		return proxywasm.InternalFailure
	}
	if t.last++; t.last == 0 { // 0 means "whatever is there"
		t.last = 1
	}
	t.bytes = size
	t.entries[key] = sharedEntry{bytes.Clone(value), t.last}
	return proxywasm.OK
}
