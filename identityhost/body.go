package identityhost

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// bodyTime is how long a request's body may take.
const bodyTime = 30 * time.Second

// maxBodies bounds the bytes of all request bodies that are in memory at once;
// what a full agent may hold of claims, once more.
const maxBodies = 64 << 20

// bodies lends memory for request bodies. A body takes it as it comes in, so
// that slow clients hold only what they have sent.
type bodies struct {
	limit int64
	used  atomic.Int64
}

func (b *bodies) take(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

// read reads a request's body of at most limit bytes. The caller calls release
// when it is done with it, also after an error.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int) (body []byte, release func(), err error) {
	if wrapped, ok := w.(*statusWriter); ok {
		w = wrapped.ResponseWriter // the one that net/http knows; it is told of bodies that are too long
	}
	taken := int64(0)
	release = func() { b.used.Add(-taken) }
	if r.ContentLength > int64(limit) {
		return nil, release, errTooLong
	}
	in := http.MaxBytesReader(w, r.Body, int64(limit))
	for {
		if len(body) == cap(body) {
			grown := min(max(4096, 2*cap(body)), limit+1)
			if !b.take(int64(grown)) {
				return nil, release, refused(http.StatusServiceUnavailable, "too many requests at once", nil)
			}
			taken += int64(grown) - int64(cap(body))
			b.used.Add(-int64(cap(body))) // the old one is garbage
			body = append(make([]byte, 0, grown), body...)
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			return body, release, nil
		}
		if err != nil {
			return nil, release, readError(err)
		}
	}
}

var errTooLong = refused(http.StatusRequestEntityTooLarge, "the body is too long", nil)

func readError(err error) error {
	var tooLong *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLong):
		return errTooLong
	case errors.As(err, &network) && network.Timeout():
		return refused(http.StatusRequestTimeout, "the body took too long", nil)
	}
	return malformed("the body broke off", err)
}
