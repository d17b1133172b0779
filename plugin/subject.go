package plugin

import (
	"slices"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// SubjectAttributes is what configuration says of a subject: all rules that fit
// unite, the first one that has a member wins. It is nil where there are no rules.
func (c *Config) SubjectAttributes(a kest.Actor) *jcs.Value {
	if len(c.Subjects) == 0 {
		return nil
	}
	var members []jcs.Member
	for _, r := range c.Subjects {
		name := map[string]string{"user": a.User, "agent": a.Agent, "workload": c.Workload}[r.Kind]
		if name == "" || !r.Pattern.Match(name) {
			continue
		}
		for _, m := range r.Attributes.Items() {
			if !slices.ContainsFunc(members, func(have jcs.Member) bool { return have.Name == m.Name }) {
				members = append(members, m)
			}
		}
	}
	all := jcs.ObjectValue(members...)
	return &all
}
