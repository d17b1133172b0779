package identityhost_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"kest.example/kest"
	"kest.example/kest/identityhost"
)

const token = "correct-horse-battery-staple"

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t, setup{})
	for path, allow := range map[string]string{
		"/v1/sessions": "POST", "/v1/keys": "POST", "/v1/traces": "POST", "/v1/keys/x": "GET, HEAD", claimPath(1): "GET, HEAD, PUT",
		"/healthz": "GET, HEAD", "/readyz": "GET, HEAD", "/metrics": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"} {
			r := w.clients["unix"].do(t, method, path, "")
			allowed := slices.Contains(strings.Split(allow, ", "), method)
			if (r.status == 405) == allowed || r.status == 405 && r.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q", method, path, r.status, r.header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/keys/", "/v1/keys/a/b", "/v1/claims", "/v1/claims/", "/v1//sessions", "/v1/./sessions", "/x/../v1/sessions",
		"/V1/sessions", "/v1/sessions/", "/v1%2fsessions", "/debug/pprof/", "/debug/vars", "/metrics/", "/healthz/x", "/v2/sessions",
	} {
		w.each(func(c client, over string) {
			for _, method := range []string{"GET", "POST"} {
				c.do(t, method, path, "").want(t, method+" "+path+" over "+over, 404)
			}
		})
	}
	w.clients["unix"].do(t, "POST", "/v1/traces", "").want(t, "traces", 501)
	w.clients["unix"].raw(t, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").want(t, "OPTIONS *", 404)
}

func TestToken(t *testing.T) {
	w := newWorld(t, setup{token: token})
	k := newSessionKey(t, "k")
	w.register(k)
	w.each(func(c client, over string) {
		c.do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, over, 200)
		c.token = ""
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			c.do(t, "GET", path, "").want(t, path, 200)
		}
		for name, value := range map[string]string{
			"none": "", "no scheme": token, "another scheme": "Basic " + token, "an empty one": "Bearer ", "a wrong one": "Bearer " + token + "x",
			"its beginning": "Bearer " + token[:10], "two blanks": "Bearer  " + token, "in capitals": "Bearer " + strings.ToUpper(token),
		} {
			for _, path := range []string{"/v1/keys/x?principal=p", claimPath(1), "/v1/unknown", "/v1"} {
				r := c.do(t, "GET", path, "", "Authorization", value)
				r.want(t, name+" over "+over, 401)
				if r.header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s: WWW-Authenticate %q", name, r.header.Get("WWW-Authenticate"))
				}
			}
			c.do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()), "Authorization", value).want(t, name, 401)
		}
		c.do(t, "GET", "/v1/unknown", "", "Authorization", "bearer "+token).want(t, "the scheme in small letters", 404)
	})
	raw := w.clients["loopback"].raw(t, "GET /v1/keys/x?principal=p HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+token+"\r\nAuthorization: Bearer x\r\n\r\n")
	if raw.status != 401 {
		t.Errorf("two headers: %d", raw.status)
	}
	empty := newWorld(t, setup{})
	h := identityhost.Handler(empty.agent, identityhost.WithToken(""))
	c := serveOn(t, identityhost.NewServer(h, discard()), "tcp", "127.0.0.1:0", "")
	for _, value := range []string{"", "Bearer", "Bearer "} {
		c.do(t, "GET", "/v1/keys/x?principal=p", "", "Authorization", value).want(t, "an empty token", 401)
	}
}

// dial opens a connection on which a test writes as it likes.
func (c client) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial(c.network, c.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// raw sends the bytes of a request and reads one answer.
func (c client) raw(t *testing.T, request string) reply {
	t.Helper()
	conn := c.dial(t)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(body)}
}

