package check

import "strings"

// kind is the type of a member of the context.
type kind int

const (
	text kind = iota
	integer
	boolean
	texts  // a set of strings
	open   // an object that deployment configuration fills
	labels // an object of sets of strings
	origin // an object of strings
	record
	acts // a set of {operation, user}
)

// shape is one member of the context of CONTRACT 6 and POLICY.md. Those that
// may be null are optional: Cedar's context leaves them out.
type shape struct {
	name     string
	kind     kind
	optional bool
	members  []shape
}

var subjectShape = []shape{
	{name: "workload"},
	{name: "user", optional: true},
	{name: "agent", optional: true},
	{name: "task", optional: true},
	{name: "trust_score", kind: integer},
	{name: "taints", kind: texts},
	{name: "attributes", kind: open},
	{name: "labels", kind: labels},
}

var objectShape = []shape{{name: "id", optional: true}, {name: "attributes", kind: open}}

var environmentShape = []shape{
	{name: "is_root", kind: boolean},
	{name: "source_type"},
	{name: "parent_hash"},
	{name: "policy_names", kind: texts},
	{name: "policy_tier"},
	{name: "active_deviations", kind: texts},
	{name: "operation"},
	{name: "classification"},
	{name: "timestamp_ms", kind: integer},
}

var lineageShape = []shape{
	{name: "depth", kind: integer},
	{name: "roots", kind: texts},
	{name: "callers", kind: texts},
	{name: "principals", kind: texts},
	{name: "operations", kind: texts},
	{name: "origins", kind: texts},
	{name: "users", kind: texts},
	{name: "acts", kind: acts},
	{name: "taint_sources", kind: origin},
	{name: "min_trust", kind: integer},
}

// nestedShape is the input of Rego.
var nestedShape = []shape{
	{name: "subject", kind: record, members: subjectShape},
	{name: "object", kind: record, members: objectShape},
	{name: "environment", kind: record, members: environmentShape},
	{name: "identity"},
	{name: "trust_score", kind: integer},
	{name: "lineage", kind: record, members: lineageShape},
}

// cedarShape is the nested form, the flat names and the short ones.
func cedarShape() []shape {
	all := append([]shape{}, nestedShape...)
	for _, section := range nestedShape[:3] {
		for _, m := range section.members {
			m.name = section.name + "." + m.name
			all = append(all, m)
		}
	}
	return append(all,
		shape{name: "user", optional: true}, shape{name: "agent", optional: true}, shape{name: "task", optional: true},
		shape{name: "scope", optional: true}, shape{name: "taints", kind: texts}, shape{name: "classification"},
		shape{name: "is_root", kind: boolean}, shape{name: "source_type"},
	)
}

// find returns the member of a name.
func find(members []shape, name string) (shape, bool) {
	for _, m := range members {
		if m.name == name {
			return m, true
		}
	}
	return shape{}, false
}

// joinPath writes a path as policies do.
func joinPath(path []string) string { return strings.Join(path, ".") }
