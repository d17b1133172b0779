package host

import (
	"sync"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// watch ends a guest's call when its deadline passes, by raising the flag that
// the metered code looks at.
type watch struct {
	mu       sync.Mutex
	flag     api.MutableGlobal
	timer    *time.Timer
	deadline time.Time
	running  bool
	stopped  bool
}

func (w *watch) begin(deadline time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline, w.running = deadline, true
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(deadline), w.fire)
		return
	}
	w.timer.Reset(time.Until(deadline))
}

// end reports whether the call was stopped, or should have been.
func (w *watch) end() (stopped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.running = false
	return w.stopped
}

// fire may come late, when the next call has begun already.
func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return
	}
	if left := time.Until(w.deadline); left > 0 {
		w.timer.Reset(left)
		return
	}
	w.raise()
}

// stop ends what runs now and lets nothing run any more.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.raise()
}

func (w *watch) raise() {
	w.stopped = true
	w.flag.Set(1)
}

// sleep is WASI's nanosleep, cut off at the deadline.
func (w *watch) sleep(ns int64) {
	w.mu.Lock()
	left := time.Until(w.deadline)
	w.mu.Unlock()
	time.Sleep(min(time.Duration(ns), left))
}
