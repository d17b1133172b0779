package rego

import (
	"maps"
	"slices"

	"kest.example/kest/internal/jcs"
)

// Uses returns what of the input a policy can read, with all that it depends on:
// an object of the members' names, in which null is all that is below. Null
// itself is the whole input, and that of a policy that isn't there.
func (b *Bundle) Uses(policy string) jcs.Value {
	for _, p := range b.Policies {
		if p.Name == policy {
			return usageOf(b.compiler, p.ref).value()
		}
	}
	return jcs.NullValue()
}

func (u *usage) value() jcs.Value {
	if u == nil {
		return jcs.NullValue()
	}
	members := make([]jcs.Member, 0, len(u.members))
	for _, name := range slices.Sorted(maps.Keys(u.members)) {
		members = append(members, jcs.Member{Name: name, Value: u.members[name].value()})
	}
	return jcs.ObjectValue(members...)
}
