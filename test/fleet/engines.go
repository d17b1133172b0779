package fleet

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
)

// engineSeed is the key of the filters that these scenarios run.
var engineSeed = []byte(strings.Repeat("o", 32))

const engineWorkload = "spiffe://example.org/orders"

// engineConfig is a filter with policies of several engines. Each route is one
// path, and asks what it lists.
func engineConfig(policies string, routes map[string][]string, more string) string {
	var list []map[string]any
	for path, names := range routes {
		r := map[string]any{
			"match": map[string]any{"path": "/" + path}, "operation": path, "root": map[string]any{"origin": "user_input"},
		}
		for i, name := range names {
			member := "policies"
			if strings.HasPrefix(name, "shadow:") {
				name, member = strings.TrimPrefix(name, "shadow:"), "shadow_policies"
			}
			have, _ := r[member].([]string)
			r[member], names[i] = append(have, name), name
		}
		list = append(list, r)
	}
	text, _ := json.Marshal(list)
	return `{"workload": "` + engineWorkload + `", "identity": {"insecure_seed": "` + base64.RawURLEncoding.EncodeToString(engineSeed) + `"},
		"insecure_trust_all_claims": true, "policies": ` + policies + `, "routes": ` + string(text) + more + `}`
}

// engineServer is an engine that answers by the policy's name.
type engineServer struct {
	*httptest.Server
	mu     sync.Mutex
	asked  map[string]int
	traces map[string]string
	answer func(w http.ResponseWriter, r *http.Request, policy string)
}

var (
	opaPath     = regexp.MustCompile(`^/v1/data/team/([\w-]+)$`)
	cedarAction = regexp.MustCompile(`^Action::"([\w-]+)"$`)
)

// policyOf reads the question as OPA, or as Cedar Agent, does.
func policyOf(r *http.Request, body []byte) string {
	if m := opaPath.FindStringSubmatch(r.URL.Path); m != nil {
		var question struct{ Input map[string]any }
		if json.Unmarshal(body, &question) == nil && question.Input["identity"] == engineWorkload {
			return m[1]
		}
	}
	var question struct {
		Principal, Action, Resource string
		Context                     map[string]any
	}
	if r.URL.Path == "/v1/is_authorized" && json.Unmarshal(body, &question) == nil && question.Context["identity"] == engineWorkload &&
		question.Principal == `Workload::"`+engineWorkload+`"` && question.Resource == `Resource::"*"` {
		if m := cedarAction.FindStringSubmatch(question.Action); m != nil {
			return m[1]
		}
	}
	return ""
}

