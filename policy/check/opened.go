package check

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// guess is the type that a policy's own use gives to a member of an object that
// deployment configuration fills; our context alone can't tell it.
type guess struct {
	kind     string // in Cedar's words; "" while nothing says
	optional bool   // the policy asks whether it is there
	members  map[string]*guess
}

func (g *guess) at(name string) *guess {
	if g.members == nil {
		g.members = make(map[string]*guess)
	}
	if g.members[name] == nil {
		g.members[name] = &guess{}
	}
	return g.members[name]
}

// guesses finds what a policy reads below the open objects.
type guesses struct {
	root    guess
	members []shape
}

// pathOf returns the path below context that an expression reads.
func pathOf(n ast.IsNode) (path []string, ok bool) {
	switch n := n.(type) {
	case ast.NodeTypeVariable:
		return nil, n.Name == "context"
	case ast.NodeTypeAccess:
		if path, ok = pathOf(n.Arg); ok {
			return append(path, string(n.Value)), true
		}
	}
	return nil, false
}

// place returns the guess of a path, nil where our context knows the type.
func (g *guesses) place(path []string) *guess {
	members, at := g.members, &g.root
	for i, name := range path {
		at = at.at(name)
		m, known := find(members, name)
		switch {
		case !known:
			return nil
		case m.kind == open || m.kind == labels || m.kind == origin:
			if i == len(path)-1 {
				return nil
			}
			for _, inner := range path[i+1:] {
				at = at.at(inner)
			}
			return at
		case m.kind != record:
			return nil
		}
		members = m.members
	}
	return nil
}

// is notes what an operator wants of an operand.
func (g *guesses) is(n ast.IsNode, kind string) {
	if path, ok := pathOf(n); ok {
		if p := g.place(path); p != nil && p.kind == "" {
			p.kind = kind
		}
	}
}

// learn goes through one condition.
func (g *guesses) learn(n ast.IsNode) {
	ast.Inspect(ast.NewNode(n), func(n ast.IsNode) bool {
		switch n := n.(type) {
		case ast.NodeTypeHas:
			if path, ok := pathOf(n.Arg); ok {
				if p := g.place(append(slices.Clip(path), string(n.Value))); p != nil {
					p.optional = true
				}
			}
		case ast.NodeTypeAccess:
			if path, ok := pathOf(n); ok {
				g.place(path)
			}
		default:
			g.operands(n)
		}
		return true
	})
}

func (g *guesses) operands(n ast.IsNode) {
	switch n := n.(type) {
	case ast.NodeTypeLessThan:
		g.both(n.BinaryNode, "Long")
	case ast.NodeTypeLessThanOrEqual:
		g.both(n.BinaryNode, "Long")
	case ast.NodeTypeGreaterThan:
		g.both(n.BinaryNode, "Long")
	case ast.NodeTypeGreaterThanOrEqual:
		g.both(n.BinaryNode, "Long")
	case ast.NodeTypeAdd:
		g.both(n.BinaryNode, "Long")
	case ast.NodeTypeSub:
		g.both(n.BinaryNode, "Long")
	case ast.NodeTypeMult:
		g.both(n.BinaryNode, "Long")
	case ast.NodeTypeNegate:
		g.is(n.Arg, "Long")
	case ast.NodeTypeAnd:
		g.both(n.BinaryNode, "Bool")
	case ast.NodeTypeOr:
		g.both(n.BinaryNode, "Bool")
	case ast.NodeTypeNot:
		g.is(n.Arg, "Bool")
	case ast.NodeTypeIfThenElse:
		g.is(n.If, "Bool")
	case ast.NodeTypeLike:
		g.is(n.Arg, "String")
	case ast.NodeTypeIsEmpty:
		g.is(n.Arg, "Set<String>")
	case ast.NodeTypeContainsAll:
		g.both(n.BinaryNode, "Set<String>")
	case ast.NodeTypeContainsAny:
		g.both(n.BinaryNode, "Set<String>")
	case ast.NodeTypeContains:
		g.contains(n)
	case ast.NodeTypeEquals:
		g.same(n.BinaryNode)
	case ast.NodeTypeNotEquals:
		g.same(n.BinaryNode)
	}
}

func (g *guesses) both(n ast.BinaryNode, kind string) {
	g.is(n.Left, kind)
	g.is(n.Right, kind)
}

func (g *guesses) contains(n ast.NodeTypeContains) {
	element := "String"
	if kind := g.known(n.Right); kind != "" {
		element = kind
	}
	if set := g.known(n.Left); strings.HasPrefix(set, "Set<") {
		element = strings.TrimSuffix(strings.TrimPrefix(set, "Set<"), ">")
	}
	g.is(n.Left, "Set<"+element+">")
	g.is(n.Right, element)
}

func (g *guesses) same(n ast.BinaryNode) {
	if kind := g.known(n.Right); kind != "" {
		g.is(n.Left, kind)
	}
	if kind := g.known(n.Left); kind != "" {
		g.is(n.Right, kind)
	}
}

// known returns the type of an expression that says it, or "".
func (g *guesses) known(n ast.IsNode) string {
	switch n := n.(type) {
	case ast.NodeValue:
		switch n.Value.(type) {
		case types.String:
			return "String"
		case types.Long:
			return "Long"
		case types.Boolean:
			return "Bool"
		}
	case ast.NodeTypeSet:
		if len(n.Elements) > 0 {
			if kind := g.known(n.Elements[0]); kind != "" {
				return "Set<" + kind + ">"
			}
		}
		return "Set<String>"
	}
	path, ok := pathOf(n)
	if !ok {
		return ""
	}
	members := g.members
	for i, name := range path {
		m, found := find(members, name)
		if !found {
			return ""
		}
		if i == len(path)-1 && m.kind != record {
			return cedarTypes[m.kind]
		}
		if m.kind != record {
			if p := g.place(path); p != nil {
				return p.kind
			}
			return ""
		}
		members = m.members
	}
	return ""
}

// cedarTypes are the types of members in Cedar's words; "" has none of its own.
var cedarTypes = map[kind]string{
	text: "String", integer: "Long", boolean: "Bool", texts: "Set<String>", acts: "Set<{operation: String, user?: String}>",
}

// schema writes the type of a record in Cedar's words.
func (g *guesses) schema(members []shape, at *guess) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(m.name))
		if m.optional {
			b.WriteByte('?')
		}
		b.WriteString(": ")
		switch m.kind {
		case record:
			b.WriteString(g.schema(m.members, at.at(m.name)))
		case open, labels, origin:
			b.WriteString(at.at(m.name).schema(m.kind))
		default:
			b.WriteString(cedarTypes[m.kind])
		}
	}
	b.WriteByte('}')
	return b.String()
}

// schema writes the type that a policy's use gives to an open object. What
// taints bring may always be absent.
func (g *guess) schema(k kind) string {
	var names []string
	for name := range g.members {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		m := g.members[name]
		kind := m.kind
		switch {
		case k == labels:
			kind = "Set<String>"
		case k == origin:
			kind = "String"
		case len(m.members) > 0:
			kind = m.schema(open)
		case kind == "":
			kind = "String"
		}
		mark := ""
		if m.optional || k == labels || k == origin {
			mark = "?"
		}
		names[i] = strconv.Quote(name) + mark + ": " + kind
	}
	return "{" + strings.Join(names, ", ") + "}"
}
