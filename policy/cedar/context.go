package cedar

import (
	"strconv"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// valueError is an attribute that Cedar can't hold.
type valueError string

func (e valueError) Error() string { return "cedar: " + string(e) + " is a number that is no integer" }

// builder collects the wanted members of one record. Nulls are left out.
type builder struct {
	uses *usage
	m    types.RecordMap
	err  error
}

func newBuilder(uses *usage) *builder { return &builder{uses: uses, m: make(types.RecordMap)} }

func (b *builder) record() types.Record { return types.NewRecord(b.m) }

// text adds a string; what is empty is null, and nulls are left out.
func (b *builder) text(name, value string) {
	if value != "" {
		b.word(name, value)
	}
}

// word adds a string that is never null.
func (b *builder) word(name, value string) {
	if _, used := b.uses.wants(name); used {
		b.m[types.String(name)] = types.String(value)
	}
}

func (b *builder) integer(name string, value int64) {
	if _, used := b.uses.wants(name); used {
		b.m[types.String(name)] = types.Long(value)
	}
}

func (b *builder) boolean(name string, value bool) {
	if _, used := b.uses.wants(name); used {
		b.m[types.String(name)] = types.Boolean(value)
	}
}

func (b *builder) set(name string, list []string) {
	if _, used := b.uses.wants(name); used {
		b.m[types.String(name)] = stringSet(list)
	}
}

func (b *builder) json(name string, v *jcs.Value) {
	below, used := b.uses.wants(name)
	if !used {
		return
	}
	value, err := convert(name, v, below)
	if err != nil && b.err == nil {
		b.err = err
	}
	if value != nil {
		b.m[types.String(name)] = value
	}
}

// nested adds a record whose members the function adds.
func (b *builder) nested(name string, fill func(*builder)) {
	below, used := b.uses.wants(name)
	if !used {
		return
	}
	inner := newBuilder(below)
	fill(inner)
	if inner.err != nil && b.err == nil {
		b.err = inner.err
	}
	b.m[types.String(name)] = inner.record()
}

func stringSet(list []string) types.Set {
	values := make([]types.Value, len(list))
	for i, s := range list {
		values[i] = types.String(s)
	}
	return types.NewSet(values...)
}

// buildContext makes Cedar's context: the nested form of CONTRACT 6, the flat
// names of two levels, and the short names.
func buildContext(c *kest.Context, uses *usage) (types.Record, error) {
	b := newBuilder(uses)
	s, e := &c.Subject, &c.Environment
	b.nested("subject", func(n *builder) { fillSubject(n, "", c) })
	b.nested("object", func(n *builder) { fillObject(n, "", c) })
	b.nested("environment", func(n *builder) { fillEnvironment(n, "", e) })
	b.nested("lineage", func(n *builder) { fillLineage(n, c) })
	if uses.flat() {
		fillSubject(b, "subject.", c)
		fillObject(b, "object.", c)
		fillEnvironment(b, "environment.", e)
	}
	b.word("identity", s.Workload)
	b.integer("trust_score", int64(s.TrustScore))
	b.text("user", s.Actor.User)
	b.text("agent", s.Actor.Agent)
	b.text("task", s.Actor.Task)
	b.text("scope", s.Actor.Task)
	b.set("taints", s.Taints)
	b.word("classification", e.Classification)
	b.boolean("is_root", e.IsRoot)
	b.word("source_type", e.SourceType)
	if b.err != nil {
		return types.Record{}, b.err
	}
	return b.record(), nil
}

func fillSubject(b *builder, prefix string, c *kest.Context) {
	s := &c.Subject
	b.word(prefix+"workload", s.Workload)
	b.text(prefix+"user", s.Actor.User)
	b.text(prefix+"agent", s.Actor.Agent)
	b.text(prefix+"task", s.Actor.Task)
	b.integer(prefix+"trust_score", int64(s.TrustScore))
	b.set(prefix+"taints", s.Taints)
	b.json(prefix+"attributes", objectOrEmpty(s.Attributes))
	labels := c.Labels()
	b.json(prefix+"labels", &labels)
}

func fillObject(b *builder, prefix string, c *kest.Context) {
	b.text(prefix+"id", c.Object.ID)
	b.json(prefix+"attributes", objectOrEmpty(c.Object.Attributes))
}

func fillEnvironment(b *builder, prefix string, e *kest.PolicyEnvironment) {
	b.boolean(prefix+"is_root", e.IsRoot)
	b.word(prefix+"source_type", e.SourceType)
	b.word(prefix+"parent_hash", e.ParentHash)
	b.set(prefix+"policy_names", e.PolicyNames)
	b.word(prefix+"policy_tier", string(e.PolicyTier))
	b.set(prefix+"active_deviations", e.ActiveDeviations)
	b.word(prefix+"operation", e.Operation)
	b.word(prefix+"classification", e.Classification)
	b.integer(prefix+"timestamp_ms", e.TimestampMS)
}

func fillLineage(b *builder, c *kest.Context) {
	s := c.Summary()
	b.integer("depth", int64(s.Depth))
	b.set("roots", s.Roots)
	b.set("callers", s.Callers)
	b.set("principals", s.Principals)
	b.set("operations", s.Operations)
	b.set("origins", s.Origins)
	b.set("users", s.Users)
	b.integer("min_trust", int64(c.MinTrust()))
	if _, used := b.uses.wants("acts"); used {
		b.m["acts"] = actSet(s.Acts)
	}
	b.nested("taint_sources", func(n *builder) {
		for taint, principal := range s.TaintSources {
			n.word(taint, principal)
		}
	})
}

func actSet(acts []kest.Act) types.Set {
	values := make([]types.Value, len(acts))
	for i, a := range acts {
		b := newBuilder(nil)
		b.word("operation", a.Operation)
		b.text("user", a.User)
		values[i] = b.record()
	}
	return types.NewSet(values...)
}

var emptyObject = jcs.ObjectValue()

func objectOrEmpty(v *jcs.Value) *jcs.Value {
	if v == nil {
		return &emptyObject
	}
	return v
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
		b := newBuilder(uses)
		for i := range v.Items() {
			m := &v.Items()[i]
			b.json(m.Name, &m.Value)
		}
		return b.record(), b.err
	}
	return nil, nil
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
