package plugin

import (
	"strconv"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
)

// AgentConfig says where the agent is (DESIGN 6).
type AgentConfig struct {
	Cluster   string
	Authority string
	Token     string // bearer token, or ""
}

// agent asks the agent: a Go host by a host function, at once, and a proxy by callout.
type agent struct {
	f      *Filter
	config *AgentConfig
}

// agentTimeout is how long the agent may take for a key, and bindTimeout for a
// session, which may ask a KMS.
const (
	agentTimeout = time.Second
	bindTimeout  = 5 * time.Second
)

// ask has done called with the agent's answer, before it returns where the host
// answers, else later.
func (a *agent) ask(function string, argument []byte, call Call, done func(CallResult)) {
	if result, ok := a.f.foreign(function, argument); ok {
		status, body := hostcall.ParseAnswer(result)
		done(CallResult{Status: status, Body: body})
		return
	}
	call.Cluster = a.config.Cluster
	call.Headers = append([]Header{{":authority", a.config.Authority}}, call.Headers...)
	if a.config.Token != "" {
		call.Headers = append(call.Headers, Header{"authorization", "Bearer " + a.config.Token})
	}
	a.f.background.enqueue(&Task{Call: call, done: done})
}

// openSession has the key of a proof of possession bound.
func (a *agent) openSession(proof string, done func(CallResult)) {
	a.ask(hostcall.Identity, []byte(proof), Call{
		Headers: []Header{{":method", "POST"}, {":path", "/v1/sessions"}, {"content-type", "application/jose"}},
		Body:    []byte(proof), Timeout: bindTimeout,
	}, done)
}

// key asks for a verified key: by its kid, or by what came inline.
func (a *agent) key(r kest.KeyRequest, done func(CallResult)) {
	body := keyQuestion(r)
	call := Call{Timeout: agentTimeout}
	if r.Binding == "" && len(r.X5C) == 0 {
		call.Headers = []Header{
			{":method", "GET"}, {":path", "/v1/keys/" + queryEscape(r.KeyID) + "?principal=" + queryEscape(r.Principal)},
		}
	} else {
		call.Headers = []Header{{":method", "POST"}, {":path", "/v1/keys"}, {"content-type", "application/json"}}
		call.Body = body
	}
	a.ask(hostcall.Key, body, call, done)
}

// keyQuestion is the body of POST /v1/keys, with kid where a directory is asked.
func keyQuestion(r kest.KeyRequest) []byte {
	var members []jcs.Member
	add := func(name, value string) {
		if value != "" {
			members = append(members, jcs.Member{Name: name, Value: jcs.StringValue(value)})
		}
	}
	add("principal", r.Principal)
	if r.Binding == "" && len(r.X5C) == 0 {
		add("kid", r.KeyID)
	}
	add("binding", r.Binding)
	if len(r.X5C) > 0 {
		members = append(members, jcs.Member{Name: "x5c", Value: jcs.StringsValue(r.X5C)})
	}
	if jwk, err := jcs.ParseString(r.JWK); err == nil {
		members = append(members, jcs.Member{Name: "jwk", Value: *jwk})
	}
	return jcs.AppendObject(nil, members...)
}

// queryEscape percent-encodes all but unreserved characters (RFC 3986 section 2.3).
func queryEscape(s string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// instant reads a time of RFC 3339; ok is false for one that is there and is none.
func instant(v *jcs.Value) (t time.Time, ok bool) {
	if v.Kind() == jcs.Invalid || v.Kind() == jcs.Null {
		return time.Time{}, true
	}
	return parseTime(v.Str())
}

func answered(status int) string {
	if status == 0 {
		return "the agent can't be reached"
	}
	return "the agent answered " + strconv.Itoa(status)
}
