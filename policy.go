package kest

import (
	"slices"
	"strconv"
	"time"
)

// Tier is one of the four levels of policy, asked in this order (F-PE-05).
type Tier string

// The tiers. Deviations are possible in the first three.
const (
	TierEnterprise  Tier = "enterprise"
	TierPlatform    Tier = "platform"
	TierApplication Tier = "application"
	TierFunction    Tier = "function"
)

// Deviation takes one policy out of one tier for one operation. It comes from
// deployment configuration only (F-PE-10).
type Deviation struct {
	Scope    string // the operation
	Policy   string
	Tier     Tier
	Reason   string
	Approver string
	Expires  time.Time // zero: never; past: the deviation has no effect
}

// PolicyConfig is what deployment configuration says about policies.
type PolicyConfig struct {
	Enterprise, Platform, Application []string
	Shadow                            []string // evaluated beside, recorded, change nothing
	Deviations                        []Deviation
}

// TierPolicies are the policies that one hook enforces in one tier.
type TierPolicies struct {
	Tier     Tier
	Policies []string
}

// Plan is what one hook evaluates.
type Plan struct {
	Tiers   []TierPolicies // without the empty ones, in order
	Shadow  []string
	Context PolicyContext // what the entry says of it
}

// Validate checks names, tiers and deviations. The error names the member.
func (c *PolicyConfig) Validate() error {
	for _, t := range [...]struct {
		member string
		names  []string
	}{
		{"enterprise_policies", c.Enterprise},
		{"platform_policies", c.Platform},
		{"app_policies", c.Application},
		{"shadow_policies", c.Shadow},
	} {
		if err := validatePolicyNames(t.member, t.names); err != nil {
			return err
		}
	}
	for i, d := range c.Deviations {
		if err := c.validateDeviation(d); err != nil {
			err.Member = "deviations[" + strconv.Itoa(i) + "]." + err.Member
			return err
		}
	}
	return nil
}

func (c *PolicyConfig) validateDeviation(d Deviation) *MemberError {
	listed, ok := map[Tier][]string{
		TierEnterprise: c.Enterprise, TierPlatform: c.Platform, TierApplication: c.Application,
	}[d.Tier]
	switch {
	case !ok:
		return &MemberError{"tier", strconv.Quote(string(d.Tier)) + " is none that can be deviated from"}
	case !slices.Contains(listed, d.Policy):
		return &MemberError{"policy", strconv.Quote(d.Policy) + " is not in the tier " + string(d.Tier)}
	case d.Scope == "":
		return &MemberError{"scope", "is empty: it names an operation"}
	}
	return nil
}

func validatePolicyNames(member string, names []string) error {
	for i, name := range names {
		if !ValidPolicyName(name) {
			return &MemberError{member + "[" + strconv.Itoa(i) + "]", strconv.Quote(name) + " is no policy name"}
		}
	}
	return nil
}

// ValidPolicyName reports whether name matches
// [A-Za-z0-9_][A-Za-z0-9_-]*([./][A-Za-z0-9_-]+)* (F-PE-02).
func ValidPolicyName(name string) bool {
	start := true
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_':
			start = false
		case c == '-' && i > 0:
			start = false
		case (c == '.' || c == '/') && !start:
			start = true
		default:
			return false
		}
	}
	return !start
}

// fixed reports whether plans don't depend on operation and time.
func (c *PolicyConfig) fixed() bool { return len(c.Deviations) == 0 }

// Plan returns what a hook of the operation evaluates at a time: deviations
// applied, then each name once, in the highest tier that still has it. It is
// an error that wraps ErrConfiguration when no tier has any (spec 11.6).
func (c *PolicyConfig) Plan(operation string, function, shadow []string, now time.Time) (*Plan, error) {
	p := &Plan{}
	seen := make(map[string]bool)
	tiers := [...]struct {
		tier  Tier
		names []string
		to    *[]string
	}{
		{TierEnterprise, c.Enterprise, &p.Context.Enterprise},
		{TierPlatform, c.Platform, &p.Context.Platform},
		{TierApplication, c.Application, &p.Context.Application},
		{TierFunction, function, &p.Context.Function},
	}
	for _, t := range tiers {
		names := c.enforced(operation, t.tier, t.names, now, &p.Context.Deviations)
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				*t.to = append(*t.to, name)
			}
		}
		if len(*t.to) > 0 {
			p.Tiers = append(p.Tiers, TierPolicies{t.tier, *t.to})
		}
	}
	if len(c.Enterprise)+len(c.Platform)+len(c.Application)+len(function) == 0 {
		return nil, configurationError("the operation " + strconv.Quote(operation) + " has no policy in any tier")
	}
	for _, name := range slices.Concat(c.Shadow, shadow) {
		p.Shadow = appendNew(p.Shadow, name)
	}
	return p, nil
}

// enforced takes the deviated names out of one tier and notes the deviations.
func (c *PolicyConfig) enforced(operation string, tier Tier, names []string, now time.Time, applied *[]AppliedDeviation) []string {
	if len(c.Deviations) == 0 {
		return names
	}
	var left []string
	for _, name := range names {
		i := slices.IndexFunc(c.Deviations, func(d Deviation) bool {
			return d.Scope == operation && d.Tier == tier && d.Policy == name && (d.Expires.IsZero() || now.Before(d.Expires))
		})
		if i < 0 {
			left = append(left, name)
			continue
		}
		d := AppliedDeviation{Policy: name, Tier: tier, Reason: c.Deviations[i].Reason, Approver: c.Deviations[i].Approver}
		if !slices.Contains(*applied, d) {
			*applied = append(*applied, d)
		}
	}
	return left
}
