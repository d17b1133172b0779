package host

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"

	"kest.example/kest/plugin/proxywasm"
)

// responseWriter shows next's response header to the guest before the client
// gets it. Bodies are not touched. A hijacked connection is next's own: no
// response goes through the guest.
type responseWriter struct {
	w        http.ResponseWriter
	s        *stream
	before   http.Header        // what stood in the header before next
	cancel   context.CancelFunc // of next's request
	wrote    bool
	answered bool // by another response than next's, which is dropped
	hijacked bool
}

// Header implements http.ResponseWriter. After another answer next writes its
// trailers to nowhere.
func (w *responseWriter) Header() http.Header {
	if w.answered {
		return make(http.Header)
	}
	return w.w.Header()
}

// WriteHeader implements http.ResponseWriter. Interim responses pass.
func (w *responseWriter) WriteHeader(status int) {
	if w.wrote || w.hijacked {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.w.WriteHeader(status)
		return
	}
	w.wrote = true
	if w.s.i.functions[proxywasm.OnResponseHeaders] == nil {
		w.w.WriteHeader(status)
		return
	}
	w.judge(status)
}

func (w *responseWriter) judge(status int) {
	f := w.s.i.filter
	ctx, cancel := context.WithTimeout(w.s.r.Context(), f.deadline)
	defer cancel()
	pairs := []proxywasm.Pair{{Name: ":status", Value: strconv.Itoa(status)}}
	m := headerMap{pairs: fieldPairs(pairs, w.w.Header()), pseudo: responsePseudo}
	v := refused("the instance did not come free for the response")
	ended := w.s.r.Method == http.MethodHead || !bodyAllowed(status)
	judged := make(chan verdict, 1)
	f.pool.later(w.s.i.slot, func() { judged <- w.s.judgeResponse(ctx, m, ended) })
	select {
	case v = <-judged:
		v = w.s.await(ctx, v)
	case <-ctx.Done():
	}
	if v.kind != kindPass {
		w.answered = true
		w.cancel()
		w.restore()
		f.answer(w.w, w.s.r, v)
		return
	}
	w.w.WriteHeader(w.apply(status))
}

// restore takes next's header away and leaves what stood there before it.
func (w *responseWriter) restore() {
	h := w.w.Header()
	clear(h)
	maps.Copy(h, w.before)
}

// apply writes the guest's edits to the header and returns the status.
func (w *responseWriter) apply(status int) int {
	if !w.s.response.edited {
		return status
	}
	h := w.w.Header()
	for name := range h {
		if validName(name) && len(h[name]) > 0 {
			delete(h, name)
		}
	}
	for name, values := range w.s.response.header() {
		h[name] = values
	}
	text, _ := w.s.response.get(":status")
	if n, err := strconv.Atoi(text); err == nil && n >= 200 && n <= 599 {
		return n
	}
	return status
}

// Write implements io.Writer.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.begin()
	if w.answered {
		return len(p), nil // an error would make next break the connection
	}
	return w.w.Write(p)
}

// WriteString implements io.StringWriter.
func (w *responseWriter) WriteString(text string) (int, error) {
	w.begin()
	if w.answered {
		return len(text), nil
	}
	return io.WriteString(w.w, text)
}

// ReadFrom implements io.ReaderFrom, for sendfile.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	if w.answered {
		return io.Copy(io.Discard, r)
	}
	return io.Copy(w.w, r)
}

func (w *responseWriter) begin() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

// Flush implements http.Flusher.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *responseWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.w).Flush()
}

// Hijack implements http.Hijacker, where the server's own writer does.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.answered {
		return nil, nil, http.ErrHijacked
	}
	conn, buffer, err := http.NewResponseController(w.w).Hijack()
	w.hijacked = w.hijacked || err == nil
	return conn, buffer, err
}

// Unwrap gives http.ResponseController the deadlines and full duplex.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.w }

// finish sees that a response without a body goes through the guest too.
func (w *responseWriter) finish() {
	if !w.wrote && !w.hijacked {
		w.WriteHeader(http.StatusOK)
	}
}

var _ interface {
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
} = (*responseWriter)(nil)