func newEngineServer(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, policy string)) *engineServer {
	e := &engineServer{asked: make(map[string]int), traces: make(map[string]string), answer: answer}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		policy := policyOf(r, body)
		if err != nil || r.Method != http.MethodPost || policy == "" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			t.Errorf("the engine is asked %s %s %s, %v", r.Method, r.URL, body, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		e.mu.Lock()
		e.asked[policy]++
		e.traces[policy] = r.Header.Get("Traceparent")
		e.mu.Unlock()
		e.answer(w, r, policy)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *engineServer) count(policy string) (n int, traceparent string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked[policy], e.traces[policy]
}

// reply is how an engine answers, and what the client gets then.
type reply struct {
	status int // of the client's answer
	answer func(w http.ResponseWriter, r *http.Request)
}

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// slowHeaders and slowBody end only when nobody waits any more.
func slowHeaders(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func slowBody(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, `{"result":`)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// drip sends a byte now and then: each is in time, and the whole is not.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"result": true}`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// commonReplies are what any engine may do wrong.
func commonReplies(allow string) map[string]reply {
	huge := strings.TrimSuffix(allow, "}") + `,"more":"` + strings.Repeat("x", 1<<20) + `"}`
	return map[string]reply{
		"allow":     {200, says(200, allow)},
		"error":     {503, says(500, allow)},
		"not-found": {503, says(404, allow)},
		"created":   {503, says(201, allow)},
		"redirect": {503, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/v1/data/team/allow", http.StatusTemporaryRedirect)
		}},
		"slow-headers": {503, slowHeaders},
		"slow-body":    {503, slowBody},
		"drip":         {503, drip},
		"cut-off":      {503, cutOff},
		"half":         {503, says(200, allow[:len(allow)-1])},
		"empty":        {503, says(200, "")},
		"twice":        {503, says(200, allow+allow)},
		"bom":          {503, says(200, "\ufeff"+allow)},
		"bad-utf8":     {503, says(200, strings.TrimSuffix(allow, "}")+",\"more\":\"\xff\"}")},
		"huge":         {503, says(200, huge)},
		"html":         {503, says(200, "<html>allow</html>")},
		"null":         {403, says(200, "null")},
		"array":        {403, says(200, "["+allow+"]")},
		"nothing":      {403, says(200, "{}")},
	}
}

func opaReplies() map[string]reply {
	list := commonReplies(`{"result": {"allow": true}}`)
	for name, result := range map[string]string{
		"deny": `{"allow": false}`, "text": `{"allow": "true"}`, "one": `{"allow": 1}`, "list": `{"allow": [true]}`,
		"object": `{"allow": {}}`, "undefined": `{}`, "no-value": `{"allow": null}`, "bare-no": `false`, "bare-text": `"true"`,
	} {
		list[name] = reply{403, says(200, `{"result": `+result+`}`)}
	}
	list["repeated"] = reply{503, says(200, `{"result": {"allow": false, "allow": true}}`)}
	list["bare"] = reply{200, says(200, `{"result": true}`)}
	return list
}

func cedarReplies() map[string]reply {
	list := commonReplies(`{"decision": "Allow", "diagnostics": {"reason": ["p"], "errors": []}}`)
	for name, answer := range map[string]string{
		"deny": `{"decision": "Deny"}`, "lower": `{"decision": "allow"}`, "true": `{"decision": true}`,
		"errors": `{"decision": "Allow", "diagnostics": {"reason": ["p"], "errors": ["p: an attribute is missing"]}}`,
	} {
		list[name] = reply{403, says(200, answer)}
	}
	list["repeated"] = reply{503, says(200, `{"decision": "Deny", "decision": "Allow"}`)}
	return list
}

func names(list map[string]reply) []string {
	var names []string
	for name := range list {
		names = append(names, name)
	}
	return names
}

func quoted(list []string) string {
	text, _ := json.Marshal(list)
	return string(text)
}

// RunEngines runs what must hold of policies that remote engines decide.
func RunEngines(t *testing.T, s Surface) {
	t.Run("opa fails", func(t *testing.T) { t.Parallel(); engineFails(t, s, kest.KindOPA, opaReplies()) })
	t.Run("cedar agent fails", func(t *testing.T) { t.Parallel(); engineFails(t, s, kest.KindCedarAgent, cedarReplies()) })
	t.Run("tiers", func(t *testing.T) { t.Parallel(); engineTiers(t, s) })
	t.Run("side by side", func(t *testing.T) { t.Parallel(); sideBySide(t, s) })
	t.Run("shadow", func(t *testing.T) { t.Parallel(); shadow(t, s) })
	t.Run("denial record", func(t *testing.T) { t.Parallel(); denialRecord(t, s) })
}

// engineSection configures one engine of a kind at the cluster "engine".
func engineSection(kind string, names []string, more string) string {
	if kind == kest.KindOPA {
		more += `, "path_prefix": "team"`
	}
	return fmt.Sprintf(`{%q: {"cluster": "engine", "names": %s%s}}`, kind, quoted(names), more)
}

// engineFails: every way in which an engine can fail denies, within its time-out.
func engineFails(t *testing.T, s Surface, kind string, replies map[string]reply) {
	e := newEngineServer(t, func(w http.ResponseWriter, r *http.Request, policy string) { replies[policy].answer(w, r) })
	routes := make(map[string][]string)
	for name := range replies {
		routes[name] = []string{name}
	}
	backend := NewBackend(t)
	g := s.Start(t, Setup{
		Guest: "policy.wasm", Config: engineConfig(engineSection(kind, names(replies), `, "timeout": "1s"`), routes, ""), Backend: backend,
		Clusters: map[string]string{"engine": e.URL},
	})
	var all sync.WaitGroup
	allowed := 0
	for name, want := range replies {
		if want.status == 200 {
			allowed++
		}
		all.Go(func() {
			if status, body := g.Get(t, "/"+name); status != want.status {
				t.Errorf("%s: %d %s, want %d\n%s", name, status, body, want.status, tail(g.Log()))
			} else if strings.Contains(body, name) && status != 200 {
				t.Errorf("%s: the client is told the policy: %s", name, body)
			}
			if n, trace := e.count(name); n != 1 || len(trace) != 55 {
				t.Errorf("%s: the engine was asked %d times, with traceparent %q", name, n, trace)
			}
		})
	}
	all.Wait()
	if visits, _ := backend.Visits(); visits != allowed {
		t.Errorf("the upstream was visited %d times, want %d", visits, allowed)
	}
	e.Close()
	if status, body := g.Get(t, "/allow"); status != 503 {
		t.Errorf("nobody there: %d %s, want 503\n%s", status, body, tail(g.Log()))
	}
}

// engineTiers: local and remote engines mixed; a denial stops there.
func engineTiers(t *testing.T, s Surface) {
	e := newEngineServer(t, func(w http.ResponseWriter, r *http.Request, policy string) {
		says(200, fmt.Sprintf(`{"result": {"allow": %t}}`, !strings.HasPrefix(policy, "no")))(w, r)
	})
	policies := `{"cedar": {"local": "permit(principal, action, resource);", "local-no": "forbid(principal, action, resource);"},
		"opa": {"cluster": "engine", "names": ["first", "yes", "no"], "path_prefix": "team"}}`
	routes := map[string][]string{
		"good": {"local", "yes"}, "remote-denies": {"local", "no"}, "local-denies": {"local-no"}, "twice": {"first", "yes"},
	}
	backend := NewBackend(t)
	g := s.Start(t, Setup{
		Guest: "policy.wasm", Backend: backend, Clusters: map[string]string{"engine": e.URL},
		Config: engineConfig(policies, routes, `, "kest": {"enterprise_policies": ["first"], "platform_policies": ["local"],
			"deviations": [{"scope": "twice", "policy": "first", "tier": "enterprise"}]}`),
	})
	for path, want := range map[string]int{"good": 200, "remote-denies": 403, "local-denies": 403, "twice": 200} {
		if status, body := g.Get(t, "/"+path); status != want {
			t.Errorf("%s: %d %s, want %d\n%s", path, status, body, want, tail(g.Log()))
		}
	}
	// The deviation takes "first" out of the enterprise tier of "twice", whose own list has it still.
	if n, _ := e.count("first"); n != 4 {
		t.Errorf("the enterprise's policy was asked %d times, want 4", n)
	}
	if n, _ := e.count("yes"); n != 2 {
		t.Errorf("a function's policy was asked %d times, want 2", n)
	}
}

// sideBySide: the policies of one tier are asked at once; here each waits for the other.
func sideBySide(t *testing.T, s Surface) {
	var both sync.WaitGroup
	both.Add(2)
	e := newEngineServer(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		both.Done()
		both.Wait()
		says(200, `{"result": true}`)(w, r)
	})
	g := s.Start(t, Setup{
		Guest: "policy.wasm", Backend: NewBackend(t), Clusters: map[string]string{"engine": e.URL, "other": e.URL},
		Config: engineConfig(`{"opa": [{"cluster": "engine", "names": ["a"], "path_prefix": "team"}, {"cluster": "other", "names": ["b"], "path_prefix": "team"}]}`,
			map[string][]string{"both": {"a", "b"}}, ""),
	})
	if status, body := g.Get(t, "/both"); status != 200 {
		t.Errorf("%d %s\n%s", status, body, tail(g.Log()))
	}
}

