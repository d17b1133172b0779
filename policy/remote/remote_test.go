package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kest.example/kest"
	"kest.example/kest/internal/enginetest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/opa"
	"kest.example/kest/policy/remote"
)

// policies are Cedar's, by id: one action each, as a store of many must have it.
var policies = map[string]string{
	"read":  `permit(principal == Workload::"spiffe://example.org/kesttest", action == Action::"orders/read", resource == Resource::"*") when { context.trust_score == 40 && context.taints.contains("kesttest") && context["subject.trust_score"] == context.subject.trust_score };`,
	"never": `forbid(principal, action == Action::"orders/never", resource);`,
	"some":  `permit(principal, action == Action::"orders/error", resource);`,
	"error": `permit(principal, action == Action::"orders/error", resource) when { context.nothing == 1 };`,
}

// opaServer answers as an OPA does: what a function says of a policy's path and the input.
func opaServer(t *testing.T, decide func(path string, input map[string]any) any) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Input map[string]any }
		path, ok := strings.CutPrefix(r.URL.Path, "/v1/data/")
		if !ok || r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&body) != nil {
			enginetest.Says(400, `{"code":"invalid_parameter"}`)(w, r)
			return
		}
		answer := map[string]any{"decision_id": "00000000-0000-4000-8000-000000000000"}
		if result := decide(path, body.Input); result != nil {
			answer["result"] = result
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server
}

// What Kest relies on in an engine holds of every remote one.
func TestEngines(t *testing.T) {
	agent := enginetest.NewCedarAgent(t, policies, secret)
	store := enginetest.NewAVP(t, "PSEXAMPLE", policies)
	data := opaServer(t, func(path string, input map[string]any) any {
		switch strings.TrimPrefix(path, "kest/") {
		case "orders/read":
			return map[string]any{"allow": input["trust_score"] == 40.0, "decision": map[string]any{"permit": true}}
		case "orders/never":
			return map[string]any{"allow": false}
		}
		return nil
	})
	for name, url := range map[string]string{
		"opa": data.URL, "opa, another decision": data.URL, "cedar agent": agent.URL, "cedar agent, bare ids": agent.URL, "avp": store.URL,
	} {
		t.Run(name, func(t *testing.T) {
			kesttest.TestEngine(t, subjects[name].open(t, url, patience), "orders/read", "orders/never")
			kesttest.TestEngine(t, subjects[name].open(t, url, patience), "orders/read", "orders/error")
		})
	}
}

// Dots separate as slashes do.
func TestReasons(t *testing.T) {
	c := kesttest.Context(t, "orders.read", "kesttest")
	agent, store := enginetest.NewCedarAgent(t, policies, ""), enginetest.NewAVP(t, "PSEXAMPLE", policies)
	data := opaServer(t, func(path string, _ map[string]any) any {
		if path != "orders/read" {
			return nil
		}
		return true
	})
	for _, want := range []struct{ subject, url, policy, reason string }{
		{"opa", data.URL, "orders.read", "result is true (OPA's decision 00000000-0000-4000-8000-000000000000)"},
		{"opa", data.URL, "orders/other", "result.allow is undefined (OPA's decision 00000000-0000-4000-8000-000000000000)"},
		{"cedar agent", agent.URL, "orders/read", "permitted by read"},
		{"cedar agent", agent.URL, "orders/never", "forbidden by never"},
		{"cedar agent", agent.URL, "orders/other", "no permit applies"},
		{"avp", store.URL, "orders/read", "permitted by read"},
		{"avp", store.URL, "orders/never", "forbidden by never"},
		{"avp", store.URL, "orders/other", "no permit applies"},
	} {
		d, err := subjects[want.subject].open(t, want.url, patience).Evaluate(context.Background(), want.policy, c)
		if err != nil || d.Reason != want.reason {
			t.Errorf("%s, %s: %+v, %v", want.subject, want.policy, d, err)
		}
	}
	for _, s := range []struct{ subject, url string }{{"cedar agent", agent.URL}, {"avp", store.URL}} {
		d, err := subjects[s.subject].open(t, s.url, patience).Evaluate(context.Background(), "orders/error", c)
		if err != nil || d.Allow || !strings.Contains(d.Reason, "nothing") {
			t.Errorf("%s, beside a policy in error: %+v, %v", s.subject, d, err)
		}
	}
}

