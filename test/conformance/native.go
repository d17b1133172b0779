package conformance

import (
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"kest.example/kest/plugin"
	"kest.example/kest/policy/cedar"
)

// Now is the time at which surfaces run where they can choose.
func Now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// Random is the randomness that surfaces use where they can choose: with it
// and with Now, all make the same bytes.
func Random() io.Reader { return rand.NewChaCha8([32]byte([]byte("kest conformance, not secret ..."))) }

// Native is the surface without any proxy: package plugin, called.
type Native struct{}

// Do implements Surface.
func (Native) Do(t *testing.T, c Case) Result {
	t.Helper()
	f, err := plugin.New(c.Configuration, plugin.Environment{
		Now: Now, Random: Random(), VerifyOnly: c.Guest == GuestLineage,
		Log: func(_ plugin.Level, message string) { t.Log(message) },
		Cedar: func(policies map[string]string) (plugin.LocalEngine, error) {
			return cedar.New(policies, nil)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	claims := maps.Clone(c.Claims)
	if claims == nil {
		claims = make(map[string]string)
	}
	exchange, step := f.Begin(&plugin.Request{Headers: requestHeaders(c)})
	for step.Kind == plugin.CallOut {
		result := plugin.CallResult{}
		if step.Call.Cluster != ClaimCluster {
			t.Fatalf("a call to the cluster %q", step.Call.Cluster)
		}
		if !c.ClaimsDown {
			result.Status, result.Body = claimStore(t, claims, step.Call)
		}
		step = exchange.Resume(result)
	}
	if step.Kind == plugin.Refuse {
		result := Result{Status: step.Response.Status, GRPC: step.Response.GRPC, Body: step.Response.Body, Claims: claims}
		for _, h := range step.Response.Headers {
			result.Header = append(result.Header, Header{h.Name, h.Value})
		}
		return result
	}
	return Result{Status: 200, GRPC: 0, Upstream: edit(c.Request.Headers, step.Edits), Claims: claims}
}

func requestHeaders(c Case) []plugin.Header {
	headers := []plugin.Header{
		{Name: ":method", Value: c.Request.Method}, {Name: ":path", Value: c.Request.Path}, {Name: ":authority", Value: c.Request.Authority},
	}
	for _, h := range c.Request.Headers {
		headers = append(headers, plugin.Header{Name: h[0], Value: h[1]})
	}
	return headers
}

// edit returns the headers as the upstream sees them.
func edit(headers []Header, edits []plugin.Edit) []Header {
	out := make([]Header, 0, len(headers)+len(edits))
	changed := make(map[string]bool)
	for _, e := range edits {
		changed[e.Name] = true
	}
	for _, h := range headers {
		if !changed[h[0]] {
			out = append(out, h)
		}
	}
	for _, e := range edits {
		if e.Value != "" {
			out = append(out, Header{e.Name, e.Value})
		}
	}
	return out
}

// claimStore is PUT and GET /v1/claims/{uuid} of DESIGN 6.
func claimStore(t *testing.T, claims map[string]string, call plugin.Call) (status int, body []byte) {
	t.Helper()
	method, path := "", ""
	for _, h := range call.Headers {
		switch h.Name {
		case ":method":
			method = h.Value
		case ":path":
			path = h.Value
		}
	}
	at, err := url.Parse(path)
	if err != nil || !strings.HasPrefix(at.Path, "/v1/claims/") {
		t.Fatalf("a call to the path %q: %v", path, err)
	}
	id := strings.TrimPrefix(at.Path, "/v1/claims/")
	have, known := claims[id]
	switch {
	case method == "PUT" && known:
		return 409, nil
	case method == "PUT":
		claims[id] = string(call.Body)
		return 204, nil
	case method != "GET":
		t.Fatalf("a call with the method %q", method)
	case !known:
		return 404, nil
	}
	return 200, []byte(have)
}
