// Package opa is OPA's Data API as bytes: what is asked of a server and what
// its answer means (CONTRACT 6). An http.Client and a proxy's callout serve it
// alike.
package opa

import (
	"strconv"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// DefaultDecision is where the decision stands in an answer.
const DefaultDecision = "result.allow"

// Codec implements kest.PolicyCodec. It is safe for concurrent use.
type Codec struct {
	prefix   string // "/v1/data/" and the path below which policies stand
	decision []string
}

// New makes a codec. The prefix is the path below /v1/data at which all policies
// stand, as in "kest" or "kest/prod"; "" is none. The decision is the way to the
// boolean in the answer, in names with dots between; "" is DefaultDecision.
// Whatever it is, an answer whose result is a boolean is taken as it is. The
// error is a *kest.MemberError.
func New(prefix, decision string) (*Codec, error) {
	prefix = strings.Trim(prefix, "/")
	if prefix != "" && !kest.ValidPolicyName(prefix) {
		return nil, &kest.MemberError{Member: "path_prefix", Detail: "is no path of names with slashes between"}
	}
	if decision == "" {
		decision = DefaultDecision
	}
	path := strings.Split(decision, ".")
	for _, name := range path {
		if name == "" {
			return nil, &kest.MemberError{Member: "decision_path", Detail: "has an empty name"}
		}
	}
	c := &Codec{"/v1/data/", path}
	if prefix != "" {
		c.prefix += pathOf(prefix) + "/"
	}
	return c, nil
}

// pathOf makes a path of a name, in which dots and slashes separate.
func pathOf(name string) string { return strings.ReplaceAll(name, ".", "/") }

// Question implements kest.PolicyCodec: POST /v1/data/{prefix}/{policy} of
// {"input": context}. A policy's name holds nothing that needs encoding.
func (c *Codec) Question(policy string, about *kest.Context) (kest.Question, error) {
	input := about.JSON()
	body := append(append(make([]byte, 0, len(input)+10), `{"input":`...), input...)
	return kest.Question{Method: "POST", Path: c.prefix + pathOf(policy), Body: append(body, '}')}, nil
}

// answerError is an answer that is none.
type answerError struct{ detail string }

func (e *answerError) Error() string { return "opa: " + e.detail }

func (e *answerError) Unwrap() error { return kest.ErrUnavailable }

// Answer implements kest.PolicyCodec. The server's decision id stands in the reason.
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
	decision, found := v.Get("result"), v
	if decision.Kind() != jcs.Bool {
		for _, name := range c.decision {
			found = found.Get(name)
		}
		decision = found
	}
	d := kest.Decision{Allow: decision.IsTrue(), Reason: reason(decision)}
	if id := v.Get("decision_id"); id.Kind() == jcs.String {
		d.Reason += " (OPA's decision " + id.Str() + ")"
	}
	return d, nil
}

func reason(v *jcs.Value) string {
	switch {
	case v.IsTrue():
		return "allowed"
	case v.Kind() == jcs.Invalid:
		return "the decision is undefined"
	case v.Kind() == jcs.Bool:
		return "denied"
	}
	return "the decision is " + v.Kind().String() + ", not a boolean"
}
