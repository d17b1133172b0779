package plugin

import (
	"sync"
	"time"
)

// Task is a call that the filter makes for itself, for no request in
// particular: a driver makes it in the plugin's root context, where it doesn't
// end with a request, and gives the answer to TaskDone.
type Task struct {
	Call Call
	done func(CallResult)
}

// background is what goes on in a filter beside its requests.
type background struct {
	mu    sync.Mutex
	tasks []*Task
	held  map[*Exchange]*hold
	woken []*Exchange
}

// hold is why a request waits: for so many things to end, until a time.
type hold struct {
	open  int
	until time.Time
	next  func() Step
}

func (b *background) enqueue(t *Task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tasks = append(b.tasks, t)
}

// keep holds a request until as many things end as there are.
func (b *background) keep(x *Exchange, h *hold) Step {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		b.held = make(map[*Exchange]*hold)
	}
	b.held[x] = h
	return Step{Kind: Hold}
}

// ended tells requests that one of the things that they wait for has ended.
func (b *background) ended(waiters []*Exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range waiters {
		if h := b.held[x]; h != nil && h.open > 0 {
			if h.open--; h.open == 0 {
				b.woken = append(b.woken, x)
			}
		}
	}
}

// stillHeld returns those who still wait.
func (b *background) stillHeld(waiters []*Exchange) (list []*Exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range waiters {
		if b.held[x] != nil {
			list = append(list, x)
		}
	}
	return list
}

// overdue wakes those whose time is up.
func (b *background) overdue(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for x, h := range b.held {
		if h.open > 0 && !now.Before(h.until) {
			h.open = 0
			b.woken = append(b.woken, x)
		}
	}
}

// Tasks returns the calls that the filter wants made now, each once.
func (f *Filter) Tasks() []*Task {
	f.background.mu.Lock()
	defer f.background.mu.Unlock()
	tasks := f.background.tasks
	f.background.tasks = nil
	return tasks
}

// TaskDone brings the answer to a task.
func (f *Filter) TaskDone(t *Task, result CallResult) { t.done(result) }

// Woken returns the requests that were held and can go on, each once. A driver
// calls Wake for each, in that request's own context.
func (f *Filter) Woken() []*Exchange {
	f.background.mu.Lock()
	defer f.background.mu.Unlock()
	woken := f.background.woken
	f.background.woken = nil
	return woken
}

// Wake goes on with a request that was held. Its Step may hold it again.
func (x *Exchange) Wake() Step {
	b := &x.f.background
	b.mu.Lock()
	h := b.held[x]
	delete(b.held, x)
	b.mu.Unlock()
	if h == nil {
		return x.refuse(503, "", "woken, and not held")
	}
	return h.next()
}

// Forget drops a request that has gone.
func (f *Filter) Forget(x *Exchange) {
	f.background.mu.Lock()
	defer f.background.mu.Unlock()
	delete(f.background.held, x)
}

// tickPeriod is how often a filter looks after its keys and its waits.
const tickPeriod = 500 * time.Millisecond

// TickPeriod is how often the filter wants Tick called; 0 is never.
func (f *Filter) TickPeriod() time.Duration {
	if f.agent == nil && (len(f.config.Remote) == 0 || f.engines == nil) {
		return 0
	}
	return tickPeriod
}

// Tick does what is due: it binds and renews the session key, asks for keys
// again before they run out, and ends waits that took too long.
func (f *Filter) Tick() {
	now := f.env.Now()
	if f.session != nil {
		f.session.tick(now)
	}
	if f.agentKeys != nil {
		f.agentKeys.tick(now)
	}
	f.background.overdue(now)
}
