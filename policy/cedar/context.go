package cedar

import (
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/internal/cedarcontext"
	"kest.example/kest/internal/jcs"
)

// field is one member of the context: what it is in Cedar, nil where it is null
// and left out. Uses says what is used below it. A list of strings and an object
// of configuration are there as such.
type field struct {
	name   string
	get    getter
	list   func(c *kest.Context) []string
	json   func(c *kest.Context) *jcs.Value
	record bool // always a record, of members that the policy names
	steady bool // never null, and of a deployment's vocabulary: much the same from request to request
}

type getter = func(c *kest.Context, uses *usage) types.Value

// plan is the fields that one policy uses, found once.
type plan []plannedField

type plannedField struct {
	name  types.String
	uses  *usage
	get   getter
	list  func(c *kest.Context) []string
	json  func(c *kest.Context) *jcs.Value
	known *objects // of json
	in    plan     // of a nested record
}

func (f *plannedField) value(c *kest.Context) (types.Value, error) {
	switch {
	case f.json != nil:
		return f.known.convert(f.json(c), f.uses)
	case f.list != nil:
		return stringSet(f.list(c)), nil
	case f.get != nil:
		return f.get(c, f.uses), nil
	}
	return f.in.record(c)
}

// planOf chooses what a policy uses of the nested form of CONTRACT 6, the flat
// names of two levels, and the short names.
func planOf(uses *usage) plan {
	var p plan
	for _, s := range sections() {
		if below, used := uses.wants(s.name); used {
			p = append(p, plannedField{name: types.String(s.name), in: plan{}.choose("", s.fields, below)})
		}
		if s.flat && uses.flat() {
			p = p.choose(s.name+".", s.fields, uses)
		}
	}
	for _, s := range cedarcontext.ShortNames {
		if below, used := uses.wants(s.Name); used {
			f, _ := member(s.Section, s.Member)
			p = append(p, planned(s.Name, *f, below))
		}
	}
	return p
}

// choose adds the fields that are used.
func (p plan) choose(prefix string, fields []field, uses *usage) plan {
	for _, f := range fields {
		if below, used := uses.wants(prefix + f.name); used {
			p = append(p, planned(prefix+f.name, f, below))
		}
	}
	return p
}

func planned(name string, f field, uses *usage) plannedField {
	one := plannedField{name: types.String(name), uses: uses, get: f.get, list: f.list, json: f.json}
	if f.json != nil {
		one.known = &objects{}
	}
	return one
}

// record makes the record of a plan.
func (p plan) record(c *kest.Context) (types.Record, error) {
	m := make(types.RecordMap, len(p))
	for i := range p {
		v, err := p[i].value(c)
		if err != nil {
			return types.Record{}, within(string(p[i].name), err)
		}
		if v != nil {
			m[p[i].name] = v
		}
	}
	return types.NewRecord(m), nil
}

func buildContext(c *kest.Context, uses *usage) (types.Record, error) { return planOf(uses).record(c) }

// text is a string; what is empty is null.
func text(get func(c *kest.Context) string) getter {
	return func(c *kest.Context, _ *usage) types.Value {
		if s := get(c); s != "" {
			return types.String(s)
		}
		return nil
	}
}

// word is a string that is never null.
func word(get func(c *kest.Context) string) getter {
	return func(c *kest.Context, _ *usage) types.Value { return types.String(get(c)) }
}

func integer(get func(c *kest.Context) int64) getter {
	return func(c *kest.Context, _ *usage) types.Value { return types.Long(get(c)) }
}

func isRoot(c *kest.Context, _ *usage) types.Value {
	return types.Boolean(c.Environment.IsRoot)
}

