package host

import (
	"context"
	"encoding/binary"
	"sync"

	"kest.example/kest/plugin/proxywasm"
)

// Bounds of what a guest may publish for one request.
const (
	maxStateKeys  = 64
	maxStateBytes = 64 << 10
)

// State returns what the guest published for a request under a key: by
// proxy_set_property (a path of several elements has NUL between them), which
// Envoy keeps as filter state "wasm." + key, or by the foreign function
// set_envoy_filter_state, which Envoy has for a few well-known keys. ctx is the
// context of the request that next got. With several filters the innermost wins.
func State(ctx context.Context, key string) (string, bool) {
	f, _ := ctx.Value(stateKey{}).(*filterState)
	for ; f != nil; f = f.outer {
		if value, ok := f.get(key); ok {
			return value, true
		}
	}
	return "", false
}

type stateKey struct{}

type filterState struct {
	outer  *filterState
	mu     sync.Mutex
	values map[string]string
}

func newFilterState(ctx context.Context) *filterState {
	outer, _ := ctx.Value(stateKey{}).(*filterState)
	return &filterState{outer: outer}
}

func (f *filterState) get(key string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, ok := f.values[key]
	return value, ok
}

func (f *filterState) set(key, value string) proxywasm.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.values[key]; !ok && len(f.values) >= maxStateKeys || len(key)+len(value) > maxStateBytes {
		return proxywasm.BadArgument
	}
	if f.values == nil {
		f.values = make(map[string]string)
	}
	f.values[key] = value
	return proxywasm.OK
}

// setFilterState serves set_envoy_filter_state: a protobuf message of path (1,
// string), value (2, string) and span (3, enum; it has no meaning here, where
// there is one filter and one request). Nothing is returned.
func (s *stream) setFilterState(argument []byte) proxywasm.Status {
	var fields [3]string
	for len(argument) > 0 {
		tag, n := binary.Uvarint(argument)
		if n <= 0 {
			return proxywasm.BadArgument
		}
		argument = argument[n:]
		v, n := binary.Uvarint(argument)
		if n <= 0 {
			return proxywasm.BadArgument
		}
		argument = argument[n:]
		switch tag {
		case 1<<3 | 2, 2<<3 | 2:
			if v > uint64(len(argument)) {
				return proxywasm.BadArgument
			}
			fields[tag>>3] = string(argument[:v])
			argument = argument[v:]
		case 3 << 3: // span
		default:
			return proxywasm.BadArgument
		}
	}
	if fields[1] == "" {
		return proxywasm.BadArgument
	}
	return s.state.set(fields[1], fields[2])
}
