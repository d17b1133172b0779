package proxywasm

import "strconv"

// Version is the function that a module exports to say which ABI it speaks.
const Version = "proxy_abi_version_0_2_1"

// Callbacks: functions that a module may export.
const (
	OnInitialize       = "_initialize"
	OnMemoryAllocate   = "proxy_on_memory_allocate"
	OnMalloc           = "malloc" // the old name of OnMemoryAllocate
	OnContextCreate    = "proxy_on_context_create"
	OnVMStart          = "proxy_on_vm_start"
	OnConfigure        = "proxy_on_configure"
	OnTick             = "proxy_on_tick"
	OnRequestHeaders   = "proxy_on_request_headers"
	OnRequestBody      = "proxy_on_request_body"
	OnRequestTrailers  = "proxy_on_request_trailers"
	OnResponseHeaders  = "proxy_on_response_headers"
	OnHTTPCallResponse = "proxy_on_http_call_response"
	OnDone             = "proxy_on_done"
	OnLog              = "proxy_on_log"
	OnDelete           = "proxy_on_delete"
)

// ImportModule is the module name under which a host offers its functions.
const ImportModule = "env"

// Functions that a host offers.
const (
	FnLog                   = "proxy_log"
	FnGetLogLevel           = "proxy_get_log_level"
	FnGetCurrentTime        = "proxy_get_current_time_nanoseconds"
	FnSetTickPeriod         = "proxy_set_tick_period_milliseconds"
	FnSetBufferBytes        = "proxy_set_buffer_bytes"
	FnGetBufferBytes        = "proxy_get_buffer_bytes"
	FnGetBufferStatus       = "proxy_get_buffer_status"
	FnGetHeaderMapSize      = "proxy_get_header_map_size"
	FnGetHeaderMapPairs     = "proxy_get_header_map_pairs"
	FnSetHeaderMapPairs     = "proxy_set_header_map_pairs"
	FnGetHeaderMapValue     = "proxy_get_header_map_value"
	FnAddHeaderMapValue     = "proxy_add_header_map_value"
	FnReplaceHeaderMapValue = "proxy_replace_header_map_value"
	FnRemoveHeaderMapValue  = "proxy_remove_header_map_value"
	FnContinueStream        = "proxy_continue_stream"
	FnCloseStream           = "proxy_close_stream"
	FnGetStatus             = "proxy_get_status"
	FnSendLocalResponse     = "proxy_send_local_response"
	FnHTTPCall              = "proxy_http_call"
	FnGRPCCall              = "proxy_grpc_call"
	FnGRPCStream            = "proxy_grpc_stream"
	FnGRPCSend              = "proxy_grpc_send"
	FnGRPCCancel            = "proxy_grpc_cancel"
	FnGRPCClose             = "proxy_grpc_close"
	FnSetSharedData         = "proxy_set_shared_data"
	FnGetSharedData         = "proxy_get_shared_data"
	FnRegisterSharedQueue   = "proxy_register_shared_queue"
	FnResolveSharedQueue    = "proxy_resolve_shared_queue"
	FnEnqueueSharedQueue    = "proxy_enqueue_shared_queue"
	FnDequeueSharedQueue    = "proxy_dequeue_shared_queue"
	FnDefineMetric          = "proxy_define_metric"
	FnRecordMetric          = "proxy_record_metric"
	FnIncrementMetric       = "proxy_increment_metric"
	FnGetMetric             = "proxy_get_metric"
	FnGetProperty           = "proxy_get_property"
	FnSetProperty           = "proxy_set_property"
	FnCallForeignFunction   = "proxy_call_foreign_function"
	FnSetEffectiveContext   = "proxy_set_effective_context"
	FnDone                  = "proxy_done"
)

// SetFilterState is Envoy's foreign function that sets filter state under a key
// that Envoy itself has a factory for, as "envoy.string"; other keys are
// NotFound there, and Host.SetProperty serves them. The argument is a protobuf
// message {1: path, 2: value, 3: span}.
const SetFilterState = "set_envoy_filter_state"

// Status is a host function's answer, proxy_status_t. A host may answer with
// numbers that have no name here; only OK is success.
type Status uint32

// Statuses of the specification.
const (
	OK                   Status = 0
	NotFound             Status = 1
	BadArgument          Status = 2
	SerializationFailure Status = 3
	ParseFailure         Status = 4
	InvalidMemoryAccess  Status = 6
	Empty                Status = 7
	CASMismatch          Status = 8
	InternalFailure      Status = 10
	Unimplemented        Status = 12
)

// String names the status, or gives its number.
func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case NotFound:
		return "not found"
	case BadArgument:
		return "bad argument"
	case SerializationFailure:
		return "serialization failure"
	case ParseFailure:
		return "parse failure"
	case InvalidMemoryAccess:
		return "invalid memory access"
	case Empty:
		return "empty"
	case CASMismatch:
		return "cas mismatch"
	case InternalFailure:
		return "internal failure"
	case Unimplemented:
		return "unimplemented"
	}
	return "status " + strconv.FormatUint(uint64(s), 10)
}

// Action is a callback's answer, proxy_action_t. Envoy reads 1 after headers
// as "hold everything" (StopAllIterationAndWatermark).
type Action uint32

// Actions of the specification. A host takes every other number for Pause.
const (
	Continue Action = 0
	Pause    Action = 1
)

// MapType names a header map, proxy_map_type_t.
type MapType uint32

// Header maps of the specification.
const (
	RequestHeaders           MapType = 0
	RequestTrailers          MapType = 1
	ResponseHeaders          MapType = 2
	ResponseTrailers         MapType = 3
	GRPCInitialMetadata      MapType = 4
	GRPCTrailingMetadata     MapType = 5
	HTTPCallResponseHeaders  MapType = 6
	HTTPCallResponseTrailers MapType = 7
)

// BufferType names a byte buffer, proxy_buffer_type_t.
type BufferType uint32

// Buffers of the specification.
const (
	RequestBody          BufferType = 0
	ResponseBody         BufferType = 1
	DownstreamData       BufferType = 2
	UpstreamData         BufferType = 3
	HTTPCallResponseBody BufferType = 4
	GRPCCallMessage      BufferType = 5
	VMConfiguration      BufferType = 6
	PluginConfiguration  BufferType = 7
	ForeignArguments     BufferType = 8
)

// LogLevel is how loud a message is, proxy_log_level_t.
type LogLevel uint32

// Log levels of the specification.
const (
	LogTrace    LogLevel = 0
	LogDebug    LogLevel = 1
	LogInfo     LogLevel = 2
	LogWarn     LogLevel = 3
	LogError    LogLevel = 4
	LogCritical LogLevel = 5
)

// StreamType names one direction of a stream, proxy_stream_type_t.
type StreamType uint32

// Streams of the specification.
const (
	RequestStream    StreamType = 0
	ResponseStream   StreamType = 1
	DownstreamStream StreamType = 2
	UpstreamStream   StreamType = 3
)

// MetricType is the kind of a metric, proxy_metric_type_t.
type MetricType uint32

// Metrics of the specification.
const (
	Counter   MetricType = 0
	Gauge     MetricType = 1
	Histogram MetricType = 2
)

// Compress is Envoy's foreign function that makes a zlib stream of a text.
const Compress = "compress"