var subjectFields = []field{
	{name: "workload", steady: true, get: word(func(c *kest.Context) string { return c.Subject.Workload })},
	{name: "user", get: text(func(c *kest.Context) string { return c.Subject.Actor.User })},
	{name: "agent", get: text(func(c *kest.Context) string { return c.Subject.Actor.Agent })},
	{name: "task", get: text(func(c *kest.Context) string { return c.Subject.Actor.Task })},
	{name: "trust_score", steady: true, get: integer(func(c *kest.Context) int64 { return int64(c.Subject.TrustScore) })},
	{name: "taints", steady: true, list: func(c *kest.Context) []string { return c.Subject.Taints }},
	{name: "attributes", record: true, json: func(c *kest.Context) *jcs.Value { return c.Subject.Attributes }},
	{name: "labels", record: true, steady: true, get: func(c *kest.Context, uses *usage) types.Value { return labelRecord(c, uses) }},
}

var objectFields = []field{
	{name: "id", get: text(func(c *kest.Context) string { return c.Object.ID })},
	{name: "attributes", record: true, json: func(c *kest.Context) *jcs.Value { return c.Object.Attributes }},
}

var environmentFields = []field{
	{name: "is_root", steady: true, get: isRoot},
	{name: "source_type", steady: true, get: word(func(c *kest.Context) string { return c.Environment.SourceType })},
	{name: "parent_hash", get: word(func(c *kest.Context) string { return c.Environment.ParentHash })},
	{name: "policy_names", steady: true, list: func(c *kest.Context) []string { return c.Environment.PolicyNames }},
	{name: "policy_tier", steady: true, get: word(func(c *kest.Context) string { return string(c.Environment.PolicyTier) })},
	{name: "active_deviations", steady: true, list: func(c *kest.Context) []string { return c.Environment.ActiveDeviations }},
	{name: "operation", steady: true, get: word(func(c *kest.Context) string { return c.Environment.Operation })},
	{name: "classification", steady: true, get: word(func(c *kest.Context) string { return c.Environment.Classification })},
	{name: "timestamp_ms", get: integer(func(c *kest.Context) int64 { return c.Environment.TimestampMS })},
}

var lineageFields = []field{
	{name: "depth", steady: true, get: integer(func(c *kest.Context) int64 { return int64(c.Summary().Depth) })},
	{name: "roots", steady: true, list: func(c *kest.Context) []string { return c.Summary().Roots }},
	{name: "callers", steady: true, list: func(c *kest.Context) []string { return c.Summary().Callers }},
	{name: "principals", steady: true, list: func(c *kest.Context) []string { return c.Summary().Principals }},
	{name: "operations", steady: true, list: func(c *kest.Context) []string { return c.Summary().Operations }},
	{name: "origins", steady: true, list: func(c *kest.Context) []string { return c.Summary().Origins }},
	{name: "users", list: func(c *kest.Context) []string { return c.Summary().Users }},
	{name: "min_trust", steady: true, get: integer(func(c *kest.Context) int64 { return int64(c.MinTrust()) })},
	{name: "acts", get: func(c *kest.Context, _ *usage) types.Value { return actSet(c.Summary().Acts) }},
	{name: "taint_sources", record: true, get: func(c *kest.Context, uses *usage) types.Value {
		m := spareMap()
		for taint, principal := range c.Summary().TaintSources {
			if _, used := uses.wants(taint); used {
				m[types.String(taint)] = types.String(principal)
			}
		}
		return recordOf(m)
	}},
}

// section is a record of fixed members; flat ones have names such as
// "subject.user" for them, too.
type section struct {
	name   string
	fields []field
	flat   bool
}

func sections() [4]section {
	return [...]section{
		{"subject", subjectFields, true},
		{"object", objectFields, true},
		{"environment", environmentFields, true},
		{"lineage", lineageFields, false},
	}
}

// member finds a field by the names of its section and itself.
func member(sectionName, name string) (f *field, flat bool) {
	for _, s := range sections() {
		for i := range s.fields {
			if s.name == sectionName && s.fields[i].name == name {
				return &s.fields[i], s.flat
			}
		}
	}
	return nil, false
}
