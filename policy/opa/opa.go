// Package opa is OPA's Data API as bytes: what is asked of a server and what
// its answer means (CONTRACT 6). An http.Client and a proxy's callout serve it
// alike.
package opa

import (
	"slices"
	"strconv"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/answer"
	"kest.example/kest/internal/jcs"
)

// DefaultDecision is where the decision stands in an answer.
const DefaultDecision = "result.allow"

// Codec implements kest.PolicyCodec. It is safe for concurrent use.
type Codec struct {
	path     string // of all policies, with a slash at its end
	decision []string
}

// New makes a codec. The prefix is the path below /v1/data at which all policies
// stand, as in "kest" or "kest/prod"; "" is none. The decision is the way to the
// boolean in the answer, in names with dots between; "" is DefaultDecision.
// Whatever it is, an answer whose result is a boolean is taken as it is. The
// error is a *kest.MemberError.
func New(prefix, decision string) (*Codec, error) {
	if prefix = strings.Trim(prefix, "/"); prefix != "" && !kest.ValidPolicyName(prefix) {
		return nil, &kest.MemberError{Member: "path_prefix", Detail: "is no path of names with slashes between"}
	}
	if decision == "" {
		decision = DefaultDecision
	}
	c := &Codec{path: "/v1/data/", decision: strings.Split(decision, ".")}
	if slices.Contains(c.decision, "") {
		return nil, &kest.MemberError{Member: "decision_path", Detail: "has an empty name"}
	}
	if prefix != "" {
		c.path += pathOf(prefix) + "/"
	}
	return c, nil
}

// pathOf makes a path of a name, in which dots and slashes separate.
func pathOf(name string) string { return strings.ReplaceAll(name, ".", "/") }

// Question implements kest.PolicyCodec: POST /v1/data/{prefix}/{policy} of
// {"input": context}. What is no policy name is a *kest.MemberError: it could
// lead to another policy.
func (c *Codec) Question(policy string, about *kest.Context) (kest.Question, error) {
	if !kest.ValidPolicyName(policy) {
		return kest.Question{}, &kest.MemberError{Member: "policy", Detail: strconv.Quote(policy) + " is no policy name"}
	}
	input := about.JSON()
	body := append(append(make([]byte, 0, len(input)+10), `{"input":`...), input...)
	return kest.Question{Method: "POST", Path: c.path + pathOf(policy), Body: append(body, '}')}, nil
}

// Answer implements kest.PolicyCodec. The reason names OPA's decision id, under
// which its own log has the decision.
func (c *Codec) Answer(_ string, status int, body []byte) (kest.Decision, error) {
	v, err := answer.Parse(status, body)
	if err != nil {
		return kest.Decision{}, err
	}
	decision, path := v.Get("result"), "result"
	if decision.Kind() != jcs.Bool {
		decision, path = v, strings.Join(c.decision, ".")
		for _, name := range c.decision {
			decision = decision.Get(name)
		}
	}
	d := kest.Decision{Allow: decision.IsTrue(), Reason: path + " is " + describe(decision)}
	if id := answer.Words(v.Get("decision_id"), ""); id != "" {
		d.Reason += " (OPA's decision " + id + ")"
	}
	return d, nil
}

func describe(v *jcs.Value) string {
	switch v.Kind() {
	case jcs.Invalid:
		return "undefined"
	case jcs.Bool:
		return strconv.FormatBool(v.IsTrue())
	}
	return "no boolean"
}
