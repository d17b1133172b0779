package bearer_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kest.example/kest/host"
	"kest.example/kest/identityhost/bearer"
	"kest.example/kest/internal/uuid7"
)

// application answers with the claims that it sees.
func application(w http.ResponseWriter, r *http.Request) {
	claims, ok := bearer.Claims(r.Context())
	if !ok {
		claims = []byte("none")
	}
	_, _ = w.Write(claims)
}

// serve puts an application behind the scene's checker on a real socket.
func serve(t *testing.T, s *scene) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(s.checker.Middleware(http.HandlerFunc(application)))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, server *httptest.Server, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, server.URL+"/orders/7?secret=query", nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func authorization(values ...string) http.Header { return http.Header{"Authorization": values} }

func TestHeaders(t *testing.T) {
	s := newScene(t)
	server := serve(t, s)
	token := s.Sign(claims("exp", 4102444800, "iat", nil))
	const seen = `{"aud":"kest","exp":4102444800,"iss":"https://issuer.example.org","sub":"alice"}`
	for name, c := range map[string]struct {
		header http.Header
		want   string // the claims, none, or 401
	}{
		"no header":                       {nil, "none"},
		"another scheme":                  {authorization("Basic YWxpY2U6c2VjcmV0"), "none"},
		"a scheme that starts alike":      {authorization("Bearers " + token), "none"},
		"an empty header":                 {authorization(""), "none"},
		"Bearer":                          {authorization("Bearer " + token), seen},
		"bearer":                          {authorization("bearer " + token), seen},
		"BEARER":                          {authorization("BEARER " + token), seen},
		"several blanks":                  {authorization("Bearer   " + token), seen},
		"blanks around":                   {authorization("  Bearer " + token + "  "), seen},
		"a tab":                           {authorization("Bearer\t" + token), "401"},
		"a blank inside":                  {authorization("Bearer " + token[:9] + " " + token[9:]), "401"},
		"no token":                        {authorization("Bearer"), "401"},
		"no token but a blank":            {authorization("Bearer "), "401"},
		"no blank":                        {authorization("Bearer:" + token), "401"},
		"quotes":                          {authorization(`Bearer "` + token + `"`), "401"},
		"something behind":                {authorization("Bearer " + token + ", Basic x"), "401"},
		"twice the same":                  {authorization("Bearer "+token, "Bearer "+token), "401"},
		"another scheme before":           {authorization("Basic x", "Bearer "+token), "401"},
		"another scheme behind":           {authorization("Bearer "+token, "Basic x"), "401"},
		"two that are no bearer's":        {authorization("Basic x", "Basic y"), "401"},
		"a token that is none":            {authorization("Bearer x"), "401"},
		"an expired token":                {authorization("Bearer " + s.Sign(claims("exp", 1))), "401"},
		"a token in another header":       {http.Header{"X-Authorization": {"Bearer " + token}}, "none"},
		"claims that a client sends":      {http.Header{"X-Jwt-Payload": {"e30"}}, "none"},
		"bytes beyond ASCII in a scheme":  {authorization("B\u00e9arer " + token), "none"},
		"bytes beyond ASCII in the token": {authorization("Bearer " + token + "\u00e9"), "401"},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := get(t, server, c.header)
			if c.want == "401" {
				wantProblem(t, s, response, body, http.StatusUnauthorized)
				return
			}
			if response.StatusCode != http.StatusOK || body != c.want {
				t.Errorf("%d %s, want %s", response.StatusCode, body, c.want)
			}
		})
	}
}

// wantProblem checks a refusal: the client gets an id, the log the reason.
func wantProblem(t *testing.T, s *scene, response *http.Response, body string, status int) {
	t.Helper()
	if response.StatusCode != status || response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	challenge := response.Header.Get("WWW-Authenticate")
	if want := map[int]string{401: `Bearer error="invalid_token"`}[status]; challenge != want {
		t.Errorf("WWW-Authenticate %q", challenge)
	}
	var problem map[string]any
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	id, _ := problem["decision_id"].(string)
	if !uuid7.Valid(id) || problem["status"] != float64(status) || len(problem) != 4 {
		t.Errorf("body %s", body)
	}
	line := ""
	for l := range strings.Lines(s.log.String()) {
		if strings.Contains(l, id) {
			line = l
		}
	}
	if !strings.Contains(line, "path=/orders/7") || strings.Contains(line, "query") {
		t.Errorf("the log has %q", line)
	}
}

