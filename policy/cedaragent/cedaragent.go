// Package cedaragent is Cedar Agent's API as bytes: what is asked of a server
// and what its answer means (CONTRACT 6, POLICY.md). An http.Client and a
// proxy's callout serve it alike.
//
// A Cedar Agent evaluates all policies of its store, whichever is asked: each
// must name its action, as in action == Action::"orders/read".
package cedaragent

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"kest.example/kest"
	"kest.example/kest/internal/answer"
	"kest.example/kest/internal/cedarcontext"
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
	c := &Codec{path: "/is_authorized", bare: wire == WireKest03}
	if wire != "" && wire != WireCedarAgent && !c.bare {
		return nil, &kest.MemberError{Member: "wire", Detail: "is no wire form"}
	}
	if prefix = strings.Trim(prefix, "/"); prefix == "" && !c.bare {
		prefix = DefaultPrefix
	}
	if prefix != "" {
		if !kest.ValidPolicyName(prefix) {
			return nil, &kest.MemberError{Member: "prefix", Detail: "is no path of names with slashes between"}
		}
		c.path = "/" + prefix + c.path
	}
	return c, nil
}

// Question implements kest.PolicyCodec: POST is_authorized of principal, action,
// resource and context. What is no policy name, and a context that Cedar can't
// hold, are a *kest.MemberError.
func (c *Codec) Question(policy string, about *kest.Context) (kest.Question, error) {
	if !kest.ValidPolicyName(policy) {
		return kest.Question{}, &kest.MemberError{Member: "policy", Detail: strconv.Quote(policy) + " is no policy name"}
	}
	// As the name of a member these make a Cedar Agent read an entity, a function
	// or an expression where in process there is a record.
	context, err := cedarcontext.Of(about, "__entity", "__extn", "__expr")
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

// escape writes an entity's id in Cedar's normal form, the only one that a Cedar
// Agent takes.
func escape(id string) string {
	const special, letters = "\"'\\\n\r\t\x00", `"'\nrt0`
	b := make([]byte, 0, len(id)+8)
	for _, r := range id {
		if i := strings.IndexRune(special, r); i >= 0 {
			b = append(b, '\\', letters[i])
		} else if strconv.IsPrint(r) {
			b = utf8.AppendRune(b, r)
		} else {
			b = append(strconv.AppendInt(append(b, `\u{`...), int64(r), 16), '}')
		}
	}
	return string(b)
}

// Answer implements kest.PolicyCodec. An Allow beside an error of a policy denies,
// as it does in process.
func (c *Codec) Answer(_ string, status int, body []byte) (kest.Decision, error) {
	v, err := answer.Parse(status, body)
	if err != nil {
		return kest.Decision{}, err
	}
	diagnostics := v.Get("diagnostics")
	errors := diagnostics.Get("errors")
	if kind := diagnostics.Kind(); kind != jcs.Object {
		errors = diagnostics // not there, or nobody knows what it says
	}
	return answer.Cedar(v.Get("decision"), "Allow", answer.Words(diagnostics.Get("reason"), ""), errors, answer.Words(errors, "")), nil
}
