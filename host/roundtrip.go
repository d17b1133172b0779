package host

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
)

// RoundTripper returns a transport that has the guest judge each request before
// next sends it: egress, beside an ingress filter that shares a SharedData with
// this one. A request that the guest refuses is not sent; its answer is the
// response, as a proxy's would be. The guest doesn't see next's responses.
func (f *Filter) RoundTripper(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &roundTripper{f, next}
}

type roundTripper struct {
	f    *Filter
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	out, s, refusal := t.judge(r)
	if s != nil {
		defer t.f.pool.later(s.i.slot, s.end)
	}
	if refusal != nil {
		if r.Body != nil {
			_ = r.Body.Close() // RoundTrip must
		}
		return refusal, nil
	}
	return t.next.RoundTrip(out)
}

// judge returns the request to send, or the answer to give instead.
func (t *roundTripper) judge(r *http.Request) (out *http.Request, s *stream, refusal *http.Response) {
	ctx, cancel := context.WithTimeout(r.Context(), t.f.deadline)
	defer cancel()
	answer := &recorder{header: http.Header{}}
	refuse := func(v verdict) (*http.Request, *stream, *http.Response) {
		t.f.answer(answer, r, v)
		return nil, s, answer.response(r)
	}
	held, err := t.f.pool.acquire(ctx)
	if err != nil {
		return refuse(refused(err.Error()))
	}
	s = held.newStream(ctx, seen(r))
	v := s.judgeRequest()
	t.f.pool.release(held)
	if v = s.await(ctx, v); v.kind != kindPass {
		return refuse(v)
	}
	if out, err = s.outgoing(r.Context()); err != nil {
		return refuse(refused(err.Error()))
	}
	out.RequestURI = "" // a client's has none
	return out, s, nil
}

// seen is a client's request as a server would have it.
func seen(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	return r
}

// recorder is the writer of an answer that stands instead of a response.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

func (w *recorder) response(r *http.Request) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}
}
