// Package regoinfo has what the parts that run compiled Rego tell each other:
// which policies a module has, and what a result says. Guests use it, so it
// needs neither reflection nor fmt.
package regoinfo

import (
	"bytes"
	"errors"

	"kest.example/kest/internal/jcs"
)

// Custom sections of a file that kest policy build made.
const (
	SectionRego     = "kest.rego"     // the policy module
	SectionBase     = "kest.base"     // the hex SHA-256 of the guest that it was linked with
	SectionPolicies = "kest.policies" // Info as JSON
)

// Info is what a policy module has inside.
type Info struct {
	Policies []Policy          // by name
	Builtins map[uint32]string // those that the embedder serves, by the ids that the module calls them by
}

// Policy is one entry point.
type Policy struct {
	Name   string // its package's path, with "/"
	Digest string // POLICY.md, hex
	Entry  uint32
	// Uses is what it reads of the input (package regoinput); nil is everything.
	Uses *jcs.Value
}

// ErrInfo is returned for text that is no Info.
var ErrInfo = errors.New("rego: the list of policies is malformed")

// Append adds the canonical JSON of an Info:
// {"builtins": {name: id}, "policies": {name: {"digest", "entry", "input"}}}.
func (i *Info) Append(dst []byte) []byte {
	builtins := make([]jcs.Member, 0, len(i.Builtins))
	for id, name := range i.Builtins {
		builtins = append(builtins, jcs.Member{Name: name, Value: jcs.IntValue(int64(id))})
	}
	policies := make([]jcs.Member, len(i.Policies))
	for n, p := range i.Policies {
		uses := jcs.NullValue()
		if p.Uses != nil {
			uses = *p.Uses
		}
		policies[n] = jcs.Member{Name: p.Name, Value: jcs.ObjectValue(
			jcs.Member{Name: "digest", Value: jcs.StringValue(p.Digest)},
			jcs.Member{Name: "entry", Value: jcs.IntValue(int64(p.Entry))},
			jcs.Member{Name: "input", Value: uses},
		)}
	}
	return jcs.AppendObject(dst,
		jcs.Member{Name: "builtins", Value: jcs.ObjectValue(builtins...)},
		jcs.Member{Name: "policies", Value: jcs.ObjectValue(policies...)},
	)
}

// Parse reads what Append wrote. The error is ErrInfo.
func Parse(text []byte) (*Info, error) {
	v, err := jcs.Parse(text)
	if err != nil || v.Get("policies").Kind() != jcs.Object {
		return nil, ErrInfo
	}
	i := &Info{Builtins: make(map[uint32]string)}
	for _, m := range v.Get("builtins").Items() {
		id, ok := m.Value.Int()
		if !ok || id < 0 || id > 1<<31 {
			return nil, ErrInfo
		}
		i.Builtins[uint32(id)] = m.Name
	}
	for _, m := range v.Get("policies").Items() {
		entry, ok := m.Value.Get("entry").Int()
		if !ok || entry < 0 || entry > 1<<31 {
			return nil, ErrInfo
		}
		p := Policy{Name: m.Name, Digest: m.Value.Get("digest").Str(), Entry: uint32(entry)}
		if uses := m.Value.Get("input"); uses.Kind() == jcs.Object {
			p.Uses = uses
		}
		i.Policies = append(i.Policies, p)
	}
	return i, nil
}

// Find returns a policy by its name, in which dots and slashes are the same.
func (i *Info) Find(name string) (p *Policy, ok bool) {
	for n := range i.Policies {
		if i.Policies[n].Name == name { // as it most often is
			return &i.Policies[n], true
		}
	}
	for n := range i.Policies {
		if same(i.Policies[n].Name, name) {
			return &i.Policies[n], true
		}
	}
	return nil, false
}

func same(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if slash(a[i]) != slash(b[i]) {
			return false
		}
	}
	return true
}

func slash(c byte) byte {
	if c == '.' {
		return '/'
	}
	return c
}

// Names returns the policies' names.
func (i *Info) Names() []string {
	names := make([]string, len(i.Policies))
	for n := range i.Policies {
		names[n] = i.Policies[n].Name
	}
	return names
}

// ResultRoom is more than a result takes that allows, or that denies as most do.
const ResultRoom = 256

// Verdict reads what kest_eval gave: OPA's result set as JSON. Only the boolean
// true allows.
func Verdict(result []byte) (allow bool, reason string) {
	switch {
	case bytes.Equal(result, []byte(`[{"result":true}]`)):
		return true, "allow is true"
	case bytes.Equal(result, []byte(`[{"result":false}]`)):
		return false, "allow is false"
	case bytes.Equal(result, []byte(`[]`)):
		return false, "allow is undefined"
	}
	return false, "allow is neither true nor false"
}

// AbortError says why an evaluation ended without a result.
type AbortError struct{ Text string }

func (e *AbortError) Error() string { return "rego: the evaluation ended: " + e.Text }
