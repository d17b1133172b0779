package host_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"kest.example/kest/host"
)

func TestGuestSeesTheRequest(t *testing.T) {
	f, _ := newFilter(t, "")
	s := newServer(t, f)
	r := get(t, s.URL+"/echo?a=b%20c", "Baggage", "kest.user=a", "Baggage", "k=v,w=x", "X-B", "2", "X-A", "1")
	host := strings.TrimPrefix(s.URL, "http://")
	want := ":method: GET\n:path: /echo?a=b%20c\n:authority: " + host + "\n:scheme: http\n" +
		"accept-encoding: gzip\nbaggage: kest.user=a\nbaggage: k=v,w=x\nuser-agent: Go-http-client/1.1\nx-a: 1\nx-b: 2\nend: true\n"
	if r.StatusCode != 200 || r.body != want {
		t.Errorf("%d\n%s", r.StatusCode, r.body)
	}
}

func TestGuestSeesThePathAsWritten(t *testing.T) {
	f, _ := newFilter(t, "")
	h := f.Handler(http.HandlerFunc(upstream))
	for _, path := range []string{"/echo?x=%2e%2e", "/echo?", "/echo?a=b?c"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader("x")))
		if !strings.Contains(w.Body.String(), ":path: "+path+"\n") || !strings.Contains(w.Body.String(), "end: false") {
			t.Errorf("%s\n%s", path, w.Body)
		}
	}
}

func TestBodyPasses(t *testing.T) {
	f, _ := newFilter(t, "")
	s := newServer(t, f)
	body := strings.Repeat("0123456789", 100_000)
	resp, err := http.Post(s.URL+"/pass", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, _ := io.ReadAll(resp.Body)
	if string(got) != "upstream "+body {
		t.Errorf("%d bytes came back", len(got))
	}
}

func TestEdits(t *testing.T) {
	f, _ := newFilter(t, "")
	s := newServer(t, f)
	r := get(t, s.URL+"/edit?path=/other%3Fq=1&host=edited.example&method=PUT",
		"X-Remove", "1", "X-Remove", "2", "X-Multi", "a", "X-Multi", "b", "X-Many", "1", "X-Many", "2", "Host", "ignored")
	for name, want := range map[string][]string{
		"X-Path": {"/other?q=1"}, "X-Header": {"PUT edited.example"}, "Seen-X-Edited": {"yes"}, "Seen-X-Remove": nil,
		"Seen-X-Multi": {"a", "b", "c"}, "Seen-X-Many": {"one"},
		"Seen-X-Statuses": {"ok,ok,ok,ok,ok,bad argument,bad argument,bad argument,bad argument"},
	} {
		if got := r.Header[name]; !slices.Equal(got, want) {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

func TestEditsThatCannotBeSent(t *testing.T) {
	f, log := newFilter(t, "")
	s := newServer(t, f)
	for _, query := range []string{"path=no-slash", "path=/%25zz", "host=a/b", "method=B%20C"} {
		wantUnavailable(t, get(t, s.URL+"/edit?"+query), log)
	}
}

func TestOriginalRequestIsLeftAlone(t *testing.T) {
	f, _ := newFilter(t, "")
	r := httptest.NewRequest(http.MethodGet, "/edit?path=/other&host=edited.example", nil)
	r.Header.Set("X-Remove", "1")
	f.Handler(http.HandlerFunc(upstream)).ServeHTTP(httptest.NewRecorder(), r)
	if r.URL.Path != "/edit" || r.Host != "example.com" || r.Header.Get("X-Remove") != "1" || r.Header.Get("X-Edited") != "" {
		t.Error(r.URL, r.Host, r.Header)
	}
}

func TestLocalResponse(t *testing.T) {
	f, _ := newFilter(t, "")
	s := newServer(t, f)
	r := get(t, s.URL+"/deny")
	if r.StatusCode != 403 || r.body != `{"status":403}` || r.Header.Get("Content-Type") != "application/problem+json" ||
		!slices.Equal(r.Header["X-Twice"], []string{"1", "2"}) || r.Header.Get("X-Path") != "" {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, r.body)
	}
	if r := get(t, s.URL+"/continue-deny"); r.StatusCode != 403 || strings.Contains(r.body, "upstream") {
		t.Errorf("an answer lost against Continue: %d %q", r.StatusCode, r.body)
	}
	head, err := http.Head(s.URL + "/deny")
	if err != nil || head.StatusCode != 403 {
		t.Error(head, err)
	}
}

func TestGRPCLocalResponse(t *testing.T) {
	f, log := newFilter(t, "")
	s := newServer(t, f)
	r := get(t, s.URL+"/deny", "Content-Type", "application/grpc+proto")
	if r.StatusCode != 200 || r.Header.Get("Grpc-Status") != "7" || r.Header.Get("Grpc-Message") != `{"status":403}` ||
		r.Header.Get("Content-Type") != "application/grpc" || r.body != "" {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, r.body)
	}
	r = get(t, s.URL+"/exit", "Content-Type", "application/grpc")
	if r.StatusCode != 200 || r.Header.Get("Grpc-Status") != "14" || !strings.Contains(r.Header.Get("Grpc-Message"), "decision_id") {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	if r := get(t, s.URL+"/deny", "Content-Type", "application/grpcweb"); r.StatusCode != 403 {
		t.Error(r.StatusCode)
	}
	_ = log
}

func TestFailClosed(t *testing.T) {
	f, log := newFilter(t, "")
	s := newServer(t, f)
	for _, path := range []string{"/pause", "/close"} {
		wantUnavailable(t, get(t, s.URL+path), log)
	}
	if r := get(t, s.URL+"/panic"); r.StatusCode != 503 || !strings.Contains(r.body, `"status":503`) {
		t.Error(r.StatusCode, r.body)
	}
	log.await(t, "panic in proxy_on_request_headers: at will", 1)
	if r := get(t, s.URL+"/resume"); r.StatusCode != 200 || r.body != "upstream " {
		t.Errorf("continue_stream in the callback: %d %q", r.StatusCode, r.body)
	}
}

func TestFilterState(t *testing.T) {
	f, _ := newFilter(t, "")
	outer, _ := newFilter(t, "")
	var got []string
	h := outer.Handler(f.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, key := range []string{"kest.verdict", "kest.property", "other"} {
			value, ok := host.State(r.Context(), key)
			got = append(got, value)
			if ok != (key != "other") {
				t.Error(key, ok)
			}
		}
	})))
	r := httptest.NewRequest(http.MethodGet, "/state?key=kest.verdict&value=yes", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if !slices.Equal(got, []string{"yes", "yes", ""}) {
		t.Errorf("%q", got)
	}
	if _, ok := host.State(r.Context(), "kest.verdict"); ok {
		t.Error("the state is there outside of the request")
	}
}

func TestLifecycle(t *testing.T) {
	f, log := newFilter(t, "tick=20")
	s := newServer(t, f)
	get(t, s.URL+"/pass")
	log.await(t, "ended /pass headers", 1)
	get(t, s.URL+"/pass?keep=1")
	log.await(t, `msg="done ok"`, 1)
	log.await(t, "ended /pass headers", 2)
	get(t, s.URL+"/stderr")
	log.await(t, `level=ERROR msg="to standard error"`, 1)
}
