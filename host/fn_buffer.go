package host

import "kest.example/kest/plugin/proxywasm"

// buffer finds a buffer. Bodies of requests and responses are not among them:
// they pass by the guest.
func (i *instance) buffer(t proxywasm.BufferType) ([]byte, proxywasm.Status) {
	switch {
	case t > proxywasm.ForeignArguments:
		return nil, proxywasm.BadArgument
	case t == proxywasm.VMConfiguration:
		return nil, proxywasm.OK
	case t == proxywasm.PluginConfiguration:
		return i.filter.configuration, proxywasm.OK
	case t == proxywasm.HTTPCallResponseBody && i.answer != nil:
		return i.answer.body, proxywasm.OK
	}
	return nil, proxywasm.NotFound
}

// fnGetBufferBytes reads from a buffer.
//
//	buffer, start, most bytes, data address (out), size address (out)
//	BadArgument: no such buffer, or start lies behind its end. A buffer that ends early gives less.
func (i *instance) fnGetBufferBytes(p params) proxywasm.Status {
	b, s := i.buffer(proxywasm.BufferType(p[0]))
	if s != proxywasm.OK {
		return s
	}
	start, most := uint64(p[1]), uint64(p[2])
	if start > uint64(len(b)) {
		return proxywasm.BadArgument
	}
	b = b[start:]
	return i.giveBytes(b[:min(most, uint64(len(b)))], p[3], p[4])
}

// fnGetBufferStatus tells a buffer's size.
//
//	buffer, size address (out), an unused address (out, 0)
func (i *instance) fnGetBufferStatus(p params) proxywasm.Status {
	b, s := i.buffer(proxywasm.BufferType(p[0]))
	if s != proxywasm.OK {
		return s
	}
	if s := i.writeUint32(p[1], uint32(len(b))); s != proxywasm.OK { //nolint:gosec // buffers are bounded
		return s
	}
	return i.writeUint32(p[2], 0)
}
