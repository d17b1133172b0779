// Package cedarcontext is a decision's context in Cedar's form, for engines that
// are asked over a network (CONTRACT 6, POLICY.md). policy/cedar makes the same
// in process, from the context itself. Guests link it.
package cedarcontext

import (
	"slices"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// ShortNames are further names of members (CONTRACT 6), and where their values
// stand.
var ShortNames = [...]struct{ Name, Section, Member string }{
	{"identity", "subject", "workload"},
	{"trust_score", "subject", "trust_score"},
	{"user", "subject", "user"},
	{"agent", "subject", "agent"},
	{"task", "subject", "task"},
	{"scope", "subject", "task"},
	{"taints", "subject", "taints"},
	{"classification", "environment", "classification"},
	{"is_root", "environment", "is_root"},
	{"source_type", "environment", "source_type"},
}

// Of returns the context as one record: the nested form, the flat names of two
// levels and the short names, without nulls at any depth. A number that is no
// integer, and a member of a reserved name, are a *kest.MemberError.
func Of(c *kest.Context, reserved ...string) (jcs.Value, error) {
	v := c.Value()
	nested, err := (&cleaner{reserved}).record(&v)
	if err != nil {
		return jcs.Value{}, err
	}
	members := slices.Clone(nested.Items())
	for _, section := range [...]string{"subject", "object", "environment"} {
		for _, m := range nested.Get(section).Items() {
			members = append(members, jcs.Member{Name: section + "." + m.Name, Value: m.Value})
		}
	}
	for _, s := range ShortNames {
		value := nested.Get(s.Section).Get(s.Member)
		if value.Kind() != jcs.Invalid && nested.Get(s.Name).Kind() == jcs.Invalid { // the context has two of them itself
			members = append(members, jcs.Member{Name: s.Name, Value: *value})
		}
	}
	return jcs.ObjectValue(members...), nil
}

// cleaner makes values such as Cedar can hold.
type cleaner struct{ reserved []string }

func (l *cleaner) record(v *jcs.Value) (jcs.Value, *kest.MemberError) {
	members := make([]jcs.Member, 0, v.Len())
	for i := range v.Items() {
		m := &v.Items()[i]
		if m.Value.Kind() == jcs.Null {
			continue
		}
		if slices.Contains(l.reserved, m.Name) {
			return jcs.Value{}, &kest.MemberError{Member: m.Name, Detail: "has a name that Cedar's JSON keeps for itself"}
		}
		kept, err := l.value(&m.Value)
		if err != nil {
			return jcs.Value{}, within(m.Name, err)
		}
		members = append(members, jcs.Member{Name: m.Name, Value: kept})
	}
	return jcs.ObjectValue(members...), nil
}

func (l *cleaner) value(v *jcs.Value) (jcs.Value, *kest.MemberError) {
	switch v.Kind() {
	case jcs.Number:
		if _, ok := v.Int(); !ok {
			return jcs.Value{}, &kest.MemberError{Detail: "is a number that is no integer, which Cedar can't hold"}
		}
	case jcs.Array:
		return l.set(v)
	case jcs.Object:
		return l.record(v)
	}
	return *v, nil
}

func (l *cleaner) set(v *jcs.Value) (jcs.Value, *kest.MemberError) {
	list := make([]jcs.Value, 0, v.Len())
	for i := range v.Items() {
		item := &v.Items()[i].Value
		if item.Kind() == jcs.Null {
			continue
		}
		kept, err := l.value(item)
		if err != nil {
			return jcs.Value{}, err
		}
		list = append(list, kept)
	}
	return jcs.ArrayValue(list...), nil
}

// within says where the member stands that an error names.
func within(name string, wrong *kest.MemberError) *kest.MemberError {
	if wrong.Member != "" {
		name += "." + wrong.Member
	}
	return &kest.MemberError{Member: name, Detail: wrong.Detail}
}
