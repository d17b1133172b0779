package proxywasm

import (
	"math"
	"time"
	"unsafe"
)

// GuestHost is the Host of a guest: the functions that the module imports.
type GuestHost struct{}

var _ Host = GuestHost{}

// returned is where the host's functions write. It has a fixed address, which a
// stack has not, and a host writes it only right before it returns.
var returned struct{ data, size, extra uint32 }

// collect makes what an import returned the guest's own, also after a failure,
// since a host may have allocated before it failed.
func collect(status uint32) ([]byte, Status) {
	data, size := returned.data, returned.size
	returned.data, returned.size = 0, 0
	b, s := take(data, size)
	if Status(status) != OK {
		return nil, Status(status)
	}
	return b, s
}

func pointer(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)) //nolint:gosec // memory ends at 4 GiB
}

// Log implements Host.
func (GuestHost) Log(level LogLevel, message string) { proxyLog(uint32(level), message) }

// Buffer implements Host.
func (GuestHost) Buffer(t BufferType, start, size int) ([]byte, Status) {
	if start < 0 || size < 0 || uint64(start)+uint64(size) > math.MaxUint32 {
		return nil, BadArgument
	}
	return collect(proxyGetBufferBytes(uint32(t), uint32(start), uint32(size), &returned.data, &returned.size)) //nolint:gosec // bounded above
}

// Pairs implements Host.
func (GuestHost) Pairs(m MapType) ([]Pair, Status) {
	b, s := collect(proxyGetHeaderMapPairs(uint32(m), &returned.data, &returned.size))
	if s != OK {
		return nil, s
	}
	pairs, err := parsePairs(b)
	if err != nil {
		return nil, ParseFailure
	}
	return pairs, OK
}

// ReplaceHeader implements Host.
func (GuestHost) ReplaceHeader(m MapType, name, value string) Status {
	return Status(proxyReplaceHeaderMapValue(uint32(m), name, value))
}

// AddHeader implements Host.
func (GuestHost) AddHeader(m MapType, name, value string) Status {
	return Status(proxyAddHeaderMapValue(uint32(m), name, value))
}

// RemoveHeader implements Host.
func (GuestHost) RemoveHeader(m MapType, name string) Status {
	return Status(proxyRemoveHeaderMapValue(uint32(m), name))
}

// SendLocalResponse implements Host.
func (GuestHost) SendLocalResponse(status int, details string, headers []Pair, body []byte, grpcStatus int32) Status {
	if status < 200 || status > 599 {
		return BadArgument
	}
	text, textSize := pointer(body)
	fields, fieldsSize := pointer(AppendPairs(nil, headers))
	return Status(proxySendLocalResponse(uint32(status), details, text, textSize, fields, fieldsSize, uint32(grpcStatus))) //nolint:gosec // -1 is 0xffffffff by the ABI
}

// ContinueStream implements Host.
func (GuestHost) ContinueStream(t StreamType) Status { return Status(proxyContinueStream(uint32(t))) }

// CallForeign implements Host.
func (GuestHost) CallForeign(name string, argument []byte) ([]byte, Status) {
	data, size := pointer(argument)
	return collect(proxyCallForeignFunction(name, data, size, &returned.data, &returned.size))
}

// HTTPCall implements Host.
func (GuestHost) HTTPCall(cluster string, headers []Pair, body []byte, timeout time.Duration) (uint32, Status) {
	limit := milliseconds(timeout)
	if limit == 0 {
		return 0, BadArgument
	}
	fields, fieldsSize := pointer(AppendPairs(nil, headers))
	text, textSize := pointer(body)
	returned.extra = 0
	s := Status(proxyHTTPCall(cluster, fields, fieldsSize, text, textSize, nil, 0, limit, &returned.extra))
	if s != OK {
		return 0, s
	}
	return returned.extra, OK
}

// Property implements Host.
func (GuestHost) Property(path ...string) ([]byte, Status) {
	joined := JoinPath(path...)
	if joined == "" {
		return nil, BadArgument
	}
	return collect(proxyGetProperty(joined, &returned.data, &returned.size))
}

// SetProperty implements Host.
func (GuestHost) SetProperty(path []string, value []byte) Status {
	joined := JoinPath(path...)
	if joined == "" {
		return BadArgument
	}
	data, size := pointer(value)
	return Status(proxySetProperty(joined, data, size))
}

// SharedData implements Host.
func (GuestHost) SharedData(key string) ([]byte, uint32, Status) {
	returned.extra = 0
	b, s := collect(proxyGetSharedData(key, &returned.data, &returned.size, &returned.extra))
	if s != OK {
		return nil, 0, s
	}
	return b, returned.extra, OK
}

// SetSharedData implements Host.
func (GuestHost) SetSharedData(key string, value []byte, cas uint32) Status {
	data, size := pointer(value)
	return Status(proxySetSharedData(key, data, size, cas))
}

// SetTickPeriod implements Host.
func (GuestHost) SetTickPeriod(d time.Duration) Status {
	if d < 0 {
		return BadArgument
	}
	return Status(proxySetTickPeriodMilliseconds(milliseconds(d)))
}

// SetEffectiveContext implements Host.
func (GuestHost) SetEffectiveContext(id uint32) Status { return Status(proxySetEffectiveContext(id)) }

// milliseconds rounds up, so that no time becomes none. It is 0 for d ≤ 0.
func milliseconds(d time.Duration) uint32 {
	ms := max(0, d+time.Millisecond-1) / time.Millisecond
	return uint32(min(ms, math.MaxUint32))
}