func TestKeysAway(t *testing.T) {
	s := newScene(t)
	c, err := bearer.New("https://issuer.example.org", "kest", noKeys{io.ErrUnexpectedEOF}, bearer.WithLogger(testLogger(s)))
	if err != nil {
		t.Fatal(err)
	}
	s.checker = c
	response, body := get(t, serve(t, s), authorization("Bearer "+s.Sign(claims())))
	wantProblem(t, s, response, body, http.StatusServiceUnavailable)
}

// A refused gRPC call is a gRPC answer in trailers-only form.
func TestGRPC(t *testing.T) {
	s := newScene(t)
	away := newScene(t)
	c, err := bearer.New("https://issuer.example.org", "kest", noKeys{io.ErrUnexpectedEOF}, bearer.WithLogger(testLogger(away)))
	if err != nil {
		t.Fatal(err)
	}
	away.checker = c
	refusing, unavailable := serve(t, s), serve(t, away)
	for _, contentType := range []string{"application/grpc", "application/grpc+proto", "Application/gRPC;x=y"} {
		for status, server := range map[string]*httptest.Server{"16": refusing, "14": unavailable} {
			token := s.Sign(claims())
			if status == "16" {
				token = "x.y.z"
			}
			header := authorization("Bearer " + token)
			header.Set("Content-Type", contentType)
			response, body := get(t, server, header)
			if response.StatusCode != http.StatusOK || body != "" || response.Header.Get("Grpc-Status") != status || response.Header.Get("Content-Type") != "application/grpc" {
				t.Errorf("%s: %d %v %q", contentType, response.StatusCode, response.Header, body)
			}
			if !strings.Contains(response.Header.Get("Grpc-Message"), "decision_id") {
				t.Errorf("grpc-message %q", response.Header.Get("Grpc-Message"))
			}
		}
	}
	header := authorization("Bearer x.y.z")
	header.Set("Content-Type", "application/grpc-web") // not gRPC's own
	if response, _ := get(t, refusing, header); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("grpc-web: %d", response.StatusCode)
	}
}

// An inner checker doesn't take over what an outer one found.
func TestClaimsOfAnotherChecker(t *testing.T) {
	s := newScene(t)
	drop := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
		})
	}
	server := httptest.NewServer(s.checker.Middleware(drop(s.checker.Middleware(http.HandlerFunc(application)))))
	defer server.Close()
	if _, body := get(t, server, authorization("Bearer "+s.Sign(claims()))); body != "none" {
		t.Errorf("the application sees %s", body)
	}
}

var _ = host.WithProperties((*bearer.Checker)(nil).Properties)

// measured is what jwt_authn and a Wasm filter of Envoy 1.40 showed for these
// claims: path, and bytes in hex or "-" for none.
var measured = map[string]string{
	"":                     "-", // it holds null
	"payload":              "-",
	"payload sub":          "616c696365",
	"payload exp":          "0000006cd1c1da41",
	"payload iss":          "68747470733a2f2f69",
	"payload aud":          "0200000001000000000000000100000000000000610000620000",
	"payload aud 1":        "62",
	"payload admin":        "01",
	"payload no":           "00",
	"payload nothing":      "-",
	"payload act act":      "010000000300000007000000737562006167656e742d3000",
	"payload act sub":      "6167656e742d31",
	"payload act act sub":  "6167656e742d30",
	"payload list":         "030000000100000000000000100000000000000008000000000000007800000100000001000000010000006b00760000000000000000001c400000",
	"payload list 1":       "0100000001000000010000006b007600",
	"payload list 1 k":     "76",
	"payload list 3":       "-",
	"payload list k":       "-",
	"payload list -1":      "-",
	"payload empty":        "00000000",
	"payload elist":        "00000000",
	"payload estr":         "",
	"payload big":          "00e45f9ce774a642",
	"payload withnull":     "-",
	"payload withnull b":   "63",
	"payload missing":      "-",
	"payload sub x":        "-",
	"payload http://a.b/c": "6e73",
	"payload2 sub":         "-",
}

