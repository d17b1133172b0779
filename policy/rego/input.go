package rego

import (
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// usage is the tree of input members that modules can touch; nil means all.
// Building only those keeps a decision cheap.
type usage struct{ members map[string]*usage }

// reachable returns a policy's own rules and all that they depend on. An else is
// a rule of its own in OPA's graph.
func reachable(c *ast.Compiler, policy ast.Ref) (list []*ast.Rule) {
	seen := make(map[*ast.Rule]bool)
	queue := c.GetRulesForVirtualDocument(policy)
	for len(queue) > 0 {
		rule := queue[0]
		queue = queue[1:]
		if seen[rule] {
			continue
		}
		seen[rule] = true
		list = append(list, rule)
		if rule.Else != nil {
			queue = append(queue, rule.Else)
		}
		for dependency := range c.Graph.Dependencies(rule) {
			if next, ok := dependency.(*ast.Rule); ok {
				queue = append(queue, next)
			}
		}
	}
	return list
}

// usageOf finds every way in which a policy uses input, in all that it depends on.
func usageOf(c *ast.Compiler, policy ast.Ref) *usage {
	root := &usage{members: make(map[string]*usage)}
	for _, rule := range reachable(c, policy) {
		if !root.learn(rule) {
			return nil
		}
	}
	return root
}

// learn notes what a rule reads; false when that is everything.
func (u *usage) learn(rule *ast.Rule) bool {
	some := true
	ast.WalkRefs(rule, func(ref ast.Ref) bool {
		if ref[0].Value.Compare(ast.InputRootDocument.Value) != 0 {
			return false
		}
		path := make([]string, 0, len(ref))
		for _, t := range ref[1:] {
			name, ok := t.Value.(ast.String)
			if !ok {
				break
			}
			path = append(path, string(name))
		}
		some = some && len(path) > 0
		u.mark(path)
		return false
	})
	ast.WalkTerms(rule, func(t *ast.Term) bool { // input on its own
		some = some && t.Value.Compare(ast.InputRootDocument.Value) != 0
		return !some || isInputRef(t)
	})
	return some
}

func isInputRef(t *ast.Term) bool {
	ref, ok := t.Value.(ast.Ref)
	return ok && len(ref) > 1 && ref[0].Value.Compare(ast.InputRootDocument.Value) == 0
}

func (u *usage) mark(path []string) {
	for i, name := range path {
		below, seen := u.members[name]
		switch {
		case seen && below == nil:
			return
		case i == len(path)-1:
			u.members[name] = nil
		case !seen:
			below = &usage{members: make(map[string]*usage)}
			u.members[name] = below
		}
		u = below
	}
}

func (u *usage) wants(name string) (below *usage, used bool) {
	if u == nil {
		return nil, true
	}
	below, used = u.members[name]
	return below, used
}

// object collects the wanted members of one object.
type object struct {
	uses   *usage
	terms  [][2]*ast.Term
	values []ast.Term // what terms points to
}

func newObject(uses *usage, size int) *object {
	if uses != nil {
		size = min(size, len(uses.members))
	}
	return &object{uses: uses, terms: make([][2]*ast.Term, 0, size), values: make([]ast.Term, 0, size)}
}

func (o *object) add(name string, v ast.Value) {
	key := keys[name]
	if key == nil {
		key = ast.StringTerm(name)
	}
	var value *ast.Term
	if len(o.values) < cap(o.values) { // a term that stands stays where it is
		o.values = append(o.values, ast.Term{Value: v})
		value = &o.values[len(o.values)-1]
	} else {
		value = ast.NewTerm(v)
	}
	o.terms = append(o.terms, [2]*ast.Term{key, value})
}

// keys are the terms of the names that every context has.
var keys = func() map[string]*ast.Term {
	m := make(map[string]*ast.Term)
	for _, name := range [...]string{
		"subject", "object", "environment", "identity", "trust_score", "lineage", "workload", "user", "agent", "task", "taints",
		"attributes", "labels", "id", "is_root", "source_type", "parent_hash", "policy_names", "policy_tier", "active_deviations",
		"operation", "classification", "timestamp_ms", "depth", "roots", "callers", "principals", "operations", "origins",
		"users", "acts", "taint_sources", "min_trust",
	} {
		m[name] = ast.StringTerm(name)
	}
	return m
}()

func (o *object) value() ast.Value { return ast.NewObject(o.terms...) }

func (o *object) text(name, s string) {
	if _, used := o.uses.wants(name); used {
		o.add(name, ast.String(s))
	}
}

func (o *object) textOrNull(name, s string) {
	if _, used := o.uses.wants(name); used {
		if s == "" {
			o.add(name, ast.NullValue)
		} else {
			o.add(name, ast.String(s))
		}
	}
}

func (o *object) integer(name string, i int64) {
	if _, used := o.uses.wants(name); used {
		o.add(name, ast.Number(strconv.FormatInt(i, 10)))
	}
}

func (o *object) boolean(name string, b bool) {
	if _, used := o.uses.wants(name); used {
		o.add(name, ast.Boolean(b))
	}
}

func (o *object) texts(name string, list []string) {
	if _, used := o.uses.wants(name); used {
		o.add(name, stringsOf(list))
	}
}

func (o *object) json(name string, v *jcs.Value) {
	if below, used := o.uses.wants(name); used {
		if v == nil {
			o.add(name, ast.NewObject())
		} else {
			o.add(name, valueOf(v, below))
		}
	}
}

func (o *object) nested(name string, size int, fill func(*object)) {
	if below, used := o.uses.wants(name); used {
		inner := newObject(below, size)
		fill(inner)
		o.add(name, inner.value())
	}
}

func stringsOf(list []string) ast.Value {
	terms, values := make([]*ast.Term, len(list)), make([]ast.Term, len(list))
	for i, s := range list {
		values[i].Value = ast.String(s)
		terms[i] = &values[i]
	}
	return ast.NewArray(terms...)
}

// valueOf turns JSON into a value of Rego's.
func valueOf(v *jcs.Value, uses *usage) ast.Value {
	switch v.Kind() {
	case jcs.Bool:
		return ast.Boolean(v.IsTrue())
	case jcs.String:
		return ast.String(v.Str())
	case jcs.Number:
		return ast.Number(jcs.Append(nil, v))
	case jcs.Array:
		terms := make([]*ast.Term, v.Len())
		for i := range v.Items() {
			terms[i] = ast.NewTerm(valueOf(&v.Items()[i].Value, nil))
		}
		return ast.NewArray(terms...)
	case jcs.Object:
		o := newObject(uses, v.Len())
		for i := range v.Items() {
			o.json(v.Items()[i].Name, &v.Items()[i].Value)
		}
		return o.value()
	}
	return ast.NullValue
}

// input is the context in the form of CONTRACT 6, as far as modules use it.
func input(c *kest.Context, uses *usage) ast.Value {
	o := newObject(uses, 6)
	o.nested("subject", 8, func(n *object) {
		s := &c.Subject
		n.text("workload", s.Workload)
		n.textOrNull("user", s.Actor.User)
		n.textOrNull("agent", s.Actor.Agent)
		n.textOrNull("task", s.Actor.Task)
		n.integer("trust_score", int64(s.TrustScore))
		n.texts("taints", s.Taints)
		n.json("attributes", s.Attributes)
		labels := c.Labels()
		n.json("labels", &labels)
	})
	o.nested("object", 2, func(n *object) {
		n.textOrNull("id", c.Object.ID)
		n.json("attributes", c.Object.Attributes)
	})
	o.nested("environment", 9, func(n *object) {
		e := &c.Environment
		n.boolean("is_root", e.IsRoot)
		n.text("source_type", e.SourceType)
		n.text("parent_hash", e.ParentHash)
		n.texts("policy_names", e.PolicyNames)
		n.text("policy_tier", string(e.PolicyTier))
		n.texts("active_deviations", e.ActiveDeviations)
		n.text("operation", e.Operation)
		n.text("classification", e.Classification)
		n.integer("timestamp_ms", e.TimestampMS)
	})
	o.text("identity", c.Subject.Workload)
	o.integer("trust_score", int64(c.Subject.TrustScore))
	o.nested("lineage", 10, func(n *object) { lineage(n, c) })
	return o.value()
}

func lineage(n *object, c *kest.Context) {
	s := c.Summary()
	n.integer("depth", int64(s.Depth))
	n.texts("roots", s.Roots)
	n.texts("callers", s.Callers)
	n.texts("principals", s.Principals)
	n.texts("operations", s.Operations)
	n.texts("origins", s.Origins)
	n.texts("users", s.Users)
	if _, used := n.uses.wants("acts"); used {
		terms := make([]*ast.Term, len(s.Acts))
		for i, a := range s.Acts {
			act := newObject(nil, 2)
			act.text("operation", a.Operation)
			act.textOrNull("user", a.User)
			terms[i] = ast.NewTerm(act.value())
		}
		n.add("acts", ast.NewArray(terms...))
	}
	n.nested("taint_sources", len(s.TaintSources), func(n *object) {
		for taint, principal := range s.TaintSources {
			n.text(taint, principal)
		}
	})
	n.integer("min_trust", int64(c.MinTrust()))
}
