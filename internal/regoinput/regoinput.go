// Package regoinput writes a context as the input of compiled Rego: JSON of the
// form that CONTRACT 6 gives, without what a policy doesn't read. Most policies
// read little, and OPA's runtime spends more on reading JSON than on deciding.
package regoinput

import (
	"strconv"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// Append adds the members that are used: uses is a tree of objects by the
// members' names, in which null is all that is below; nil is everything.
func Append(dst []byte, c *kest.Context, uses *jcs.Value) []byte {
	w := writer{out: dst}
	w.members(source{c, c.Summary()}, root[:], uses)
	return w.out
}

// source is where values come from.
type source struct {
	*kest.Context
	lineage *kest.LineageSummary
}

// member is one member of an object of the context's. One of the functions is
// set: each gives the value, or begins to write it. Guests pay for the code of
// every call that is written down, and these are data.
type member struct {
	name   string
	text   func(source) string
	orNull func(source) string // null where it is empty
	number func(source) int64
	list   func(source) []string
	json   func(source) *jcs.Value // {} where it is nil
	below  []member
	other  func(*writer, source, *jcs.Value)
}

var root = [...]member{
	{name: "subject", below: []member{
		{name: "workload", text: func(s source) string { return s.Subject.Workload }},
		{name: "user", orNull: func(s source) string { return s.Subject.Actor.User }},
		{name: "agent", orNull: func(s source) string { return s.Subject.Actor.Agent }},
		{name: "task", orNull: func(s source) string { return s.Subject.Actor.Task }},
		{name: "trust_score", number: trustScore},
		{name: "taints", list: func(s source) []string { return s.Subject.Taints }},
		{name: "attributes", json: func(s source) *jcs.Value { return s.Subject.Attributes }},
		{name: "labels", other: (*writer).labels},
	}},
	{name: "object", below: []member{
		{name: "id", orNull: func(s source) string { return s.Object.ID }},
		{name: "attributes", json: func(s source) *jcs.Value { return s.Object.Attributes }},
	}},
	{name: "environment", below: []member{
		{name: "is_root", other: (*writer).isRoot},
		{name: "source_type", text: func(s source) string { return s.Environment.SourceType }},
		{name: "parent_hash", text: func(s source) string { return s.Environment.ParentHash }},
		{name: "policy_names", list: func(s source) []string { return s.Environment.PolicyNames }},
		{name: "policy_tier", text: func(s source) string { return string(s.Environment.PolicyTier) }},
		{name: "active_deviations", list: func(s source) []string { return s.Environment.ActiveDeviations }},
		{name: "operation", text: func(s source) string { return s.Environment.Operation }},
		{name: "classification", text: func(s source) string { return s.Environment.Classification }},
		{name: "timestamp_ms", number: func(s source) int64 { return s.Environment.TimestampMS }},
	}},
	{name: "identity", text: func(s source) string { return s.Subject.Workload }},
	{name: "trust_score", number: trustScore},
	{name: "lineage", below: []member{
		{name: "depth", number: func(s source) int64 { return int64(s.lineage.Depth) }},
		{name: "roots", list: func(s source) []string { return s.lineage.Roots }},
		{name: "callers", list: func(s source) []string { return s.lineage.Callers }},
		{name: "principals", list: func(s source) []string { return s.lineage.Principals }},
		{name: "operations", list: func(s source) []string { return s.lineage.Operations }},
		{name: "origins", list: func(s source) []string { return s.lineage.Origins }},
		{name: "users", list: func(s source) []string { return s.lineage.Users }},
		{name: "acts", other: (*writer).acts},
		{name: "taint_sources", other: (*writer).taintSources},
		{name: "min_trust", number: func(s source) int64 { return int64(s.MinTrust()) }},
	}},
}

func trustScore(s source) int64 { return int64(s.Subject.TrustScore) }

// writer writes the members of objects.
type writer struct{ out []byte }

//go:noinline
func (w *writer) write(s string) { w.out = append(w.out, s...) }

//go:noinline
func (w *writer) text(s string) { w.out = jcs.AppendString(w.out, s) }

// wants says whether a member is used, and what of it.
func wants(uses *jcs.Value, name string) (below *jcs.Value, used bool) {
	if uses == nil {
		return nil, true
	}
	switch below := uses.Get(name); below.Kind() {
	case jcs.Invalid:
		return nil, false
	case jcs.Object:
		return below, true
	}
	return nil, true
}

// name writes what stands before a value; before is what stands before the name.
func (w *writer) name(before *string, name string) {
	w.write(*before)
	w.text(name)
	w.write(":")
	*before = ","
}

// end ends an object, which may have no members.
func (w *writer) end(before string) {
	if before == "{" {
		w.write("{")
	}
	w.write("}")
}

func (w *writer) members(s source, list []member, uses *jcs.Value) {
	before := "{"
	for i := range list {
		if below, used := wants(uses, list[i].name); used {
			w.name(&before, list[i].name)
			w.value(s, &list[i], below)
		}
	}
	w.end(before)
}

func (w *writer) value(s source, m *member, uses *jcs.Value) {
	switch {
	case m.text != nil:
		w.text(m.text(s))
	case m.orNull != nil:
		w.textOrNull(m.orNull(s))
	case m.number != nil:
		w.out = strconv.AppendInt(w.out, m.number(s), 10)
	case m.list != nil:
		w.list(m.list(s))
	case m.json != nil:
		w.json(m.json(s), uses)
	case m.other != nil:
		m.other(w, s, uses)
	default:
		w.members(s, m.below, uses)
	}
}

func (w *writer) textOrNull(s string) {
	if s == "" {
		w.write("null")
		return
	}
	w.text(s)
}

func (w *writer) list(texts []string) {
	before := "["
	for _, s := range texts {
		w.write(before)
		w.text(s)
		before = ","
	}
	if before == "[" {
		w.write("[")
	}
	w.write("]")
}

// json writes configuration's JSON, of objects what is used.
func (w *writer) json(v, uses *jcs.Value) {
	if v != nil && (uses == nil || v.Kind() != jcs.Object) {
		w.out = jcs.Append(w.out, v)
		return
	}
	before := "{"
	if v != nil {
		for i := range v.Items() {
			m := &v.Items()[i]
			if below, used := wants(uses, m.Name); used {
				w.name(&before, m.Name)
				w.json(&m.Value, below)
			}
		}
	}
	w.end(before)
}

func (w *writer) labels(s source, uses *jcs.Value) {
	v := s.Labels()
	w.json(&v, uses)
}

func (w *writer) isRoot(s source, _ *jcs.Value) {
	w.out = strconv.AppendBool(w.out, s.Environment.IsRoot)
}

func (w *writer) acts(s source, _ *jcs.Value) {
	before := "["
	for _, a := range s.lineage.Acts {
		w.write(before)
		w.write(`{"operation":`)
		w.text(a.Operation)
		w.write(`,"user":`)
		w.textOrNull(a.User)
		w.write("}")
		before = ","
	}
	if before == "[" {
		w.write("[")
	}
	w.write("]")
}

func (w *writer) taintSources(s source, uses *jcs.Value) {
	before := "{"
	for taint, principal := range s.lineage.TaintSources {
		if _, used := wants(uses, taint); used {
			w.name(&before, taint)
			w.text(principal)
		}
	}
	w.end(before)
}
