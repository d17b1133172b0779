package cedar

import (
	"strconv"
	"sync"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// valueError is an attribute that Cedar can't hold.
type valueError string

func (e valueError) Error() string { return "cedar: " + string(e) + " is a number that is no integer" }

// field is one member of the context: what it is in Cedar, nil where it is null
// and left out. Uses says what is used below it. An object of configuration is
// there as JSON.
type field struct {
	name string
	get  func(c *kest.Context, uses *usage) (types.Value, error)
	json func(c *kest.Context) *jcs.Value
}

// plan is the fields that one policy uses, found once.
type plan []plannedField

type plannedField struct {
	name  types.String
	get   func(c *kest.Context, uses *usage) (types.Value, error)
	uses  *usage
	json  func(c *kest.Context) *jcs.Value
	known *conversions // of json
	in    plan         // of a nested record
}

// conversions are objects of configuration that were converted before. They are
// the same from request to request, and never change.
type conversions struct {
	mu sync.Mutex
	by map[*jcs.Value]types.Value
}

// maxConversions bounds them, where objects are made for each request after all.
const maxConversions = 64

func (k *conversions) convert(name string, v *jcs.Value, uses *usage) (types.Value, error) {
	if v == nil {
		return emptyRecord, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.by[v]; known != nil {
		return known, nil
	}
	value, err := convert(name, v, uses)
	if err == nil && len(k.by) < maxConversions {
		k.by[v] = value
	}
	return value, err
}

var emptyRecord = types.NewRecord(nil)

// planOf chooses what a policy uses of the nested form of CONTRACT 6, the flat
// names of two levels, and the short names.
func planOf(uses *usage) plan {
	var p plan
	for _, s := range [...]struct {
		name   string
		fields []field
	}{{"subject", subjectFields}, {"object", objectFields}, {"environment", environmentFields}, {"lineage", lineageFields}} {
		if below, used := uses.wants(s.name); used {
			p = append(p, plannedField{name: types.String(s.name), in: plan{}.choose("", s.fields, below)})
		}
		if s.name != "lineage" && uses.flat() {
			p = p.choose(s.name+".", s.fields, uses)
		}
	}
	return p.choose("", shortFields, uses)
}

// choose adds the fields that are used.
func (p plan) choose(prefix string, fields []field, uses *usage) plan {
	for _, f := range fields {
		if below, used := uses.wants(prefix + f.name); used {
			one := plannedField{name: types.String(prefix + f.name), get: f.get, uses: below, json: f.json}
			if f.json != nil {
				one.known = &conversions{by: make(map[*jcs.Value]types.Value)}
			}
			p = append(p, one)
		}
	}
	return p
}

// record makes the record of a plan.
func (p plan) record(c *kest.Context) (types.Record, error) {
	m := make(types.RecordMap, len(p))
	for i := range p {
		f := &p[i]
		var v types.Value
		var err error
		switch {
		case f.json != nil:
			v, err = f.known.convert(string(f.name), f.json(c), f.uses)
		case f.get != nil:
			v, err = f.get(c, f.uses)
		default:
			v, err = f.in.record(c)
		}
		if err != nil {
			return types.Record{}, err
		}
		if v != nil {
			m[f.name] = v
		}
	}
	return types.NewRecord(m), nil
}

func buildContext(c *kest.Context, uses *usage) (types.Record, error) { return planOf(uses).record(c) }

type getter = func(c *kest.Context, uses *usage) (types.Value, error)

// text is a string; what is empty is null.
func text(get func(c *kest.Context) string) getter {
	return func(c *kest.Context, _ *usage) (types.Value, error) {
		if s := get(c); s != "" {
			return types.String(s), nil
		}
		return nil, nil
	}
}

// word is a string that is never null.
func word(get func(c *kest.Context) string) getter {
	return func(c *kest.Context, _ *usage) (types.Value, error) { return types.String(get(c)), nil }
}

func integer(get func(c *kest.Context) int64) getter {
	return func(c *kest.Context, _ *usage) (types.Value, error) { return types.Long(get(c)), nil }
}

func texts(get func(c *kest.Context) []string) getter {
	return func(c *kest.Context, _ *usage) (types.Value, error) { return stringSet(get(c)), nil }
}

func isRoot(c *kest.Context, _ *usage) (types.Value, error) {
	return types.Boolean(c.Environment.IsRoot), nil
}

var subjectFields = []field{
	{name: "workload", get: word(func(c *kest.Context) string { return c.Subject.Workload })},
	{name: "user", get: text(func(c *kest.Context) string { return c.Subject.Actor.User })},
	{name: "agent", get: text(func(c *kest.Context) string { return c.Subject.Actor.Agent })},
	{name: "task", get: text(func(c *kest.Context) string { return c.Subject.Actor.Task })},
	{name: "trust_score", get: integer(func(c *kest.Context) int64 { return int64(c.Subject.TrustScore) })},
	{name: "taints", get: texts(func(c *kest.Context) []string { return c.Subject.Taints })},
	{name: "attributes", json: func(c *kest.Context) *jcs.Value { return c.Subject.Attributes }},
	{name: "labels", get: func(c *kest.Context, uses *usage) (types.Value, error) { return labelRecord(c, uses), nil }},
}

var objectFields = []field{
	{name: "id", get: text(func(c *kest.Context) string { return c.Object.ID })},
	{name: "attributes", json: func(c *kest.Context) *jcs.Value { return c.Object.Attributes }},
}

var environmentFields = []field{
	{name: "is_root", get: isRoot},
	{name: "source_type", get: word(func(c *kest.Context) string { return c.Environment.SourceType })},
	{name: "parent_hash", get: word(func(c *kest.Context) string { return c.Environment.ParentHash })},
	{name: "policy_names", get: texts(func(c *kest.Context) []string { return c.Environment.PolicyNames })},
	{name: "policy_tier", get: word(func(c *kest.Context) string { return string(c.Environment.PolicyTier) })},
	{name: "active_deviations", get: texts(func(c *kest.Context) []string { return c.Environment.ActiveDeviations })},
	{name: "operation", get: word(func(c *kest.Context) string { return c.Environment.Operation })},
	{name: "classification", get: word(func(c *kest.Context) string { return c.Environment.Classification })},
	{name: "timestamp_ms", get: integer(func(c *kest.Context) int64 { return c.Environment.TimestampMS })},
}

var lineageFields = []field{
	{name: "depth", get: integer(func(c *kest.Context) int64 { return int64(c.Summary().Depth) })},
	{name: "roots", get: texts(func(c *kest.Context) []string { return c.Summary().Roots })},
	{name: "callers", get: texts(func(c *kest.Context) []string { return c.Summary().Callers })},
	{name: "principals", get: texts(func(c *kest.Context) []string { return c.Summary().Principals })},
	{name: "operations", get: texts(func(c *kest.Context) []string { return c.Summary().Operations })},
	{name: "origins", get: texts(func(c *kest.Context) []string { return c.Summary().Origins })},
	{name: "users", get: texts(func(c *kest.Context) []string { return c.Summary().Users })},
	{name: "min_trust", get: integer(func(c *kest.Context) int64 { return int64(c.MinTrust()) })},
	{name: "acts", get: func(c *kest.Context, _ *usage) (types.Value, error) { return actSet(c.Summary().Acts), nil }},
	{name: "taint_sources", get: func(c *kest.Context, uses *usage) (types.Value, error) {
		m := make(types.RecordMap)
		for taint, principal := range c.Summary().TaintSources {
			if _, used := uses.wants(taint); used {
				m[types.String(taint)] = types.String(principal)
			}
		}
		return types.NewRecord(m), nil
	}},
}

var shortFields = []field{
	{name: "identity", get: subjectFields[0].get},
	{name: "trust_score", get: subjectFields[4].get},
	{name: "user", get: subjectFields[1].get},
	{name: "agent", get: subjectFields[2].get},
	{name: "task", get: subjectFields[3].get},
	{name: "scope", get: subjectFields[3].get},
	{name: "taints", get: subjectFields[5].get},
	{name: "classification", get: environmentFields[7].get},
	{name: "is_root", get: isRoot},
	{name: "source_type", get: environmentFields[1].get},
}

var emptySet = types.NewSet()

func stringSet(list []string) types.Set {
	if len(list) == 0 {
		return emptySet
	}
	var few [8]types.Value
	values := few[:0]
	for _, s := range list {
		values = append(values, types.String(s))
	}
	return types.NewSet(values...)
}

// labelRecord is {key: set of values} of the labels that are used.
func labelRecord(c *kest.Context, uses *usage) types.Value {
	var few [4]label
	labels := few[:0]
	c.EachLabel(func(key string, value ...string) {
		if _, used := uses.wants(key); !used {
			return
		}
		at := -1
		for i := range labels {
			if labels[i].key == key {
				at = i
			}
		}
		if at < 0 {
			at = len(labels)
			labels = append(labels, label{key: key})
		}
		for _, v := range value {
			labels[at].values = append(labels[at].values, types.String(v))
		}
	})
	if len(labels) == 0 {
		return emptyRecord
	}
	m := make(types.RecordMap, len(labels))
	for _, l := range labels {
		m[types.String(l.key)] = types.NewSet(l.values...)
	}
	return types.NewRecord(m)
}

type label struct {
	key    string
	values []types.Value
}

func actSet(acts []kest.Act) types.Set {
	values := make([]types.Value, len(acts))
	for i, a := range acts {
		m := types.RecordMap{"operation": types.String(a.Operation)}
		if a.User != "" {
			m["user"] = types.String(a.User)
		}
		values[i] = types.NewRecord(m)
	}
	return types.NewSet(values...)
}

// convert turns JSON into Cedar; nil where it is null.
func convert(name string, v *jcs.Value, uses *usage) (types.Value, error) {
	switch v.Kind() {
	case jcs.Bool:
		return types.Boolean(v.IsTrue()), nil
	case jcs.String:
		return types.String(v.Str()), nil
	case jcs.Number:
		i, ok := v.Int()
		if !ok {
			return nil, valueError(name)
		}
		return types.Long(i), nil
	case jcs.Array:
		return convertArray(name, v)
	case jcs.Object:
		return convertObject(v, uses)
	}
	return nil, nil
}

func convertObject(v *jcs.Value, uses *usage) (types.Value, error) {
	m := make(types.RecordMap)
	for i := range v.Items() {
		item := &v.Items()[i]
		below, used := uses.wants(item.Name)
		if !used {
			continue
		}
		value, err := convert(item.Name, &item.Value, below)
		if err != nil {
			return nil, err
		}
		if value != nil {
			m[types.String(item.Name)] = value
		}
	}
	return types.NewRecord(m), nil
}

func convertArray(name string, v *jcs.Value) (types.Value, error) {
	values := make([]types.Value, 0, v.Len())
	for i := range v.Items() {
		value, err := convert(name+"["+strconv.Itoa(i)+"]", &v.Items()[i].Value, nil)
		if err != nil {
			return nil, err
		}
		if value != nil {
			values = append(values, value)
		}
	}
	return types.NewSet(values...), nil
}
