// Package cedaragent is Cedar Agent's API as bytes: what is asked of a server
// and what its answer means (CONTRACT 6, POLICY.md). An http.Client and a
// proxy's callout serve it alike.
package cedaragent

import (
	"strconv"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// The wire forms.
const (
	WireCedarAgent = "cedar-agent" // as Cedar Agent is served today
	WireKest03     = "kest-0.3"    // bare ids, as the specification of Kest 0.3 has it
)

// DefaultPrefix is the path below which Cedar Agent is served.
const DefaultPrefix = "v1"

// Codec implements kest.PolicyCodec. It is safe for concurrent use.
type Codec struct {
	path string
	bare bool
}

// New makes a codec of a wire form; "" is WireCedarAgent. The prefix is the path
// before is_authorized; "" is DefaultPrefix, or none under WireKest03. The error
// is a *kest.MemberError.
func New(prefix, wire string) (*Codec, error) {
	c := &Codec{bare: wire == WireKest03}
	switch wire {
	case "", WireCedarAgent:
		if prefix == "" {
			prefix = DefaultPrefix
		}
	case WireKest03:
	default:
		return nil, &kest.MemberError{Member: "wire", Detail: strconv.Quote(wire) + " is no wire form"}
	}
	prefix = strings.Trim(prefix, "/")
	if prefix != "" && !kest.ValidPolicyName(prefix) {
		return nil, &kest.MemberError{Member: "prefix", Detail: "is no path of names with slashes between"}
	}
	if prefix != "" {
		c.path = "/" + prefix
	}
	c.path += "/is_authorized"
	return c, nil
}

// Question implements kest.PolicyCodec. A context that Cedar can't hold is an error.
func (c *Codec) Question(policy string, about *kest.Context) (kest.Question, error) {
	context, err := contextOf(about)
	if err != nil {
		return kest.Question{}, err
	}
	resource := about.Object.ID
	if resource == "" {
		resource = "*"
	}
	return kest.Question{Method: "POST", Path: c.path, Body: jcs.AppendObject(nil,
		jcs.Member{Name: "action", Value: c.entity("Action", policy)},
		jcs.Member{Name: "context", Value: context},
		jcs.Member{Name: "principal", Value: c.entity("Workload", about.Subject.Workload)},
		jcs.Member{Name: "resource", Value: c.entity("Resource", resource)},
	)}, nil
}

func (c *Codec) entity(kind, id string) jcs.Value {
	if c.bare {
		return jcs.StringValue(id)
	}
	return jcs.StringValue(kind + `::"` + escape(id) + `"`)
}

// escape writes a string as Cedar's grammar reads it.
func escape(s string) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		switch ch := s[i]; {
		case ch == '"' || ch == '\\':
			b = append(b, '\\', ch)
		case ch < ' ' || ch == 0x7f:
			b = append(b, '\\', 'u', '{', hex[ch>>4], hex[ch&15], '}')
		default:
			b = append(b, ch)
		}
	}
	return string(b)
}

// answerError is an answer that is none.
type answerError struct{ detail string }

func (e *answerError) Error() string { return "cedar agent: " + e.detail }

func (e *answerError) Unwrap() error { return kest.ErrUnavailable }

// Answer implements kest.PolicyCodec. An Allow beside an error of a policy denies,
// as it does in process.
func (c *Codec) Answer(_ string, status int, body []byte) (kest.Decision, error) {
	switch {
	case status != 200:
		return kest.Decision{}, &answerError{"the server answered " + strconv.Itoa(status)}
	case len(body) > kest.MaxAnswer:
		return kest.Decision{}, &answerError{"the answer is longer than 1 MiB"}
	}
	v, err := jcs.Parse(body)
	if err != nil {
		return kest.Decision{}, &answerError{"the answer is no JSON: " + err.Error()}
	}
	diagnostics := v.Get("diagnostics")
	if errors := diagnostics.Get("errors"); errors.Kind() != jcs.Invalid && errors.Kind() != jcs.Null && (errors.Kind() != jcs.Array || errors.Len() > 0) {
		return kest.Decision{Reason: "a policy could not be evaluated: " + strings.Join(texts(errors), "; ")}, nil
	}
	decision := v.Get("decision")
	d := kest.Decision{Allow: decision.Kind() == jcs.String && decision.Str() == "Allow"}
	switch by := strings.Join(texts(diagnostics.Get("reason")), ", "); {
	case by != "":
		d.Reason = "by " + by
	case !d.Allow && decision.Str() != "Deny":
		d.Reason = "the decision is neither Allow nor Deny"
	case !d.Allow:
		d.Reason = "no permit applies"
	}
	return d, nil
}

// texts returns the strings of a list; what else is in it doesn't show.
func texts(v *jcs.Value) []string {
	var list []string
	for i := range v.Items() {
		if item := &v.Items()[i].Value; item.Kind() == jcs.String {
			list = append(list, item.Str())
		}
	}
	return list
}
