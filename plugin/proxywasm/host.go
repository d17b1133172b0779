package proxywasm

import "time"

// NoGRPCStatus is the gRPC status of a local response that has none.
const NoGRPCStatus int32 = -1

// Host is what a host offers to a plugin. In a guest it is [GuestHost]; tests
// and native drivers bring their own. Every Status other than OK is a failure,
// also one that has no name. Returned slices belong to the caller.
type Host interface {
	// Log writes to the host's log.
	Log(level LogLevel, message string)
	// Buffer reads up to most bytes of a buffer from start on.
	Buffer(t BufferType, start, most int) ([]byte, Status)
	// Pairs reads a header map: names in lower case, pseudo-headers among
	// them, repeated headers as repeated pairs. The ABI's look-up of one name
	// is not offered, as Envoy answers it with the first of several.
	Pairs(m MapType) ([]Pair, Status)
	// ReplaceHeader leaves exactly one header of that name.
	ReplaceHeader(m MapType, name, value string) Status
	// AddHeader adds a header beside those of the same name.
	AddHeader(m MapType, name, value string) Status
	// RemoveHeader removes all headers of that name; none there is OK.
	RemoveHeader(m MapType, name string) Status
	// SendLocalResponse answers the request; the upstream never sees it. The
	// callback must return Pause. grpcStatus may be NoGRPCStatus.
	SendLocalResponse(status int, details string, headers []Pair, body []byte, grpcStatus int32) Status
	// ContinueStream lets a paused stream go on after the callback returned.
	ContinueStream(t StreamType) Status
	// CallForeign calls a function of the host by name; NotFound where it has none.
	CallForeign(name string, argument []byte) ([]byte, Status)
	// HTTPCall sends a request to a cluster. Its answer comes to
	// VM.HTTPCallResponse with the same id; headers need :method, :path and :authority.
	HTTPCall(cluster string, headers []Pair, body []byte, timeout time.Duration) (id uint32, s Status)
	// Property reads an attribute of the host's, as "connection", "mtls".
	Property(path ...string) ([]byte, Status)
	// SetProperty writes an attribute of the request. Envoy keeps it as filter
	// state "wasm." + name, for access logs and other filters.
	SetProperty(path []string, value []byte) Status
	// SharedData reads from the table that all VMs with one vm_id share.
	SharedData(key string) (value []byte, cas uint32, s Status)
	// SetSharedData writes there. A cas that is not 0 must be the stored one.
	SetSharedData(key string, value []byte, cas uint32) Status
	// SetTickPeriod has VM.Tick called every d; 0 stops that.
	SetTickPeriod(d time.Duration) Status
	// SetEffectiveContext directs what follows in this callback to another context.
	SetEffectiveContext(id uint32) Status
}
