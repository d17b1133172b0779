package host

import (
	"context"
	"net/http"
	"time"

	"kest.example/kest/plugin/proxywasm"
)

// stream is one request in the guest. It lives in one instance, and all of it
// but state, verdicts and r is touched only by who holds that.
type stream struct {
	id    uint32
	i     *instance
	r     *http.Request
	state *filterState

	phase     phase
	ctx       context.Context // the phase's: ends with the client and with the budget
	request   headerMap
	response  headerMap
	local     *localResponse
	continued bool
	closed    bool
	calls     []*callout // made in this phase
	ending    bool       // on_done said false; proxy_done is to come
	verdicts  chan verdict
}

// phase is what of a stream is being judged.
type phase int

const (
	phaseNone phase = iota // nothing: between the two, and after them
	phaseRequest
	phaseResponse
)

// verdict is what becomes of a phase. The zero value refuses.
type verdict struct {
	kind   verdictKind
	reason string // of a refusal, for the log
	local  *localResponse
}

type verdictKind int

const (
	kindRefuse verdictKind = iota
	kindPass
	kindLocal
	kindWait
)

func refused(reason string) verdict { return verdict{reason: reason} }

// newStream announces a request to the guest.
func (i *instance) newStream(ctx context.Context, r *http.Request) *stream {
	s := &stream{
		id: i.freeID(), i: i, r: r, ctx: ctx, state: newFilterState(r.Context()),
		request: requestHeaders(r), verdicts: make(chan verdict, 1),
	}
	i.streams[s.id] = s
	return s
}

// freeID finds a number that no living context has.
func (i *instance) freeID() uint32 {
	for {
		if i.lastID++; i.lastID > rootContext && i.streams[i.lastID] == nil {
			return i.lastID
		}
	}
}

// judgeRequest asks the guest about the request.
func (s *stream) judgeRequest() verdict {
	s.enter(s.ctx, phaseRequest)
	deadline := callDeadline(s.ctx)
	if _, err := s.i.call(proxywasm.OnContextCreate, deadline, s.id, uint64(s.id), rootContext); err != nil {
		return s.leave(refused(err.Error()))
	}
	if s.i.functions[proxywasm.OnRequestHeaders] == nil {
		return s.leave(verdict{kind: kindPass})
	}
	end := flag(s.r.Body == nil || s.r.Body == http.NoBody)
	action, err := s.i.call(proxywasm.OnRequestHeaders, deadline, s.id, uint64(s.id), uint64(len(s.request.pairs)), end)
	return s.judge(action, err)
}

// judgeResponse asks the guest about a response's header.
func (s *stream) judgeResponse(ctx context.Context, response headerMap, end bool) verdict {
	if ctx.Err() != nil {
		return refused(waitEnded(ctx))
	}
	s.response = response
	s.enter(ctx, phaseResponse)
	action, err := s.i.call(proxywasm.OnResponseHeaders, callDeadline(ctx), s.id, uint64(s.id), uint64(len(response.pairs)), flag(end))
	return s.judge(action, err)
}

func (s *stream) enter(ctx context.Context, p phase) {
	s.phase, s.ctx = p, ctx
	s.local, s.continued, s.calls = nil, false, nil
}

// leave ends a phase: from here on its headers are the handler's.
func (s *stream) leave(v verdict) verdict {
	s.phase = phaseNone
	return v
}

// judge reads a callback's action. Only Continue, and a continue_stream, let
// pass; a pause waits if something is under way that could end it.
func (s *stream) judge(action uint64, err error) verdict {
	v, final := s.outcome()
	switch {
	case err != nil:
		return s.leave(refused(err.Error()))
	case final:
		return s.leave(v)
	case action == uint64(proxywasm.Continue):
		return s.leave(verdict{kind: kindPass})
	case action != uint64(proxywasm.Pause):
		return s.leave(refused("the guest answers with an unknown action"))
	case s.i.idle():
		return s.leave(refused(nothingToWaitFor))
	}
	s.i.paused[s] = struct{}{}
	return verdict{kind: kindWait}
}

const nothingToWaitFor = "the guest holds the request and waits for nothing"

// outcome is what the guest asked of the host for this stream.
func (s *stream) outcome() (v verdict, final bool) {
	switch {
	case s.local != nil:
		return verdict{kind: kindLocal, local: s.local}, true
	case s.closed:
		return refused("the guest closed the stream"), true
	case s.continued:
		return verdict{kind: kindPass}, true
	}
	return verdict{}, false
}

// decide ends the wait of a paused stream.
func (s *stream) decide(v verdict) {
	delete(s.i.paused, s)
	s.verdicts <- s.leave(v) // never full: a paused stream is decided once
}

// settle decides what the last callback made clear: streams that it answered
// or continued, and all that wait, when nothing is left to wait for.
func (i *instance) settle() {
	for _, s := range i.changed {
		if _, waits := i.paused[s]; !waits {
			continue
		}
		if v, final := s.outcome(); final {
			s.decide(v)
		}
	}
	i.changed = i.changed[:0]
	if len(i.paused) == 0 || !i.idle() {
		return
	}
	for s := range i.paused {
		s.decide(refused(nothingToWaitFor))
	}
}

// idle reports whether nothing is under way that would call the guest again.
func (i *instance) idle() bool { return len(i.calls) == 0 && i.tick.period == 0 }

// abandon ends a wait from outside: the client has gone, or the budget.
func (s *stream) abandon() {
	delete(s.i.paused, s)
	s.phase = phaseNone
	for _, c := range s.calls {
		c.cancel()
	}
}

// end tells the guest that the request is over.
func (s *stream) end() {
	if s.ending || s.i.streams[s.id] != s {
		return
	}
	delete(s.i.paused, s)
	s.phase = phaseNone
	s.ending = true
	done, err := s.i.call(proxywasm.OnDone, s.i.soon(), s.id, uint64(s.id))
	if err == nil && done == 0 && s.i.functions[proxywasm.OnDone] != nil {
		return // until proxy_done
	}
	s.remove()
}

// remove has the guest log and forget the request.
func (s *stream) remove() {
	if s.i.streams[s.id] != s {
		return
	}
	_, _ = s.i.call(proxywasm.OnLog, s.i.soon(), s.id, uint64(s.id)) // a dead instance is dealt with
	_, _ = s.i.call(proxywasm.OnDelete, s.i.soon(), s.id, uint64(s.id))
	delete(s.i.streams, s.id)
}

// leastTime is what a call gets of a budget that is all but spent: the guest
// is not to blame that the request came late to it.
const leastTime = 100 * time.Millisecond

func callDeadline(ctx context.Context) time.Time {
	least := time.Now().Add(leastTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.After(least) {
		return deadline
	}
	return least
}

// soon is the deadline of what no client waits for.
func (i *instance) soon() time.Time { return time.Now().Add(i.filter.deadline) }

func flag(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}