// shadow: shadow policies change nothing and delay nothing; what they say is logged.
func shadow(t *testing.T, s Surface) {
	done := make(chan struct{})
	e := newEngineServer(t, func(w http.ResponseWriter, r *http.Request, policy string) {
		if policy == "late" {
			select {
			case <-done: // the request has been answered
			case <-r.Context().Done():
				t.Error("a shadow policy was waited for")
			}
		}
		says(200, `{"result": false}`)(w, r)
	})
	g := s.Start(t, Setup{
		Guest: "policy.wasm", Backend: NewBackend(t), Clusters: map[string]string{"engine": e.URL},
		Config: engineConfig(`{"cedar": {"all": "permit(principal, action, resource);", "none": "forbid(principal, action, resource);"},
			"opa": {"cluster": "engine", "names": ["late"], "path_prefix": "team", "timeout": "5s"}}`,
			map[string][]string{"x": {"all", "shadow:none", "shadow:late"}}, ""),
	})
	status, body := g.Get(t, "/x")
	close(done)
	if status != 200 {
		t.Errorf("%d %s\n%s", status, body, tail(g.Log()))
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, policy := range []string{"none", "late"} {
		for !strings.Contains(strings.ReplaceAll(g.Log(), `\"`, `"`), `shadow policy "`+policy+`" would deny`) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing is said of the shadow policy %s\n%s", policy, tail(g.Log()))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

var recordLine = regexp.MustCompile(`denial=([\w-]+) record=([\w-]+\.[\w-]+\.[\w-]+)`)

// denialRecord: a denial is a signed record, under the decision id that the client sees.
func denialRecord(t *testing.T, s Surface) {
	g := s.Start(t, Setup{
		Guest: "policy.wasm", Backend: NewBackend(t), Clusters: map[string]string{},
		Config: engineConfig(`{"cedar": {"none": "forbid(principal, action, resource);"}}`, map[string][]string{"x": {"none"}}, ""),
	})
	status, body := g.Get(t, "/x")
	var problem struct {
		DecisionID string `json:"decision_id"`
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil || status != 403 {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	var m []string
	for deadline := time.Now().Add(5 * time.Second); m == nil; time.Sleep(20 * time.Millisecond) { // the log comes by a pipe
		if m = recordLine.FindStringSubmatch(g.Log()); m == nil && time.Now().After(deadline) {
			t.Fatalf("no record of %s\n%s", problem.DecisionID, tail(g.Log()))
		}
	}
	if m[1] != problem.DecisionID {
		t.Fatalf("the record is of %s, not of %s", m[1], problem.DecisionID)
	}
	id, err := kest.SeedIdentity(engineWorkload, engineSeed)
	if err != nil {
		t.Fatal(err)
	}
	v, err := kest.NewVerifier(kest.StaticKeys{engineWorkload: {id.Key}}, nil, kest.InsecureTrustAllClaims())
	if err != nil {
		t.Fatal(err)
	}
	d, err := v.VerifyDenial(context.Background(), m[2])
	if err != nil || d.Policy != "none" || d.Tier != kest.TierFunction || d.Entry.EntryID != problem.DecisionID || d.Entry.Operation != "x" {
		t.Errorf("%+v, %v", d, err)
	}
}