// Clients that send slowly, or nothing more, don't hinder others.
func TestSlowClients(t *testing.T) {
	w := newWorld(t, setup{})
	w.each(func(c client, over string) {
		for i := range 200 {
			head := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n[\"", claimPath(i))
			if i%2 == 0 {
				head = "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nX-Slow: "
			}
			if _, err := io.WriteString(c.dial(t), head); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			s := w.register(newSessionKey(t, fmt.Sprint(over, i)))
			c.do(t, "GET", "/v1/keys/"+s.KeyID+"?principal="+orders, "").want(t, over, 200)
		}
	})
}

func TestRequestsThatAreTooLarge(t *testing.T) {
	w := newWorld(t, setup{})
	w.each(func(c client, over string) {
		if r := c.raw(t, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 40<<10)+"\r\n\r\n"); r.status != 431 {
			t.Errorf("long headers over %s: %d", over, r.status)
		}
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 4096, strings.Repeat("a", 4096))
		r := c.raw(t, "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 5))
		r.want(t, "a long body without a length", 413)
		r = c.raw(t, "PUT "+claimPath(1)+" HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n")
		r.want(t, "a body that is announced as too long", 413)
	})
}

// A body that takes too long is 408, over HTTP/1.1 and over HTTP/2.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, setup{})
	h := identityhost.Handler(w.agent, identityhost.WithBodyTime(50*time.Millisecond))
	c := serveOn(t, identityhost.NewServer(h, discard()), "tcp", "127.0.0.1:0", "")
	r := c.raw(t, "PUT "+claimPath(1)+" HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n[\"")
	r.want(t, "a slow body", 408)
	c = c.http2(t)
	body, end := io.Pipe()
	defer func() { _ = end.Close() }()
	request, err := http.NewRequest("PUT", "http://agent"+claimPath(1), body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != 408 {
		t.Errorf("over HTTP/2: %d", answer.StatusCode)
	}
	c.do(t, "PUT", claimPath(1), passport).want(t, "the next on the same connection", 204)
}

// Bodies that are being read share a memory; when it is used up the next one is
// refused, and those that end give it back.
func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t, setup{})
	h := identityhost.Handler(w.agent, identityhost.WithBodyMemory(1<<20))
	c := serveOn(t, identityhost.NewServer(h, discard()), "tcp", "127.0.0.1:0", "")
	part := "PUT " + claimPath(1) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n[\"" + strings.Repeat("a", 300<<10)
	slow := []net.Conn{c.dial(t), c.dial(t)}
	for _, conn := range slow {
		if _, err := io.WriteString(conn, part); err != nil {
			t.Fatal(err)
		}
	}
	large := `["` + strings.Repeat("a", 500<<10) + `"]`
	eventually(t, "no room for a large body", func() bool { return c.do(t, "PUT", claimPath(2), large).status == 503 })
	for _, conn := range slow {
		_ = conn.Close()
	}
	eventually(t, "room again", func() bool { return c.do(t, "PUT", claimPath(3), large).status == 204 })
}

func TestBodyThatBreaksOff(t *testing.T) {
	w := newWorld(t, setup{})
	c := w.clients["loopback"]
	for range 50 {
		conn := c.dial(t)
		if _, err := io.WriteString(conn, "PUT "+claimPath(1)+" HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n[\""); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	eventually(t, "no body's memory is held any more", func() bool { return w.metric("kest_agent_body_bytes") == 0 })
	c.do(t, "GET", claimPath(1), "").want(t, "half a claim", 404)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came to: " + what)
		}
	}
}

// http2 is a client of the same agent over HTTP/2 without TLS.
func (c client) http2(t *testing.T) client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, c.network, c.address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{Transport: transport, Timeout: time.Minute}
	return c
}

