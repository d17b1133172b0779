package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"kest.example/kest/internal/deflate"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/plugin/proxywasm"
)

// randomFunction is the foreign function that serves WithRandom.
const randomFunction = "kest.random"

const maxRandom = 64 << 10

// fnCallForeignFunction calls a function of the host's by name.
//
//	name address, size, argument address, size, data address (out), size address (out)
//	NotFound: no such function. Else the function's own status; with another than OK nothing is returned.
//	An out address of 0 is a guest that doesn't want the result.
func (i *instance) fnCallForeignFunction(p params) proxywasm.Status {
	name, ok := i.readString(p[0], p[1])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	argument, ok := i.read(p[2], p[3])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	result, s := i.foreign(name, argument)
	if s != proxywasm.OK || p[4] == 0 || p[5] == 0 {
		return s
	}
	return i.giveBytes(result, p[4], p[5])
}

func (i *instance) foreign(name string, argument []byte) ([]byte, proxywasm.Status) {
	s := i.stream()
	if f, ok := i.filter.functions[name]; ok {
		ctx, cancel := i.functionContext(s)
		defer cancel()
		return f(ctx, argument)
	}
	switch {
	case name == randomFunction && i.filter.random != nil:
		return i.filter.fixedRandom(argument)
	case name == hostcall.KeepSession:
		return i.filter.keepSession(argument), proxywasm.OK
	case name == hostcall.PolicyInfo:
		return i.filter.policyInfo()
	case name == hostcall.PolicyEval:
		return i.filter.policyEval(argument)
	case name == proxywasm.Compress:
		return compress(argument)
	case name == proxywasm.SetFilterState && s != nil:
		return nil, s.setFilterState(argument)
	case name == proxywasm.SetFilterState:
		return nil, proxywasm.BadArgument
	}
	return nil, proxywasm.NotFound
}

// keepSession keeps for a filter's instances what one of them says, and tells
// it those who say nothing. It is a private key: it stays in this memory.
func (f *Filter) keepSession(argument []byte) []byte {
	f.sessionMu.Lock()
	defer f.sessionMu.Unlock()
	if len(argument) == 0 {
		return f.session
	}
	if f.session = nil; len(argument) <= maxSession {
		f.session = bytes.Clone(argument)
	}
	return nil
}

// maxSession is more than a key and the longest binding that agents give.
const maxSession = 64 << 10

// compress makes a zlib stream (RFC 1950), as Envoy's function of that name does.
func compress(text []byte) ([]byte, proxywasm.Status) {
	stream, err := deflate.Zlib(text)
	if err != nil {
		return nil, proxywasm.SerializationFailure
	}
	return stream, proxywasm.OK
}

// functionContext is the phase's context while there is one.
func (i *instance) functionContext(s *stream) (context.Context, context.CancelFunc) {
	if s == nil {
		return context.WithTimeout(i.filter.ctx, i.filter.deadline)
	}
	if s.phase != phaseNone {
		return s.ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(s.r.Context()), i.filter.deadline)
}

// fixedRandom serves kest.random: a count (uint32, little-endian) in, as many bytes out.
func (f *Filter) fixedRandom(argument []byte) ([]byte, proxywasm.Status) {
	if len(argument) != 4 {
		return nil, proxywasm.BadArgument
	}
	n := binary.LittleEndian.Uint32(argument)
	if n > maxRandom {
		return nil, proxywasm.BadArgument
	}
	b := make([]byte, n)
	f.randomMu.Lock()
	defer f.randomMu.Unlock()
	if _, err := io.ReadFull(f.random, b); err != nil {
		return nil, proxywasm.InternalFailure
	}
	return b, proxywasm.OK
}
