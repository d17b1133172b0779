package kest

import (
	"slices"
	"strconv"

	"kest.example/kest/internal/jcs"
)

// ParseContext reads a context as CONTRACT 6 gives it: one that was recorded, or
// one that was written for a test. Members that are missing are null, 0 or
// empty; unknown ones, and values of another type, are a *MemberError. What it
// says of a lineage was not verified here: the context is for asking an engine
// by hand, and no hook takes one.
//
// identity and trust_score say again what subject says; either is enough.
// subject.labels follow from the taints, and lineage.operations and users from
// the acts, unless they are given.
func ParseContext(text []byte) (*Context, error) {
	v, err := jcs.Parse(text)
	if err != nil {
		return nil, &detailError{"the context", err}
	}
	return ContextFromValue(v)
}

// ContextFromValue is ParseContext of JSON that was parsed already.
func ContextFromValue(v *jcs.Value) (*Context, error) {
	r := contextReader{c: &Context{}, told: &toldLineage{}}
	r.object("", v, "subject", "object", "environment", "identity", "trust_score", "lineage")
	r.subject(v.Get("subject"))
	r.objectOf(v.Get("object"))
	r.environment(v.Get("environment"))
	r.lineage(v.Get("lineage"))
	r.same(v)
	if r.err != nil {
		return nil, r.err
	}
	r.c.told = r.told
	return r.c, nil
}

// toldLineage is a lineage block without a lineage, and labels without taints.
type toldLineage struct {
	LineageSummary
	labels *jcs.Value
}

// contextReader keeps the first error.
type contextReader struct {
	c    *Context
	told *toldLineage
	err  error
}

func (r *contextReader) fail(member, detail string) {
	if member == "" {
		member = "context"
	}
	if r.err == nil {
		r.err = &MemberError{member, detail}
	}
}

// there reports whether a member has a value of the kind; none and null have not.
func (r *contextReader) there(member string, v *jcs.Value, want jcs.Kind) bool {
	switch v.Kind() {
	case want:
		return true
	case jcs.Invalid, jcs.Null:
	default:
		r.fail(member, "is "+v.Kind().String()+", not "+want.String())
	}
	return false
}

func (r *contextReader) object(member string, v *jcs.Value, known ...string) bool {
	if !r.there(member, v, jcs.Object) {
		if member == "" {
			r.fail(member, "is null")
		}
		return false
	}
	for i := range v.Items() {
		if name := v.Items()[i].Name; !slices.Contains(known, name) {
			r.fail(joinMember(member, name), "is unknown")
		}
	}
	return true
}

