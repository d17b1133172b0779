// Package table reads decision tables: what a policy must say of one context a
// row, in YAML (POLICY.md, Commands).
package table

import (
	"bytes"
	"path/filepath"
	"strconv"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/fault"
	"kest.example/kest/internal/jcs"
)

// Suffix is how the names of decision tables end.
const Suffix = ".test.yaml"

// Table is a decision table. Paths are as they lead from where the table was read.
type Table struct {
	Path   string
	Policy string
	Rego   string // folder of modules, or ""
	Cedar  string // file, or ""
	Wasm   string // what kest policy build wrote, or ""
	Data   string // root document of Rego, or ""
	Cases  []Case
}

// Case is one row.
type Case struct {
	Name      string
	Line      int // of its "- name"
	Context   *kest.Context
	Allow     bool
	Reason    string // what the decision's reason must be
	HasReason bool
}

// Fault is one thing that is wrong, and where.
type Fault = fault.Fault

// Faults are all that is wrong with a file, by line.
type Faults = fault.List

// Parse reads a table's text. The error is Faults: all that is wrong with it.
func Parse(path string, text []byte) (*Table, error) {
	doc, fault := parseYAML(path, bytes.TrimPrefix(text, []byte("\ufeff")))
	if fault != nil {
		return nil, Faults{fault}
	}
	r := reader{doc: doc, t: &Table{Path: path}}
	r.table()
	if len(r.faults) > 0 {
		return nil, r.faults.Sorted()
	}
	return r.t, nil
}

type reader struct {
	doc    *document
	t      *Table
	faults Faults
}

func (r *reader) fail(line int, text string) {
	r.faults = append(r.faults, fault.New(r.t.Path, line, text))
}

// known refuses members that nobody reads.
func (r *reader) known(line int, v *jcs.Value, names ...string) {
	for i := range v.Items() {
		name, known := v.Items()[i].Name, false
		for _, n := range names {
			known = known || n == name
		}
		if !known {
			r.fail(r.doc.line(line, name), "unknown member "+strconv.Quote(name))
		}
	}
}

func (r *reader) text(line int, v *jcs.Value, name string) string {
	m := v.Get(name)
	if m.Kind() != jcs.String && m.Kind() != jcs.Invalid {
		r.fail(r.doc.line(line, name), name+" is "+m.Kind().String()+", not a string")
	}
	return m.Str()
}

func (r *reader) table() {
	v := r.doc.value
	if v.Kind() != jcs.Object {
		r.fail(1, "the table is "+v.Kind().String()+", not an object")
		return
	}
	r.known(0, v, "policy", "rego", "cedar", "wasm", "data", "base", "cases")
	if r.t.Policy = r.text(0, v, "policy"); !kest.ValidPolicyName(r.t.Policy) {
		r.fail(r.doc.line(0, "policy"), "policy is missing, or no policy name")
	}
	beside := func(name string) string {
		if p := r.text(0, v, name); p != "" {
			return filepath.Join(filepath.Dir(r.t.Path), filepath.FromSlash(p))
		}
		return ""
	}
	r.t.Rego, r.t.Cedar, r.t.Wasm, r.t.Data = beside("rego"), beside("cedar"), beside("wasm"), beside("data")
	if r.t.Rego == "" && r.t.Cedar == "" && r.t.Wasm == "" {
		r.fail(1, "none of rego, cedar and wasm says where the policy is")
	}
	base := v.Get("base")
	if base.Kind() == jcs.Invalid || base.Kind() == jcs.Null {
		empty := jcs.ObjectValue()
		base = &empty
	}
	if base.Kind() != jcs.Object {
		r.fail(r.doc.line(0, "base"), "base is "+base.Kind().String()+", not an object")
		return
	}
	cases := v.Get("cases")
	if cases.Kind() != jcs.Array || cases.Len() == 0 {
		r.fail(r.doc.line(0, "cases"), "there are no cases")
		return
	}
	for i := range cases.Items() {
		r.one(r.doc.caseLine(i), base, &cases.Items()[i].Value)
	}
	r.names()
}

func (r *reader) one(line int, base, v *jcs.Value) {
	if v.Kind() != jcs.Object {
		r.fail(line, "the case is "+v.Kind().String()+", not an object")
		return
	}
	before := len(r.faults)
	r.known(line, v, "name", "context", "now", "allow", "reason")
	c := Case{Name: r.text(line, v, "name"), Line: line, Reason: r.text(line, v, "reason")}
	c.HasReason = v.Get("reason").Kind() == jcs.String
	if c.Name == "" {
		r.fail(line, "the case has no name")
	}
	allow := v.Get("allow")
	if c.Allow = allow.IsTrue(); allow.Kind() != jcs.Bool {
		r.fail(line, "allow is neither true nor false in the case "+strconv.Quote(c.Name))
	}
	context := base
	if patch := v.Get("context"); patch.Kind() != jcs.Invalid {
		merged := merge(base, patch)
		context = &merged
	}
	var err error
	if c.Context, err = kest.ContextFromValue(context); err != nil {
		r.fail(line, "the context of "+strconv.Quote(c.Name)+": "+err.Error())
	}
	if text := r.text(line, v, "now"); text != "" && err == nil {
		now, err := time.Parse(time.RFC3339, text)
		if err != nil {
			r.fail(line, "now is no time of RFC 3339 in the case "+strconv.Quote(c.Name))
		}
		c.Context.Environment.TimestampMS = now.UnixMilli()
	}
	if len(r.faults) == before {
		r.t.Cases = append(r.t.Cases, c)
	}
}

// names refuses two rows of one name: a failing one could not be told apart.
func (r *reader) names() {
	seen := make(map[string]bool)
	for _, c := range r.t.Cases {
		if seen[c.Name] {
			r.fail(c.Line, "the name "+strconv.Quote(c.Name)+" is there twice")
		}
		seen[c.Name] = true
	}
}

// merge applies a JSON merge patch (RFC 7396).
func merge(target, patch *jcs.Value) jcs.Value {
	if patch.Kind() != jcs.Object {
		return *patch
	}
	var members []jcs.Member
	if target.Kind() == jcs.Object {
		for _, m := range target.Items() {
			if patch.Get(m.Name).Kind() == jcs.Invalid {
				members = append(members, m)
			}
		}
	}
	for i := range patch.Items() {
		m := &patch.Items()[i]
		if m.Value.Kind() != jcs.Null {
			members = append(members, jcs.Member{Name: m.Name, Value: merge(target.Get(m.Name), &m.Value)})
		}
	}
	return jcs.ObjectValue(members...)
}
