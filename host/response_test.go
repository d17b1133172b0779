package host_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestResponseEdits(t *testing.T) {
	f, _ := newFilter(t, "")
	s := newServer(t, f)
	r := get(t, s.URL+"/pass?response=edit")
	if r.StatusCode != 202 || r.Header.Get("X-Response") != "edited" || r.Header.Get("X-Secret") != "" ||
		r.Header.Get("X-Path") == "" || r.body != "upstream " {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, r.body)
	}
}

func TestResponseRefused(t *testing.T) {
	f, log := newFilter(t, "")
	s := newServer(t, f)
	r := get(t, s.URL+"/pass?response=deny")
	if r.StatusCode != 403 || r.body != "no response" || r.Header.Get("X-Secret") != "" {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, r.body)
	}
	if r := get(t, s.URL+"/pass?response=panic"); r.StatusCode != 503 || strings.Contains(r.body, "upstream") {
		t.Errorf("%d %q", r.StatusCode, r.body)
	}
	for _, how := range []string{"pause", "exit"} {
		r := get(t, s.URL+"/pass?response="+how)
		wantUnavailable(t, r, log)
		if r.Header.Get("X-Secret") != "" {
			t.Error(how, "next's header leaks")
		}
	}
	if r := get(t, s.URL+"/pass"); r.StatusCode != 200 {
		t.Error("no fresh instance after a trap:", r.StatusCode)
	}
}

func TestOuterHeadersStay(t *testing.T) {
	f, _ := newFilter(t, "")
	inner := f.Handler(http.HandlerFunc(upstream))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "1")
		inner.ServeHTTP(w, r)
	})
	for _, path := range []string{"/deny", "/pass?response=deny", "/pass"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Header().Get("X-Outer") != "1" {
			t.Error(path, w.Header())
		}
	}
}

func TestHandlerThatWritesNothing(t *testing.T) {
	f, _ := newFilter(t, "")
	w := httptest.NewRecorder()
	f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/pass?response=edit", nil))
	if w.Code != 202 {
		t.Error(w.Code)
	}
}

func TestFlushStreams(t *testing.T) {
	f, _ := newFilter(t, "")
	first := make(chan struct{})
	s := httptest.NewServer(f.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		<-first
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("two\n"))
		if n != 4 || err != nil {
			t.Error(n, err)
		}
	})))
	defer s.Close()
	resp, err := http.Get(s.URL + "/pass")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	if line, _ := lines.ReadString('\n'); line != "one\n" {
		t.Errorf("%q", line)
	}
	close(first)
	if line, _ := lines.ReadString('\n'); line != "two\n" {
		t.Errorf("%q", line)
	}
}

func TestHijack(t *testing.T) {
	f, log := newFilter(t, "")
	s := httptest.NewServer(f.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello")
		_ = conn.Close()
	})))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /pass HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
	all, _ := io.ReadAll(conn)
	if !strings.HasSuffix(string(all), "hello") {
		t.Errorf("%q", all)
	}
	log.await(t, "ended /pass", 1)
}

func TestInterimResponses(t *testing.T) {
	f, _ := newFilter(t, "")
	s := httptest.NewServer(f.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})))
	defer s.Close()
	r, _ := http.NewRequest(http.MethodGet, s.URL+"/pass", nil)
	var hints []int
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		hints = append(hints, code)
		return nil
	}}
	got := do(t, r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if got.StatusCode != http.StatusTeapot || !slices.Equal(hints, []int{103}) {
		t.Error(got.StatusCode, hints)
	}
}

func TestHTTP2(t *testing.T) {
	f, _ := newFilter(t, "")
	s := httptest.NewUnstartedServer(f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Trailer")
		upstream(w, r)
		w.(http.Flusher).Flush()
		w.Header().Set("X-Trailer", "end")
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("HTTP/2 was hijacked")
		}
	})))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	for path, status := range map[string]int{"/pass?response=edit": 202, "/deny": 403, "/pass?response=deny": 403} {
		resp, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != status {
			t.Errorf("%s: %s %d %q", path, resp.Proto, resp.StatusCode, body)
		}
		if trailer := resp.Trailer.Get("X-Trailer"); (trailer == "end") != (status == 202) {
			t.Errorf("%s: trailer %q", path, trailer)
		}
	}
}