func joinMember(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (r *contextReader) text(path, name string, v *jcs.Value) string {
	if v = v.Get(name); r.there(joinMember(path, name), v, jcs.String) {
		return v.Str()
	}
	return ""
}

func (r *contextReader) integer(path, name string, v *jcs.Value) int64 {
	v = v.Get(name)
	if !r.there(joinMember(path, name), v, jcs.Number) {
		return 0
	}
	i, ok := v.Int()
	if !ok {
		r.fail(joinMember(path, name), "is no integer")
	}
	return i
}

func (r *contextReader) texts(path, name string, v *jcs.Value) []string {
	v = v.Get(name)
	member := joinMember(path, name)
	if !r.there(member, v, jcs.Array) {
		return nil
	}
	list := make([]string, v.Len())
	for i := range v.Items() {
		item := &v.Items()[i].Value
		if !r.there(member+"["+strconv.Itoa(i)+"]", item, jcs.String) {
			r.fail(member+"["+strconv.Itoa(i)+"]", "is null")
		}
		list[i] = item.Str()
	}
	return list
}

func (r *contextReader) attributes(path string, v *jcs.Value) *jcs.Value {
	if v = v.Get("attributes"); r.there(path+".attributes", v, jcs.Object) {
		return v
	}
	return nil
}

func (r *contextReader) subject(v *jcs.Value) {
	const path = "subject"
	r.object(path, v, "workload", "user", "agent", "task", "trust_score", "taints", "attributes", "labels")
	r.c.Subject = Subject{
		Workload:   r.text(path, "workload", v),
		Actor:      Actor{User: r.text(path, "user", v), Agent: r.text(path, "agent", v), Task: r.text(path, "task", v)},
		TrustScore: int(r.integer(path, "trust_score", v)),
		Taints:     r.texts(path, "taints", v),
		Attributes: r.attributes(path, v),
	}
	if labels := v.Get("labels"); r.there(path+".labels", labels, jcs.Object) {
		r.told.labels = labels
		for i := range labels.Items() {
			r.texts(path+".labels", labels.Items()[i].Name, labels)
		}
	}
}

func (r *contextReader) objectOf(v *jcs.Value) {
	r.object("object", v, "id", "attributes")
	r.c.Object = Object{ID: r.text("object", "id", v), Attributes: r.attributes("object", v)}
}

func (r *contextReader) environment(v *jcs.Value) {
	const path = "environment"
	r.object(path, v, "is_root", "source_type", "parent_hash", "policy_names", "policy_tier", "active_deviations",
		"operation", "classification", "timestamp_ms")
	root := v.Get("is_root")
	r.c.Environment = PolicyEnvironment{
		IsRoot:     r.there(path+".is_root", root, jcs.Bool) && root.IsTrue(),
		SourceType: r.text(path, "source_type", v), ParentHash: r.text(path, "parent_hash", v),
		PolicyNames: r.texts(path, "policy_names", v), PolicyTier: Tier(r.text(path, "policy_tier", v)),
		ActiveDeviations: r.texts(path, "active_deviations", v), Operation: r.text(path, "operation", v),
		Classification: r.text(path, "classification", v), TimestampMS: r.integer(path, "timestamp_ms", v),
	}
}

func (r *contextReader) lineage(v *jcs.Value) {
	const path = "lineage"
	r.object(path, v, "depth", "roots", "callers", "principals", "operations", "origins", "users", "acts", "taint_sources", "min_trust")
	r.told.LineageSummary = LineageSummary{
		Depth: int(r.integer(path, "depth", v)), MinTrust: int(r.integer(path, "min_trust", v)),
		Roots: r.texts(path, "roots", v), Callers: r.texts(path, "callers", v), Principals: r.texts(path, "principals", v),
		Operations: r.texts(path, "operations", v), Origins: r.texts(path, "origins", v), Users: r.texts(path, "users", v),
		Acts: r.acts(v.Get("acts")), TaintSources: make(map[string]string),
	}
	r.fromActs(v)
	if sources := v.Get("taint_sources"); r.there(path+".taint_sources", sources, jcs.Object) {
		for i := range sources.Items() {
			name := sources.Items()[i].Name
			r.told.TaintSources[name] = r.text(path+".taint_sources", name, sources)
		}
	}
}

// fromActs fills in what follows from the acts, where it isn't given.
func (r *contextReader) fromActs(v *jcs.Value) {
	for _, a := range r.told.Acts {
		if v.Get("operations").Kind() == jcs.Invalid {
			r.told.Operations = appendNew(r.told.Operations, a.Operation)
		}
		if v.Get("users").Kind() == jcs.Invalid && a.User != "" {
			r.told.Users = appendNew(r.told.Users, a.User)
		}
	}
}

func (r *contextReader) acts(v *jcs.Value) []Act {
	if !r.there("lineage.acts", v, jcs.Array) {
		return nil
	}
	acts := make([]Act, v.Len())
	for i := range v.Items() {
		path, item := "lineage.acts["+strconv.Itoa(i)+"]", &v.Items()[i].Value
		r.object(path, item, "operation", "user")
		acts[i] = Act{Operation: r.text(path, "operation", item), User: r.text(path, "user", item)}
	}
	return acts
}

// same settles what stands in two places.
func (r *contextReader) same(v *jcs.Value) {
	s := &r.c.Subject
	if id := r.text("", "identity", v); s.Workload == "" {
		s.Workload = id
	} else if id != "" && id != s.Workload {
		r.fail("identity", "is another than subject.workload")
	}
	score := v.Get("trust_score")
	if !r.there("trust_score", score, jcs.Number) {
		return
	}
	n := int(r.integer("", "trust_score", v))
	if inner := v.Get("subject").Get("trust_score").Kind(); inner != jcs.Number {
		s.TrustScore = n
	} else if n != s.TrustScore {
		r.fail("trust_score", "is another than subject.trust_score")
	}
}
