package host

import (
	"context"
	"errors"
	"slices"
	"sync"
)

var (
	errClosed = errors.New("host: the filter is closed")
	errBusy   = errors.New("host: no instance came free in time")
)

// pool hands out instances. One that is held belongs to its holder alone.
// Whoever needs a certain instance leaves work for it, which the holder's
// release sees done.
type pool struct {
	create func(*slot) error

	mu      sync.Mutex
	max     int
	making  int // instances that are being made
	slots   []*slot
	waiters []chan *slot
	closed  bool
	idle    chan struct{} // closed when the last holder of a closed pool lets go
}

// slot is an instance's place in the pool.
type slot struct {
	*instance
	held bool
	work []func()
}

// acquire waits for any instance, or makes one where the cap allows it.
func (p *pool) acquire(ctx context.Context) (*slot, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	for _, s := range p.slots {
		if !s.held {
			s.held = true
			p.mu.Unlock()
			return s, nil
		}
	}
	if len(p.slots)+p.making < p.max {
		p.making++
		p.mu.Unlock()
		return p.make()
	}
	ready := make(chan *slot, 1)
	p.waiters = append(p.waiters, ready)
	p.mu.Unlock()
	return p.wait(ctx, ready)
}

// wait gets a slot, or nil as the permission to make one.
func (p *pool) wait(ctx context.Context, ready chan *slot) (*slot, error) {
	var s *slot
	var ok bool
	select {
	case s, ok = <-ready:
	case <-ctx.Done():
		if p.leave(ready) {
			return nil, errors.Join(errBusy, ctx.Err())
		}
		s, ok = <-ready // it came at the same moment
	}
	if !ok {
		return nil, errClosed
	}
	if s == nil {
		return p.make()
	}
	return s, nil
}

func (p *pool) leave(ready chan *slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.waiters, ready)
	if at < 0 {
		return false
	}
	p.waiters = slices.Delete(p.waiters, at, at+1)
	return true
}

// make makes an instance for the caller, who is counted in p.making.
func (p *pool) make() (*slot, error) {
	s := &slot{held: true}
	err := p.create(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making--
	if err != nil {
		p.room()
		return nil, err
	}
	p.slots = append(p.slots, s)
	return s, nil
}

// room lets the first waiter make an instance, if there is room for it.
func (p *pool) room() {
	if p.closed {
		p.lastOut()
		return
	}
	if len(p.waiters) > 0 && len(p.slots)+p.making < p.max {
		p.making++
		p.waiters[0] <- nil
		p.waiters = p.waiters[1:]
	}
}

// release gives an instance back. Work that was left for it goes first, on a
// goroutine of its own, so that the holder's request doesn't wait for others'.
func (p *pool) release(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(s.work) > 0 {
		go p.drain(s)
		return
	}
	p.free(s)
}

func (p *pool) drain(s *slot) {
	for {
		p.mu.Lock()
		if len(s.work) == 0 {
			p.free(s)
			p.mu.Unlock()
			return
		}
		work := s.work[0]
		s.work = s.work[1:]
		p.mu.Unlock()
		work()
	}
}

// free passes a slot on. It runs under the lock and the slot has no work left.
func (p *pool) free(s *slot) {
	s.held = false
	switch {
	case s.dead:
		p.remove(s)
	case p.closed:
		p.lastOut()
	case len(p.waiters) > 0:
		s.held = true
		p.waiters[0] <- s
		p.waiters = p.waiters[1:]
	}
}

// remove takes a dead instance out. Work that still comes for it is done at once.
func (p *pool) remove(s *slot) {
	at := slices.Index(p.slots, s)
	if at < 0 {
		return
	}
	p.slots = slices.Delete(p.slots, at, at+1)
	s.close()
	p.room()
}

// later has work done by whoever holds the instance then: by the caller, when
// nobody does. The work must not wait for anything.
func (p *pool) later(s *slot, work func()) {
	p.mu.Lock()
	if s.held {
		s.work = append(s.work, work)
		p.mu.Unlock()
		return
	}
	s.held = true
	p.mu.Unlock()
	work()
	p.release(s)
}

// close lets nobody in any more. The channel is closed when all are out.
func (p *pool) close() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed, p.idle = true, make(chan struct{})
		for _, w := range p.waiters {
			close(w)
		}
		p.waiters = nil
		p.lastOut()
	}
	return p.idle
}

func (p *pool) lastOut() {
	if p.making > 0 || slices.ContainsFunc(p.slots, func(s *slot) bool { return s.held }) {
		return
	}
	select {
	case <-p.idle:
	default:
		close(p.idle)
	}
}

// stop ends whatever guests run.
func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		s.watch.stop()
	}
}

// retire ends all instances of a closed pool that nobody holds.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		s.close()
	}
}
