package cedaragent

import (
	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// numberError is a number that Cedar can't hold.
type numberError struct{ path string }

func (e *numberError) Error() string { return "cedar: " + e.path + " is a number that is no integer" }

// contextOf is the context in Cedar's form, as policy/cedar makes it: the nested
// form, the flat names of two levels and the short names, without nulls.
func contextOf(c *kest.Context) (jcs.Value, error) {
	v := c.Value()
	nested, err := withoutNulls("context", &v)
	if err != nil {
		return jcs.Value{}, err
	}
	var members []jcs.Member
	members = append(members, nested.Items()...)
	for _, section := range [...]string{"subject", "object", "environment"} {
		for _, m := range nested.Get(section).Items() {
			members = append(members, jcs.Member{Name: section + "." + m.Name, Value: m.Value})
		}
	}
	for _, s := range [...]struct{ name, section, member string }{
		{"user", "subject", "user"},
		{"agent", "subject", "agent"},
		{"task", "subject", "task"},
		{"scope", "subject", "task"},
		{"taints", "subject", "taints"},
		{"classification", "environment", "classification"},
		{"is_root", "environment", "is_root"},
		{"source_type", "environment", "source_type"},
	} {
		if value := nested.Get(s.section).Get(s.member); value.Kind() != jcs.Invalid {
			members = append(members, jcs.Member{Name: s.name, Value: *value})
		}
	}
	return jcs.ObjectValue(members...), nil
}

// withoutNulls leaves nulls out at every depth, and refuses what is no integer.
func withoutNulls(path string, v *jcs.Value) (jcs.Value, error) {
	switch v.Kind() {
	case jcs.Number:
		if _, ok := v.Int(); !ok {
			return jcs.Value{}, &numberError{path}
		}
	case jcs.Array:
		list := make([]jcs.Value, 0, v.Len())
		for i := range v.Items() {
			item := &v.Items()[i].Value
			if item.Kind() == jcs.Null {
				continue
			}
			kept, err := withoutNulls(path, item)
			if err != nil {
				return jcs.Value{}, err
			}
			list = append(list, kept)
		}
		return jcs.ArrayValue(list...), nil
	case jcs.Object:
		members := make([]jcs.Member, 0, v.Len())
		for i := range v.Items() {
			m := &v.Items()[i]
			if m.Value.Kind() == jcs.Null {
				continue
			}
			kept, err := withoutNulls(path+"."+m.Name, &m.Value)
			if err != nil {
				return jcs.Value{}, err
			}
			members = append(members, jcs.Member{Name: m.Name, Value: kept})
		}
		return jcs.ObjectValue(members...), nil
	}
	return *v, nil
}
