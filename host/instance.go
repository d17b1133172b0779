package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/plugin/proxywasm"
)

// rootContext is the id of the plugin's own context in each instance.
const rootContext = 1

var (
	errDead     = errors.New("host: the instance is gone")
	errDeadline = errors.New("host: the guest ran past its deadline")
)

// RefusedError is returned by New for a guest that does not start, as it
// refuses its configuration.
type RefusedError struct {
	Reason string // the errors that the guest logged meanwhile, or "" when it was silent
}

func (e *RefusedError) Error() string {
	if e.Reason == "" {
		return "host: the guest refuses its configuration and doesn't say why"
	}
	return "host: the guest refuses its configuration: " + e.Reason
}

// instance is one instance of the guest. Only who holds it (pool) may touch it.
type instance struct {
	filter *Filter
	slot   *slot
	number uint64
	ctx    context.Context // leads host functions back here
	module api.Module
	memory api.Memory
	watch  watch

	functions      map[string]api.Function
	allocator      api.Function
	allocatorStack [1]uint64
	stack          [8]uint64

	starting  bool
	startLog  strings.Builder
	dead      bool
	effective uint32 // the context that host functions act on
	streams   map[uint32]*stream
	lastID    uint32
	paused    map[*stream]struct{}
	changed   []*stream // streams that the running callback decided
	calls     map[uint32]*callout
	lastCall  uint32
	answer    *answer // what on_http_call_response may look at
	tick      ticker
	scratch   []byte
}

type instanceKey struct{}

// newInstance fills a slot with an instance that has taken its configuration.
func newInstance(f *Filter, place *slot) error {
	i := &instance{
		filter: f, slot: place, number: f.instances.Add(1), starting: true,
		functions: make(map[string]api.Function), streams: make(map[uint32]*stream), lastID: rootContext,
		paused: make(map[*stream]struct{}), calls: make(map[uint32]*callout),
	}
	i.ctx = context.WithValue(f.ctx, instanceKey{}, i)
	place.instance = i
	err := i.start()
	i.starting = false
	if err != nil {
		i.close()
	}
	return err
}

// moduleConfig gives a guest the system's clock and random source; wazero's
// own defaults are deterministic, which would make session keys predictable.
func (i *instance) moduleConfig() wazero.ModuleConfig {
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime().WithNanosleep(i.watch.sleep).
		WithStdout(&lineLogger{i: i, level: slog.LevelInfo}).WithStderr(&lineLogger{i: i, level: slog.LevelError})
	if now := i.filter.clock; now != nil {
		c = c.WithWalltime(func() (int64, int32) {
			t := now()
			return t.Unix(), int32(t.Nanosecond()) //nolint:gosec // below 1e9
		}, 1)
	}
	return c
}

func (i *instance) start() (err error) {
	p := i.filter.program
	if i.module, err = p.runtime.InstantiateModule(i.ctx, p.compiled, i.moduleConfig()); err != nil {
		return fmt.Errorf("%w: %w", errModule, err)
	}
	flag, ok := i.module.ExportedGlobal(stopGlobal).(api.MutableGlobal)
	if i.memory = i.module.Memory(); i.memory == nil || !ok {
		return errModule
	}
	i.watch.flag = flag
	for name := range p.compiled.ExportedFunctions() {
		i.functions[name] = i.module.ExportedFunction(name)
	}
	i.allocator = i.functions[proxywasm.OnMemoryAllocate]
	if i.allocator == nil {
		i.allocator = i.functions[proxywasm.OnMalloc]
	}
	return i.configure()
}

func (i *instance) configure() error {
	initialize := proxywasm.OnInitialize
	if i.functions[initialize] == nil {
		initialize = "_start"
	}
	deadline := time.Now().Add(i.filter.deadline)
	if _, err := i.call(initialize, deadline, 0); err != nil {
		return i.refusal(err)
	}
	if _, err := i.call(proxywasm.OnContextCreate, deadline, rootContext, rootContext, 0); err != nil {
		return i.refusal(err)
	}
	size := uint64(len(i.filter.configuration))
	for _, c := range []struct {
		name string
		size uint64
	}{{proxywasm.OnVMStart, 0}, {proxywasm.OnConfigure, size}} {
		yes, err := i.call(c.name, deadline, rootContext, rootContext, c.size)
		if err != nil {
			return i.refusal(err)
		}
		if yes == 0 && i.functions[c.name] != nil {
			return &RefusedError{i.startLog.String()}
		}
	}
	return nil
}

func (i *instance) refusal(err error) error {
	if i.startLog.Len() == 0 {
		return err
	}
	return fmt.Errorf("%w: %w", &RefusedError{i.startLog.String()}, err)
}

// call runs one of the guest's functions in a context; one that it doesn't
// export does nothing and answers 0. An error means that the instance is dead.
func (i *instance) call(name string, deadline time.Time, context uint32, params ...uint64) (uint64, error) {
	if i.dead {
		return 0, errDead
	}
	f := i.functions[name]
	if f == nil {
		return 0, nil
	}
	i.effective = context
	i.stack = [8]uint64{}
	copy(i.stack[:], params)
	i.watch.begin(deadline)
	err := f.CallWithStack(i.ctx, i.stack[:])
	if i.watch.end() {
		err = errors.Join(errDeadline, err)
	}
	if err != nil {
		i.trapped(name, err)
		return 0, err
	}
	i.settle()
	return i.stack[0], nil
}

// trapped ends an instance: nothing that it had under way goes on.
func (i *instance) trapped(name string, err error) {
	i.filter.logger.Error("the guest trapped", "instance", i.number, "callback", name, "error", err)
	i.die("the guest trapped")
}

func (i *instance) die(reason string) {
	i.dead = true
	i.tick.stop()
	for s := range i.paused {
		s.decide(refused(reason))
	}
	clear(i.paused)
	for _, c := range i.calls {
		c.cancel()
	}
}

// close frees the instance's memory.
func (i *instance) close() {
	i.die("the instance is closed")
	if i.module != nil {
		_ = i.module.Close(i.ctx)
	}
}