// Envoy speaks HTTP/2 without TLS to the agent, many requests on one connection.
func TestHTTP2(t *testing.T) {
	w := newWorld(t, setup{})
	w.each(func(c client, over string) {
		c = c.http2(t)
		var wait sync.WaitGroup
		for i := range 50 {
			wait.Go(func() {
				k := newSessionKey(t, fmt.Sprint("h2", over, i))
				r := c.do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()))
				r.want(t, "h2c over "+over, 200)
				c.do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, "h2c over "+over, 200)
			})
			w.clock.add(50 * time.Millisecond) // within the rate
		}
		wait.Wait()
		body := `["` + strings.Repeat("a", 1<<20-4) + `"]`
		c.do(t, "PUT", claimPath(len(over)), body).want(t, "a large claim", 204)
		if r := c.do(t, "GET", claimPath(len(over)), ""); r.body != body {
			t.Errorf("%d bytes came back", len(r.body))
		}
		c.do(t, "PUT", claimPath(99), body+body).want(t, "a claim that is too large", 413)
		c.do(t, "GET", "/nowhere", "").want(t, "nowhere", 404)
	})
}

// More connections than there may be: the one that has waited for longest gives
// way to a new one, also to one that speaks HTTP/2.
func TestManyConnections(t *testing.T) {
	w := newWorld(t, setup{})
	c := w.clients["unix"]
	var conns []net.Conn
	for range identityhost.MaxConnections + 100 {
		conn := c.dial(t)
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n") // without an end
		conns = append(conns, conn)
	}
	c.do(t, "GET", "/healthz", "").want(t, "beside the others", 200)
	c.http2(t).do(t, "GET", "/healthz", "").want(t, "over HTTP/2, beside the others", 200)
	w.register(newSessionKey(t, "k"))
	_ = conns[0].SetReadDeadline(time.Now().Add(5 * time.Second)) // less than its headers may take
	var timeout net.Error
	if _, err := conns[0].Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the first connection is there still: %v", err)
	}
}

// page reads /metrics as Prometheus would.
func (w *world) page() (map[string]float64, string) {
	w.t.Helper()
	r := w.clients["unix"].do(w.t, "GET", "/metrics", "")
	r.want(w.t, "metrics", 200)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(r.body))
	if err != nil || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		w.t.Fatalf("%v: %q", err, r.header.Get("Content-Type"))
	}
	values := make(map[string]float64)
	for name, family := range families {
		if !strings.HasPrefix(name, "kest_") || family.GetHelp() == "" {
			w.t.Errorf("the metric %s, %q", name, family.GetHelp())
		}
		for _, m := range family.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				label += " " + l.GetValue()
			}
			values[name+label] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values, r.body
}

func (w *world) metric(name string) float64 {
	values, _ := w.page()
	return values[name]
}

