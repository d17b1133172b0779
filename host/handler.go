package host

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

func (f *Filter) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx, cancel := context.WithTimeout(r.Context(), f.deadline)
	defer cancel()
	held, err := f.pool.acquire(ctx)
	if err != nil {
		f.refuse(w, r, err.Error())
		return
	}
	if ctx.Err() != nil {
		f.pool.release(held)
		f.refuse(w, r, waitEnded(ctx))
		return
	}
	s := held.newStream(ctx, r)
	v := s.judgeRequest()
	f.pool.release(held)
	defer f.pool.later(s.i.slot, s.end)
	if v = s.await(ctx, v); v.kind != kindPass {
		f.answer(w, r, v)
		return
	}
	cancel() // of the budget, which next doesn't share
	f.pass(w, s, next)
}

// await waits for the verdict on a paused stream.
func (s *stream) await(ctx context.Context, v verdict) verdict {
	if v.kind != kindWait {
		return v
	}
	select {
	case v = <-s.verdicts:
		return v
	case <-ctx.Done():
		s.i.filter.pool.later(s.i.slot, s.abandon)
		return refused(waitEnded(ctx))
	}
}

func waitEnded(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.Canceled) {
		return "the client has gone"
	}
	return "the guest did not decide in time"
}

// pass hands the request to next, and next's response to the guest.
func (f *Filter) pass(w http.ResponseWriter, s *stream, next http.Handler) {
	ctx, cancel := context.WithCancel(context.WithValue(s.r.Context(), stateKey{}, s.state))
	defer cancel()
	r, err := s.outgoing(ctx)
	if err != nil {
		f.refuse(w, s.r, err.Error())
		return
	}
	rw := &responseWriter{w: w, s: s, before: w.Header().Clone(), cancel: cancel}
	next.ServeHTTP(rw, r)
	rw.finish()
}

// answer gives a client the answer that stands instead of next's.
func (f *Filter) answer(w http.ResponseWriter, r *http.Request, v verdict) {
	if v.kind != kindLocal {
		f.refuse(w, r, v.reason)
		return
	}
	f.logger.Debug("the guest answers itself", "status", v.local.status, "details", v.local.details)
	v.local.write(w, r)
}

// refuse answers 503. The reason goes to the log, under the id that the client gets.
func (f *Filter) refuse(w http.ResponseWriter, r *http.Request, reason string) {
	id := newDecisionID()
	level := slog.LevelWarn
	if r.Context().Err() != nil {
		level = slog.LevelInfo // nobody is there to read it
	}
	f.logger.Log(r.Context(), level, "refused 503: "+reason, "decision_id", id, "method", r.Method, "path", r.URL.Path)
	unavailable(id).write(w, r)
}
