package host

import (
	"net/http"
	"time"

	"kest.example/kest/plugin/proxywasm"
)

// judged finds the stream whose phase the given type names, if it is the one
// that is being judged.
func (i *instance) judged(t proxywasm.StreamType) *stream {
	s := i.stream()
	if s != nil && (t == proxywasm.RequestStream && s.phase == phaseRequest || t == proxywasm.ResponseStream && s.phase == phaseResponse) {
		return s
	}
	return nil
}

// fnContinueStream lets a paused stream go on once the callback is over.
//
//	stream type
//	BadArgument: no such type. Unimplemented: a TCP stream. A stream that isn't being judged: OK, no effect, as in Envoy.
func (i *instance) fnContinueStream(p params) proxywasm.Status {
	switch t := proxywasm.StreamType(p[0]); t {
	case proxywasm.RequestStream, proxywasm.ResponseStream:
		if s := i.judged(t); s != nil {
			s.continued = true
			i.changed = append(i.changed, s)
		}
		return proxywasm.OK
	case proxywasm.DownstreamStream, proxywasm.UpstreamStream:
		return proxywasm.Unimplemented
	}
	return proxywasm.BadArgument
}

// fnCloseStream refuses a stream: the client gets 503.
//
//	stream type
//	BadArgument: no such type. Unimplemented: a TCP stream.
func (i *instance) fnCloseStream(p params) proxywasm.Status {
	switch t := proxywasm.StreamType(p[0]); t {
	case proxywasm.RequestStream, proxywasm.ResponseStream:
		if s := i.judged(t); s != nil {
			s.closed = true
			i.changed = append(i.changed, s)
		}
		return proxywasm.OK
	case proxywasm.DownstreamStream, proxywasm.UpstreamStream:
		return proxywasm.Unimplemented
	}
	return proxywasm.BadArgument
}

// fnSendLocalResponse answers the request instead of the upstream. The first
// answer counts; it beats whatever action the callback returns.
//
//	status, details address, size, body address, size, headers address, size, gRPC status
//	BadArgument: no request, or its response has begun; a status outside 200 to 599; malformed headers
func (i *instance) fnSendLocalResponse(p params) proxywasm.Status {
	s := i.stream()
	status := p[0]
	if s == nil || s.phase == phaseNone || status < http.StatusOK || status > 599 {
		return proxywasm.BadArgument
	}
	details, ok := i.readString(p[1], p[2])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	body, ok := i.read(p[3], p[4])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	headers, st := i.readPairs(p[5], p[6])
	if st != proxywasm.OK {
		return st
	}
	if s.local == nil {
		s.local = &localResponse{status: int(status), details: details, headers: headers, body: body, grpc: int32(p[7])} //nolint:gosec // -1 by the ABI
		i.changed = append(i.changed, s)
	}
	return proxywasm.OK
}

// fnGetStatus tells the status of a gRPC callout: 0 and no message, as there are none.
//
//	status address (out), message address (out), message size address (out)
func (i *instance) fnGetStatus(p params) proxywasm.Status {
	if s := i.writeUint32(p[0], 0); s != proxywasm.OK {
		return s
	}
	return i.giveBytes(nil, p[1], p[2])
}

// fnHTTPCall sends a request to a cluster. The answer comes by
// proxy_on_http_call_response, in this instance.
//
//	cluster address, size, headers address, size, body address, size, trailers address, size, milliseconds, id address (out)
//	BadArgument: unknown cluster; malformed headers, or without :method, :path and :authority; trailers; no time
//	InternalFailure: maxCallouts are under way
func (i *instance) fnHTTPCall(p params) proxywasm.Status {
	cluster, ok := i.readString(p[0], p[1])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	body, ok := i.read(p[4], p[5])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	headers, s := i.readPairs(p[2], p[3])
	if s != proxywasm.OK {
		return s
	}
	trailers, s := i.readPairs(p[6], p[7])
	if s != proxywasm.OK {
		return s
	}
	timeout := time.Duration(p[8]) * time.Millisecond
	t := i.filter.clusters[cluster]
	if t == nil || len(trailers) > 0 || timeout == 0 {
		return proxywasm.BadArgument
	}
	if s := i.writeUint32(p[9], 0); s != proxywasm.OK { // before anything is sent
		return s
	}
	id, s := i.startCallout(t, headers, body, timeout)
	if s != proxywasm.OK {
		return s
	}
	return i.writeUint32(p[9], id)
}