func TestMetrics(t *testing.T) {
	id := *newSessionKey(t, "workload").Identity
	id.WorkloadID, id.NotAfter = orders, newClock().Now().Add(time.Hour)
	w := newWorld(t, setup{provider: fixed{&id}})
	s := w.register(newSessionKey(t, "k"))
	c := w.clients["unix"]
	c.do(t, "GET", "/v1/keys/"+s.KeyID+"?principal="+orders, "")
	c.do(t, "GET", "/v1/keys/"+s.KeyID+"?principal=other", "")
	c.do(t, "PUT", claimPath(1), passport)
	c.do(t, "GET", "/nowhere/"+s.KeyID, "")
	values, _ := w.page()
	for name, want := range map[string]float64{
		"kest_agent_requests_total /v1/sessions 200":      1,
		"kest_agent_requests_total /v1/keys/{kid} 200":    1,
		"kest_agent_requests_total /v1/keys/{kid} 404":    1,
		"kest_agent_requests_total /v1/claims/{uuid} 204": 1,
		"kest_agent_requests_total other 404":             1,
		"kest_agent_request_seconds /v1/keys/{kid}":       2,
		"kest_agent_sessions":                             1,
		"kest_agent_unshared_sessions":                    0,
		"kest_agent_claims":                               1,
		"kest_agent_ready":                                1,
		"kest_agent_identity_not_after_seconds":           float64(id.NotAfter.Unix()),
		"kest_agent_body_bytes":                           0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if values["kest_agent_claim_bytes"] < float64(len(passport)) {
		t.Errorf("claim bytes: %v", values["kest_agent_claim_bytes"])
	}
	w.clock.add(2 * time.Hour)
	for name, want := range map[string]float64{"kest_agent_sessions": 0, "kest_agent_claims": 0, "kest_agent_claim_bytes": 0, "kest_agent_ready": 0} {
		if got := w.metric(name); got != want {
			t.Errorf("later, %s is %v, want %v", name, got, want)
		}
	}
}

// Neither the log nor the metrics nor an error tells a token or a private key,
// whatever is sent, and however a request fails.
func TestNothingTellsASecret(t *testing.T) {
	const secret = "c2VjcmV0LXByaXZhdGUta2V5LW9mLTMyLWJ5dGVzISE"
	away := &switching{Cache: newReplacing()}
	w := newWorld(t, setup{token: token, cache: away})
	k := newSessionKey(t, "k")
	private := strings.Replace(k.jwk, "{", `{"d":"`+secret+`",`, 1)
	leaky := k.forge(`{"alg":"EdDSA","jwk":`+private+`,"typ":"kest-session+jws"}`, fmt.Sprintf(`{"aud":"kest-agent","iat":%d,"jti":"x"}`, w.clock.Now().Unix()))
	var answers strings.Builder
	c := w.clients["unix"]
	s := w.register(k)
	send := func(method, path, body string, headers ...string) {
		r := c.do(t, method, path, body, headers...)
		fmt.Fprintln(&answers, r.status, r.header, r.body)
	}
	everything := func() {
		send("POST", "/v1/sessions", leaky)
		send("POST", "/v1/sessions", newSessionKey(t, "l").prove(t, w.clock.Now()))
		send("POST", "/v1/keys", `{"principal":"p","binding":"a.b.c","jwk":`+private+`}`)
		send("POST", "/v1/keys", `{"principal":"p","d":"`+secret+`"}`)
		send("GET", "/v1/keys/"+secret+"?principal=p", "")
		send("GET", "/v1/keys/"+s.KeyID+"?principal="+orders+"&token="+token, "")
		send("PUT", claimPath(1), private)
		send("GET", claimPath(2)+"?token="+token, "")
		send("GET", "/"+token+"/"+secret, "")
		send("POST", "/v1/sessions", "", "Authorization", "Bearer "+token+"x")
		send("POST", "/v1/sessions", "", "Authorization", "Basic "+token)
	}
	everything()
	away.set(errBroken)
	everything()
	away.set(nil)
	w.provider.SetError(fmt.Errorf("late: %w", kest.ErrUnavailable))
	everything()
	_, metrics := w.page()
	raw, _ := io.ReadAll(io.MultiReader(strings.NewReader(w.log.String()), strings.NewReader(metrics), strings.NewReader(answers.String())))
	for _, bad := range []string{token, secret, `"d"`} {
		if strings.Contains(string(raw), bad) {
			t.Errorf("%q was told:\n%s", bad, raw)
		}
	}
	if !strings.Contains(w.log.String(), "a request failed") {
		t.Error("the log doesn't tell failures: the test looks at nothing")
	}
	for _, v := range []any{w.agent, k.Identity} {
		text, _ := json.Marshal(v)
		if all := fmt.Sprintf("%v %+v %#v %s", v, v, v, text); strings.Contains(all, token) {
			t.Error("printing an agent tells the token")
		}
	}
}

// The log has a line for each second, not for each request.
func TestTheLogIsBounded(t *testing.T) {
	w := newWorld(t, setup{cache: brokenCache{}})
	for range 200 {
		w.clients["unix"].do(t, "GET", claimPath(1), "")
	}
	if n := strings.Count(w.log.String(), "a request failed"); n == 0 || n > 20 {
		t.Errorf("%d lines for 200 failures", n)
	}
}
