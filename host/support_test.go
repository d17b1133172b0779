package host_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kest.example/kest/host"
	"kest.example/kest/internal/logtest"
)

// hostLog is a log to wait for.
type hostLog struct{ logtest.Buffer }

// await waits until the log holds a text n times.
func (l *hostLog) await(t *testing.T, text string, n int) {
	t.Helper()
	for range 500 {
		if l.Count(text) >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the log holds %q %d times, not %d:\n%s", text, l.Count(text), n, l)
}

// newFilter makes a filter of the test guest.
func newFilter(t testing.TB, configuration string, opts ...host.Option) (*host.Filter, *hostLog) {
	t.Helper()
	log := &hostLog{}
	opts = append([]host.Option{
		host.WithCompileCache(host.CacheDir), host.WithPool(2), host.WithDeadline(5 * time.Second),
		host.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))),
	}, opts...)
	f, err := host.New(context.Background(), host.GuestWasm, []byte(configuration), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f, log
}

// upstream is the handler behind the filter: it says what it saw.
func upstream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Path", r.URL.RequestURI())
	w.Header().Set("X-Secret", "upstream")
	w.Header()["X-Header"] = []string{r.Method + " " + r.Host}
	for name, values := range r.Header {
		w.Header()["Seen-"+name] = values
	}
	body, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, "upstream "+string(body))
}

func newServer(t testing.TB, f *host.Filter) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f.Handler(http.HandlerFunc(upstream)))
	t.Cleanup(s.Close)
	return s
}

type result struct {
	*http.Response
	body string
}

func do(t testing.TB, r *http.Request) result {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return result{resp, string(body)}
}

func get(t testing.TB, url string, header ...string) result {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return do(t, r)
}

// wantUnavailable wants the host's own refusal: 503, a problem, and nothing
// but an id of what was wrong, under which the log has it.
func wantUnavailable(t *testing.T, r result, log *hostLog) {
	t.Helper()
	if r.StatusCode != 503 || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %d %s %q", r.StatusCode, r.Header.Get("Content-Type"), r.body)
	}
	before, rest, ok := strings.Cut(r.body, `{"decision_id":"`)
	id, rest, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 || before != "" || len(id) != 36 || rest != `,"status":503,"title":"Service Unavailable","type":"about:blank"}` {
		t.Fatalf("body %q", r.body)
	}
	log.await(t, id, 1)
}
