package proxywasm

import "runtime/debug"

// plugin is what the host calls. Until Run it refuses everything.
var plugin = Guarded(unset{}, GuestHost{})

// heapGrowth in percent is how much a guest allocates before it collects: its
// heap is at least 8 MB then, and not 4, and it collects half as often.
const heapGrowth = 200

// Run makes the VM of this guest and guards it. It belongs into an init
// function of the main package: main is never called.
func Run(vm func(Host) VM) {
	debug.SetGCPercent(heapGrowth)
	plugin = Guard(GuestHost{}, vm)
}

// unset refuses all by panicking, which the guard turns into a refusal.
type unset struct{ BaseVM }

const noVM = "no VM is registered: call proxywasm.Run in an init function"

func (unset) VMStart(uint32, int) bool                  { panic(noVM) }
func (unset) Configure(uint32, int) bool                { panic(noVM) }
func (unset) RequestHeaders(uint32, int, bool) Action   { panic(noVM) }
func (unset) RequestBody(uint32, int, bool) Action      { panic(noVM) }
func (unset) RequestTrailers(uint32, int) Action        { panic(noVM) }
func (unset) ResponseHeaders(uint32, int, bool) Action  { panic(noVM) }
func (unset) HTTPCallResponse(_, _ uint32, _, _, _ int) { panic(noVM) }

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_memory_allocate
func onMemoryAllocate(size uint32) uint32 { return allocate(size) }

//go:wasmexport proxy_on_context_create
func onContextCreate(id, parent uint32) {
	defer releaseRest()
	plugin.ContextCreate(id, parent)
}

//go:wasmexport proxy_on_vm_start
func onVMStart(root, size uint32) uint32 {
	defer releaseRest()
	return flag(plugin.VMStart(root, int(size)))
}

//go:wasmexport proxy_on_configure
func onConfigure(root, size uint32) uint32 {
	defer releaseRest()
	return flag(plugin.Configure(root, int(size)))
}

//go:wasmexport proxy_on_tick
func onTick(root uint32) {
	defer releaseRest()
	plugin.Tick(root)
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(id, n, endOfStream uint32) uint32 {
	defer releaseRest()
	return uint32(plugin.RequestHeaders(id, int(n), endOfStream != 0))
}

//go:wasmexport proxy_on_request_body
func onRequestBody(id, size, endOfStream uint32) uint32 {
	defer releaseRest()
	return uint32(plugin.RequestBody(id, int(size), endOfStream != 0))
}

//go:wasmexport proxy_on_request_trailers
func onRequestTrailers(id, n uint32) uint32 {
	defer releaseRest()
	return uint32(plugin.RequestTrailers(id, int(n)))
}

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(id, n, endOfStream uint32) uint32 {
	defer releaseRest()
	return uint32(plugin.ResponseHeaders(id, int(n), endOfStream != 0))
}

//go:wasmexport proxy_on_http_call_response
func onHTTPCallResponse(root, call, headers, bodySize, trailers uint32) {
	defer releaseRest()
	plugin.HTTPCallResponse(root, call, int(headers), int(bodySize), int(trailers))
}

//go:wasmexport proxy_on_done
func onDone(id uint32) uint32 {
	defer releaseRest()
	return flag(plugin.Done(id))
}

//go:wasmexport proxy_on_log
func onLog(id uint32) {
	defer releaseRest()
	plugin.Log(id)
}

//go:wasmexport proxy_on_delete
func onDelete(id uint32) {
	defer releaseRest()
	plugin.Delete(id)
}

func flag(yes bool) uint32 {
	if yes {
		return 1
	}
	return 0
}
