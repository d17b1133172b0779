package proxywasm

// VM is what a host calls in a plugin: one VM per instance of a module, called
// from one goroutine at a time. Contexts are numbers that the host gives out:
// one root context for the plugin, one for each request.
type VM interface {
	// ContextCreate announces a context; parent 0 makes it a root context.
	ContextCreate(id, parent uint32)
	// VMStart and Configure return false to refuse to run.
	VMStart(root uint32, configurationSize int) bool
	Configure(root uint32, configurationSize int) bool
	// Tick comes every period that the plugin has set.
	Tick(root uint32)
	// RequestHeaders, RequestBody and RequestTrailers decide whether a request goes on.
	RequestHeaders(id uint32, n int, endOfStream bool) Action
	RequestBody(id uint32, size int, endOfStream bool) Action
	RequestTrailers(id uint32, n int) Action
	// ResponseHeaders sees the upstream's answers; in Envoy also those that the
	// plugin sent itself.
	ResponseHeaders(id uint32, n int, endOfStream bool) Action
	// HTTPCallResponse brings the answer to a call; headers 0 is a failed
	// call. It runs in the root context: see Host.SetEffectiveContext.
	HTTPCallResponse(root, call uint32, headers, bodySize, trailers int)
	// Done returns false to keep the context until later.
	Done(id uint32) bool
	// Log is the last chance to look at a context.
	Log(id uint32)
	// Delete ends a context. Its id may come again.
	Delete(id uint32)
}

// BaseVM has defaults to embed: it accepts every configuration, refuses every
// request by holding it, and lets responses pass.
type BaseVM struct{}

var _ VM = BaseVM{}

// ContextCreate does nothing.
func (BaseVM) ContextCreate(uint32, uint32) {}

// VMStart returns true.
func (BaseVM) VMStart(uint32, int) bool { return true }

// Configure returns true.
func (BaseVM) Configure(uint32, int) bool { return true }

// Tick does nothing.
func (BaseVM) Tick(uint32) {}

// RequestHeaders returns Pause: a forgotten method must not let requests pass.
func (BaseVM) RequestHeaders(uint32, int, bool) Action { return Pause }

// RequestBody returns Continue: what RequestHeaders held never comes here.
func (BaseVM) RequestBody(uint32, int, bool) Action { return Continue }

// RequestTrailers returns Continue: what RequestHeaders held never comes here.
func (BaseVM) RequestTrailers(uint32, int) Action { return Continue }

// ResponseHeaders returns Continue.
func (BaseVM) ResponseHeaders(uint32, int, bool) Action { return Continue }

// HTTPCallResponse does nothing.
func (BaseVM) HTTPCallResponse(uint32, uint32, int, int, int) {}

// Done returns true.
func (BaseVM) Done(uint32) bool { return true }

// Log does nothing.
func (BaseVM) Log(uint32) {}

// Delete does nothing.
func (BaseVM) Delete(uint32) {}