const measuredClaims = `{"iss":"https://i","aud":["a","b"],"sub":"alice","exp":1795638704,"admin":true,"no":false,"nothing":null,
	"act":{"sub":"agent-1","act":{"sub":"agent-0"}},"list":["x",{"k":"v"},7],"empty":{},"elist":[],"estr":"","big":12345678901234,
	"withnull":{"a":null,"b":"c"},"http://a.b/c":"ns"}`

func TestProperties(t *testing.T) {
	s := newScene(t)
	now := bearer.WithClock(func() time.Time { return time.Unix(1795638000, 0) })
	token := s.Default.SignText(`{"alg":"ES256","kid":"k1"}`, measuredClaims)
	checker := func(opts ...bearer.Option) *bearer.Checker {
		c, err := bearer.New("https://i", "a", staticKeys(t, s), append(opts, now)...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	serveProperties(t, s, checker(), token, func(property func(path ...string) string) {
		for path, want := range measured {
			if got := property(strings.Fields(path)...); got != want {
				t.Errorf("%q: %s, want %s", path, got, want)
			}
		}
	})
	serveProperties(t, s, checker(bearer.WithMetadataKey("user")), token, func(property func(path ...string) string) {
		if sub, old := property("user", "sub"), property("payload", "sub"); sub != measured["payload sub"] || old != "-" {
			t.Errorf("under another key: %s, %s", sub, old)
		}
	})
	serveProperties(t, s, checker(), "", func(property func(path ...string) string) {
		for path := range measured {
			if got := property(strings.Fields(path)...); got != "-" {
				t.Errorf("without a token, %q: %s", path, got)
			}
		}
	})
}

// serveProperties asks for properties inside a request with the token.
func serveProperties(t *testing.T, s *scene, c *bearer.Checker, token string, ask func(property func(path ...string) string)) {
	t.Helper()
	asked := false
	handler := c.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked = true
		for _, path := range [][]string{nil, {"metadata"}, {"metadata", "filter_metadata"}, {"request", "path", "x", "payload"}, {"metadata", "filter_metadata", "other", "payload"}} {
			if _, ok := c.Properties(r, path); ok {
				t.Errorf("%v is found", path)
			}
		}
		ask(func(path ...string) string {
			b, ok := c.Properties(r, append([]string{"metadata", "filter_metadata", "envoy.filters.http.jwt_authn"}, path...))
			if !ok {
				return "-"
			}
			return hex.EncodeToString(b)
		})
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, r); !asked {
		t.Fatalf("refused: %d %s", w.Code, s.log)
	}
}

// Neither answers nor logs hold any part of a token that would let it be used.
func TestNoTokenIsShown(t *testing.T) {
	s := newScene(t)
	server := serve(t, s)
	stranger := s.ed.Sign(map[string]any{"kid": "k9"}, claims())
	seen := ""
	for _, token := range []string{stranger, s.Sign(claims("aud", "x")), s.Sign(claims("exp", 1)), s.Sign(claims()) + "A", "eyJ.x.y"} {
		response, body := get(t, server, authorization("Bearer "+token))
		seen += body
		for name, values := range response.Header {
			seen += name + strings.Join(values, " ")
		}
		_, err := s.checker.Check(t.Context(), token)
		seen += err.Error()
	}
	seen += s.log.String()
	for _, bad := range append(strings.Split(stranger, "."), "alice", "eyJ") {
		if strings.Contains(seen, bad) {
			t.Errorf("%q is shown in %s", bad, seen)
		}
	}
}
