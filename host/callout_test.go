package host_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kest.example/kest/host"
)

func newCallee(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func callee(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/big":
		_, _ = w.Write(make([]byte, 1<<20+1))
	case "/full":
		_, _ = w.Write(make([]byte, 1<<20))
	case "/redirect":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case "/slow":
		select {
		case <-r.Context().Done():
		case <-time.After(3 * time.Second):
		}
	case "/abort":
		panic(http.ErrAbortHandler)
	case "/trailer":
		w.Header().Set(http.TrailerPrefix+"X-End", "1")
	default:
		_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Call")+" "+string(body))
	}
}

func TestCallout(t *testing.T) {
	f, _ := newFilter(t, "", host.WithTarget("callee", newCallee(t, callee)))
	s := newServer(t, f)
	for query, want := range map[string]string{
		"path=/a%3Fb=c&ms=1000":  "200 ok POST callee /a?b=c 1 the body 0",
		"path=/slow&ms=200":      "failed ok  0",
		"path=/abort&ms=1000":    "failed ok  0",
		"path=/big&ms=1000":      "failed ok  0",
		"path=/redirect&ms=1000": "302 ok  0",
		"path=/trailer&ms=1000":  "200 ok  1",
		"path=&ms=1000":          "call: bad argument",
		"path=/x&ms=0":           "call: bad argument",
	} {
		if r := get(t, s.URL+"/call?cluster=callee&"+query); r.StatusCode != 200 || r.body != want {
			t.Errorf("%s: %d %q, not %q", query, r.StatusCode, r.body, want)
		}
	}
	if r := get(t, s.URL+"/call?cluster=callee&path=/full&ms=1000"); len(r.body) != 1<<20+len("200 ok  0") {
		t.Error("an answer of 1 MiB came as", len(r.body))
	}
	if r := get(t, s.URL+"/call?cluster=unknown&path=/&ms=1000"); r.body != "call: bad argument" {
		t.Error(r.body)
	}
}

func TestCalloutThenContinue(t *testing.T) {
	f, _ := newFilter(t, "", host.WithPool(1), host.WithTarget("callee", newCallee(t, callee)))
	s := newServer(t, f)
	r := get(t, s.URL+"/callpass?cluster=callee&path=/&ms=1000")
	if r.StatusCode != 200 || r.Header.Get("Seen-X-Call-Status") != "200" || r.body != "upstream " {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, r.body)
	}
	if r := get(t, s.URL+"/pass?response=call"); r.StatusCode != 200 || !strings.HasPrefix(r.body, "200 ok GET callee /") {
		t.Errorf("a callout in the response: %d %q", r.StatusCode, r.body)
	}
}

func TestCalloutOverUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(callee))
	s.Listener = l
	s.Start()
	defer s.Close()
	f, _ := newFilter(t, "", host.WithTarget("callee", "unix:"+path))
	if r := get(t, newServer(t, f).URL+"/call?cluster=callee&path=/u&ms=1000"); r.body != "200 ok POST callee /u 1 the body 0" {
		t.Errorf("%q", r.body)
	}
}

// A request that waits for a callout leaves its instance to others.
func TestWaitingHoldsNoInstance(t *testing.T) {
	f, _ := newFilter(t, "", host.WithPool(1), host.WithTarget("callee", newCallee(t, callee)))
	s := newServer(t, f)
	waiting := make(chan result)
	go func() { waiting <- get(t, s.URL+"/call?cluster=callee&path=/slow&ms=1000") }()
	time.Sleep(100 * time.Millisecond)
	start := time.Now()
	if r := get(t, s.URL+"/pass"); r.StatusCode != 200 || time.Since(start) > 500*time.Millisecond {
		t.Error(r.StatusCode, time.Since(start))
	}
	if r := <-waiting; r.body != "failed ok  0" {
		t.Error(r.body)
	}
}

// The budget covers callouts, whatever time-out they were given.
func TestDeadlineCoversCallouts(t *testing.T) {
	f, log := newFilter(t, "", host.WithDeadline(300*time.Millisecond), host.WithTarget("callee", newCallee(t, callee)))
	start := time.Now()
	wantUnavailable(t, get(t, newServer(t, f).URL+"/call?cluster=callee&path=/slow&ms=60000"), log)
	if d := time.Since(start); d > 2*time.Second {
		t.Error(d)
	}
	log.await(t, "answer failed", 1)
}

func TestClientGone(t *testing.T) {
	cancelled := make(chan struct{})
	f, log := newFilter(t, "", host.WithTarget("callee", newCallee(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
		close(cancelled)
	})))
	s := newServer(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/call?cluster=callee&path=/&ms=60000", nil)
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("an answer came")
	}
	select {
	case <-cancelled:
	case <-time.After(2 * time.Second):
		t.Error("the callout goes on")
	}
	log.await(t, "answer failed", 1)
	log.await(t, "ended /call", 1)
}

func TestCalloutAtStart(t *testing.T) {
	_, log := newFilter(t, "call=callee", host.WithTarget("callee", newCallee(t, callee)))
	log.await(t, "answer 200", 1)
}

func TestTicks(t *testing.T) {
	f, log := newFilter(t, "tick=30", host.WithPool(1))
	log.await(t, "tick 3", 1)
	r := get(t, newServer(t, f).URL+"/wait")
	if r.StatusCode != 200 || r.Header.Get("Seen-X-Ticks") == "" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
}
