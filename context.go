package kest

import (
	"strings"

	"kest.example/kest/internal/jcs"
)

// Context is what every engine may know (F-PE-06). It is made from a verified
// lineage and must not be changed.
type Context struct {
	Subject     Subject
	Object      Object
	Environment PolicyEnvironment
	Lineage     *Lineage // verified entries only, without the one being made

	entryID string
	told    *toldLineage // of a context that was parsed
}

// Subject is who acts: the workload that decides, on whose behalf, and what
// the entry being made says of trust and taints.
type Subject struct {
	Workload   string
	Actor      Actor
	TrustScore int
	Taints     []string
	Attributes *jcs.Value // from configuration; nil is none
}

// Object is what is acted upon.
type Object struct {
	ID         string     // "" is null
	Attributes *jcs.Value // nil is none
}

// PolicyEnvironment is the rest of what F-PE-06 and POLICY.md name.
type PolicyEnvironment struct {
	IsRoot           bool
	SourceType       string
	ParentHash       string // several are joined by commas
	PolicyNames      []string
	PolicyTier       Tier
	ActiveDeviations []string
	Operation        string
	Classification   string
	TimestampMS      int64
}

// forTier returns the context as the policies of one tier see it.
func (c *Context) forTier(t TierPolicies) *Context {
	scoped := *c
	scoped.Environment.PolicyNames, scoped.Environment.PolicyTier = t.Policies, t.Tier
	return &scoped
}

// Value returns the context as JSON of the form that CONTRACT 6 gives: the
// input of Rego and the nested part of Cedar's context.
func (c *Context) Value() jcs.Value {
	return object(
		named("subject", c.subject()),
		named("object", object(named("id", orNull(c.Object.ID)), named("attributes", orEmpty(c.Object.Attributes)))),
		named("environment", c.environment()),
		named("identity", jcs.StringValue(c.Subject.Workload)),
		named("trust_score", jcs.IntValue(int64(c.Subject.TrustScore))),
		named("lineage", c.lineage()),
	)
}

// JSON returns the context in canonical form.
func (c *Context) JSON() []byte {
	v := c.Value()
	return appendValue(&v)
}

func (c *Context) subject() jcs.Value {
	s := &c.Subject
	return object(
		named("workload", jcs.StringValue(s.Workload)),
		named("user", orNull(s.Actor.User)), named("agent", orNull(s.Actor.Agent)), named("task", orNull(s.Actor.Task)),
		named("trust_score", jcs.IntValue(int64(s.TrustScore))),
		named("taints", jcs.StringsValue(s.Taints)),
		named("attributes", orEmpty(s.Attributes)),
		named("labels", c.Labels()),
	)
}

// Labels returns subject.labels: an object of lists of strings.
func (c *Context) Labels() jcs.Value {
	if c.told != nil && c.told.labels != nil {
		return *c.told.labels
	}
	return TaintLabels(c.Subject.Taints)
}

// EachLabel calls f for every value of subject.labels, and with none for a label
// of no values, which only a context that was written by hand has.
func (c *Context) EachLabel(f func(key string, value ...string)) {
	if c.told != nil && c.told.labels != nil {
		for i := range c.told.labels.Items() {
			m := &c.told.labels.Items()[i]
			if m.Value.Len() == 0 {
				f(m.Name)
			}
			for j := range m.Value.Items() {
				f(m.Name, m.Value.Items()[j].Value.Str())
			}
		}
		return
	}
	for _, t := range c.Subject.Taints {
		if key, value, ok := strings.Cut(t, "="); ok && key != "" {
			f(key, value)
		}
	}
}

// Summary returns the lineage block, but for MinTrust.
func (c *Context) Summary() *LineageSummary {
	if c.told != nil {
		return &c.told.LineageSummary
	}
	return c.Lineage.Summary()
}

// TaintLabels shows every taint key=value also as {key: [values]} (POLICY.md).
func TaintLabels(taints []string) jcs.Value {
	var keys []string
	values := make(map[string][]string)
	for _, t := range taints {
		if key, value, ok := strings.Cut(t, "="); ok && key != "" {
			keys = appendNew(keys, key)
			values[key] = append(values[key], value)
		}
	}
	members := make([]jcs.Member, len(keys))
	for i, key := range keys {
		members[i] = jcs.Member{Name: key, Value: jcs.StringsValue(values[key])}
	}
	return jcs.ObjectValue(members...)
}

func (c *Context) environment() jcs.Value {
	e := &c.Environment
	return object(
		named("is_root", jcs.BoolValue(e.IsRoot)),
		named("source_type", jcs.StringValue(e.SourceType)),
		named("parent_hash", jcs.StringValue(e.ParentHash)),
		named("policy_names", jcs.StringsValue(e.PolicyNames)),
		named("policy_tier", jcs.StringValue(string(e.PolicyTier))),
		named("active_deviations", jcs.StringsValue(e.ActiveDeviations)),
		named("operation", jcs.StringValue(e.Operation)),
		named("classification", jcs.StringValue(e.Classification)),
		named("timestamp_ms", jcs.IntValue(e.TimestampMS)),
	)
}

func (c *Context) lineage() jcs.Value {
	s := c.Summary()
	sources := make([]jcs.Member, 0, len(s.TaintSources))
	for _, taint := range sortedNames(s.TaintSources) {
		sources = append(sources, jcs.Member{Name: taint, Value: jcs.StringValue(s.TaintSources[taint])})
	}
	acts := make([]jcs.Value, len(s.Acts))
	for i, a := range s.Acts {
		acts[i] = object(named("operation", jcs.StringValue(a.Operation)), named("user", orNull(a.User)))
	}
	return object(
		named("depth", jcs.IntValue(int64(s.Depth))),
		named("roots", jcs.StringsValue(s.Roots)),
		named("callers", jcs.StringsValue(s.Callers)),
		named("principals", jcs.StringsValue(s.Principals)),
		named("operations", jcs.StringsValue(s.Operations)),
		named("origins", jcs.StringsValue(s.Origins)),
		named("users", jcs.StringsValue(s.Users)),
		named("acts", jcs.ArrayValue(acts...)),
		named("taint_sources", jcs.ObjectValue(sources...)),
		named("min_trust", jcs.IntValue(int64(c.MinTrust()))),
	)
}

// MinTrust returns the least trust score of the lineage; at a root the entry's own.
func (c *Context) MinTrust() int {
	if c.told == nil && c.Environment.IsRoot {
		return c.Subject.TrustScore
	}
	return c.Summary().MinTrust
}

func object(members ...jcs.Member) jcs.Value { return jcs.ObjectValue(members...) }

func named(name string, v jcs.Value) jcs.Member { return jcs.Member{Name: name, Value: v} }

func orNull(s string) jcs.Value {
	if s == "" {
		return jcs.NullValue()
	}
	return jcs.StringValue(s)
}

func orEmpty(v *jcs.Value) jcs.Value {
	if v == nil {
		return jcs.ObjectValue()
	}
	return *v
}
