package host

import (
	"context"
	"time"

	"kest.example/kest/plugin/proxywasm"
)

// The specification of all functions in fn_*.go is
// https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1, one
// section for each.

// fnLog logs a message.
//
//	level, message address, message size
//	BadArgument: no such level. Longer messages than maxMessage are cut.
func (i *instance) fnLog(p params) proxywasm.Status {
	level, ok := logLevels[proxywasm.LogLevel(p[0])]
	if !ok {
		return proxywasm.BadArgument
	}
	message, ok := i.readString(p[1], min(p[2], maxMessage))
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	i.logGuest(level, message)
	return proxywasm.OK
}

// fnGetLogLevel tells the lowest level that the logger takes.
//
//	level address (out)
func (i *instance) fnGetLogLevel(p params) proxywasm.Status {
	for level := proxywasm.LogTrace; level < proxywasm.LogCritical; level++ {
		if i.filter.logger.Enabled(context.Background(), logLevels[level]) {
			return i.writeUint32(p[0], uint32(level))
		}
	}
	return i.writeUint32(p[0], uint32(proxywasm.LogCritical))
}

// fnGetCurrentTime tells the wall clock in nanoseconds; WASI tells the same.
//
//	time address (out, 64 bits)
func (i *instance) fnGetCurrentTime(p params) proxywasm.Status {
	now := time.Now()
	if i.filter.clock != nil {
		now = i.filter.clock()
	}
	if !i.memory.WriteUint64Le(p[0], uint64(now.UnixNano())) {
		return proxywasm.InvalidMemoryAccess
	}
	return proxywasm.OK
}

// fnSetTickPeriod has proxy_on_tick called in this instance.
//
//	period in milliseconds; 0 stops
func (i *instance) fnSetTickPeriod(p params) proxywasm.Status {
	i.setTickPeriod(time.Duration(p[0]) * time.Millisecond)
	return proxywasm.OK
}

// fnDone ends a context whose proxy_on_done answered false.
//
//	NotFound: the context waits for no such thing.
func (i *instance) fnDone(params) proxywasm.Status {
	s := i.stream()
	if s == nil || !s.ending {
		return proxywasm.NotFound
	}
	s.ending = false
	i.filter.pool.later(i.slot, s.remove) // not in the middle of a callback
	return proxywasm.OK
}

// fnSetEffectiveContext directs what follows in this callback.
//
//	context id
//	BadArgument: no such context, as after the client has gone.
func (i *instance) fnSetEffectiveContext(p params) proxywasm.Status {
	id := p[0]
	if id != rootContext && i.streams[id] == nil {
		return proxywasm.BadArgument
	}
	i.effective = id
	return proxywasm.OK
}