func TestQuestionOnTheWire(t *testing.T) {
	var asked *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
		enginetest.Says(200, `{"result":true}`)(w, r)
	}))
	defer server.Close()
	e, err := remote.OPA(server.URL+"/engines/opa/", nil, remote.WithAuthorization("Bearer "+secret))
	if err != nil {
		t.Fatal(err)
	}
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	c := kesttest.Context(t, "orders.read")
	for given, want := range map[string]string{traceparent: traceparent, "": "", "a\r\nX: y": "", strings.Repeat("0", 300): ""} {
		ctx := context.Background()
		if given != "" {
			ctx = kest.ContextWithTraceparent(ctx, given)
		}
		if d, err := e.Evaluate(ctx, "team/orders.read", c); err != nil || !d.Allow {
			t.Fatalf("%+v, %v", d, err)
		}
		if have := asked.Header.Get("Traceparent"); have != want {
			t.Errorf("traceparent %q becomes %q", given, have)
		}
	}
	if asked.Method != "POST" || asked.RequestURI != "/engines/opa/v1/data/team/orders/read" || string(body) != `{"input":`+string(c.JSON())+`}` ||
		asked.Header.Get("Content-Type") != "application/json" || asked.Header.Get("Authorization") != "Bearer "+secret {
		t.Errorf("%s %s %v %s", asked.Method, asked.RequestURI, asked.Header, body)
	}
	if !e.Remote("team/orders.read") {
		t.Error("it is asked over the network, and denies it")
	}
}

func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "ke") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "opa.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(enginetest.Says(200, `{"result":true}`))
	server.Listener = l
	server.Start()
	e, err := remote.OPA("unix:"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := e.Evaluate(context.Background(), "p", kesttest.Context(t, "orders.read")); err != nil || !d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
	server.Close()
	kesttest.TestEngineUnavailable(t, e, "p")
}

// The addresses of CONTRACT 6 are those where nothing else is said.
func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		variable, fallback string
		open               func(address string) (*remote.Engine, error)
	}{
		{"KEST_OPA_URL", "http://localhost:8181", func(a string) (*remote.Engine, error) { return remote.OPA(a, nil, broken()) }},
		{"KEST_CEDAR_URL", "http://localhost:8180", func(a string) (*remote.Engine, error) { return remote.CedarAgent(a, nil, broken()) }},
	} {
		for _, at := range [][3]string{{"", "", c.fallback}, {"", "http://engine:1", "http://engine:1"}, {"http://other:2", "http://engine:1", "http://other:2"}} {
			t.Setenv(c.variable, at[1])
			e, err := c.open(at[0])
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Evaluate(context.Background(), "p", kesttest.Context(t, "orders.read"))
			if failed, ok := errors.AsType[*remote.Error](err); !ok || failed.Address != at[2] || failed.Policy != "p" {
				t.Errorf("%v: %v", at, err)
			}
		}
	}
}

type noTransport struct{}

func (noTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no way") }

// broken keeps a test from asking who really is at an address.
func broken() remote.Option { return remote.WithTransport(noTransport{}) }

func TestConfigurationThatIsWrong(t *testing.T) {
	for _, address := range []string{
		"", "localhost:8181", "//localhost", "ftp://localhost", "http://", "http:///path", "unix:", "http://user:" + secret + "@localhost", "http://" + secret + "@localhost",
		"http://localhost?a=b", "http://localhost?", "http://localhost#a", "http://local host", "http://localhost:port", "http://%zz/" + secret, "::",
	} {
		if e, err := remote.New(&opa.Codec{}, address); e != nil || !errors.Is(err, kest.ErrConfiguration) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v, %v", address, e, err)
		}
	}
	for name, option := range map[string]remote.Option{
		"no time": remote.WithTimeout(0), "negative time": remote.WithTimeout(-1), "no transport": remote.WithTransport(nil),
		"a line end": remote.WithAuthorization("Bearer " + secret + "\r\nX: y"), "no ASCII": remote.WithAuthorization("Bearer ü" + secret),
	} {
		if e, err := remote.OPA("http://localhost", nil, option); e != nil || !errors.Is(err, kest.ErrConfiguration) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	if e, err := remote.New(nil, "http://localhost"); e != nil || !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("no codec: %v, %v", e, err)
	}
}

// Under many callers each gets the answer to its own question.
func TestAnswersDoNotMix(t *testing.T) {
	server := opaServer(t, func(path string, input map[string]any) any {
		object, _ := input["object"].(map[string]any)
		return object["id"] == path
	})
	e, err := remote.OPA(server.URL, nil, remote.WithTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	about := kesttest.Context(t, "orders.read")
	var wait sync.WaitGroup
	for i := range 32 {
		wait.Go(func() {
			for j := range 16 {
				policy, c := fmt.Sprintf("p%d", i), *about
				if c.Object.ID = policy; j%2 == 1 {
					c.Object.ID = fmt.Sprintf("p%d", i+1)
				}
				if d, err := e.Evaluate(context.Background(), policy, &c); err != nil || d.Allow != (c.Object.ID == policy) {
					t.Errorf("%s of %s: %+v, %v", policy, c.Object.ID, d, err)
				}
			}
		})
	}
	wait.Wait()
}
