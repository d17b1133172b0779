package kest

import (
	"slices"
	"sync"

	"kest.example/kest/internal/jcs"
)

// Lineage is a passport that verified. Only a Verifier and a Hook make one.
// It is immutable and safe for concurrent use.
type Lineage struct {
	passport Passport
	last     *record
	leaves   []*record
	faults   []*VerificationError

	once    sync.Once
	summary *LineageSummary
}

// record is one verified entry and those before it.
type record struct {
	entry  *Entry
	hash   string
	depth  int // entries on the longest path from a root, itself included
	before *record
}

// LineageSummary is what policies may know of a lineage (CONTRACT 6, the
// lineage block). Lists are in passport order without repeats.
type LineageSummary struct {
	Depth        int               // entries on the longest path
	Roots        []string          // principals of the roots
	Callers      []string          // principals of the leaves, the parents of the next entry
	Principals   []string          // all principals
	Operations   []string          // all operations
	Origins      []string          // source types of the roots
	Users        []string          // users in the entries' kest.identity
	Acts         []Act             // who did what
	TaintSources map[string]string // taint to the principal that first added it
	MinTrust     int               // the least trust score; 100 of an empty lineage
}

// Act is one operation and the user for whom it was done, "" for none.
type Act struct{ Operation, User string }

func newLineage(p Passport, entries []checked, faults []*VerificationError) *Lineage {
	l := &Lineage{passport: p, faults: faults}
	records := make([]record, len(entries))
	for i := range entries {
		c := &entries[i]
		records[i] = record{entry: c.ev.Entry, hash: c.ev.Hash, depth: c.depth, before: l.last}
		l.last = &records[i]
		if c.leaf {
			l.leaves = append(l.leaves, l.last)
		}
	}
	return l
}

// Passport returns the passport that verified.
func (l *Lineage) Passport() Passport { return l.passport }

// Len returns the number of entries.
func (l *Lineage) Len() int { return l.passport.Len() }

// Entries returns the verified entries in passport order. They must not be changed.
func (l *Lineage) Entries() []*Entry {
	list := make([]*Entry, l.Len())
	i := len(list)
	for r := l.last; r != nil; r = r.before {
		i--
		list[i] = r.entry
	}
	return list
}

// Leaves returns the hashes of the entries that nobody names as a parent, in
// passport order: the parents of the next entry, and the chain tip.
func (l *Lineage) Leaves() []string {
	list := make([]string, len(l.leaves))
	for i, r := range l.leaves {
		list[i] = r.hash
	}
	return list
}

// Tips returns the entries behind Leaves, in the same order.
func (l *Lineage) Tips() []*Entry {
	list := make([]*Entry, len(l.leaves))
	for i, r := range l.leaves {
		list[i] = r.entry
	}
	return list
}

// Trust returns the least trust score of the leaves; 100 of an empty lineage.
func (l *Lineage) Trust() int {
	low := 100
	for _, r := range l.leaves {
		low = min(low, r.entry.TrustScore)
	}
	return low
}

// Taints returns the union of the leaves' taints, sorted.
func (l *Lineage) Taints() []string { return Taints(l.leafTaints(), nil, nil) }

func (l *Lineage) leafTaints() [][]string {
	list := make([][]string, len(l.leaves))
	for i, r := range l.leaves {
		list[i] = r.entry.Taints
	}
	return list
}

// Faults returns what SemanticsReport and WithPeerReport let pass.
func (l *Lineage) Faults() []*VerificationError { return l.faults }

// extend adds an entry whose parents are all leaves, as every hook's are.
func (l *Lineage) extend(e *Entry, evidence, hash string) *Lineage {
	r := &record{entry: e, hash: hash, depth: 1, before: l.last}
	for _, leaf := range l.leaves {
		r.depth = max(r.depth, leaf.depth+1)
	}
	return &Lineage{passport: l.passport.Append(evidence), last: r, leaves: []*record{r}, faults: l.faults}
}

// join merges two lineages that share a beginning; l's entries come first.
func (l *Lineage) join(other *Lineage) *Lineage {
	have := make(map[string]bool)
	for r := l.last; r != nil; r = r.before {
		have[r.hash] = true
	}
	var added []*record
	for r := other.last; r != nil; r = r.before {
		if !have[r.hash] {
			added = append(added, r)
		}
	}
	if len(added) == 0 {
		return l
	}
	slices.Reverse(added)
	out := &Lineage{passport: Merge(l.passport, other.passport), last: l.last, faults: l.faults}
	for _, r := range added {
		copied := *r
		copied.before = out.last
		out.last = &copied
	}
	isParent := make(map[string]bool)
	for r := out.last; r != nil; r = r.before {
		for _, id := range r.entry.ParentIDs {
			isParent[id] = true
		}
	}
	for _, r := range append(slices.Clone(l.leaves), other.leaves...) {
		if !isParent[r.hash] && !slices.ContainsFunc(out.leaves, func(o *record) bool { return o.hash == r.hash }) {
			out.leaves = append(out.leaves, r)
		}
	}
	return out
}

// Summary returns the facts that policies may know, computed once.
func (l *Lineage) Summary() *LineageSummary {
	l.once.Do(func() { l.summary = l.summarize() })
	return l.summary
}

func (l *Lineage) summarize() *LineageSummary {
	s := &LineageSummary{MinTrust: 100, TaintSources: map[string]string{}}
	for _, e := range l.Entries() {
		s.add(e)
	}
	for _, r := range l.leaves {
		s.Depth = max(s.Depth, r.depth)
		s.Callers = appendNew(s.Callers, r.entry.Principal())
	}
	return s
}

func (s *LineageSummary) add(e *Entry) {
	s.Principals = appendNew(s.Principals, e.Principal())
	s.Operations = appendNew(s.Operations, e.Operation)
	s.MinTrust = min(s.MinTrust, e.TrustScore)
	if e.IsRoot() {
		s.Roots = appendNew(s.Roots, e.Principal())
		if source := e.Labels[LabelSourceType]; source != "" {
			s.Origins = appendNew(s.Origins, source)
		}
	}
	user := e.Actor().User
	if user != "" {
		s.Users = appendNew(s.Users, user)
	}
	if act := (Act{e.Operation, user}); !slices.Contains(s.Acts, act) {
		s.Acts = append(s.Acts, act)
	}
	for _, t := range e.AddedTaints {
		if _, ok := s.TaintSources[t]; !ok {
			s.TaintSources[t] = e.Principal()
		}
	}
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// Actor is on whose behalf a hop happens. "" is null.
type Actor struct{ User, Agent, Task string }

// Actor returns the user, agent and task that the entry's signer vouches for
// in the label kest.identity; empty where there is none or it doesn't parse.
func (e *Entry) Actor() Actor {
	text := e.Labels[LabelIdentity]
	if text == "" || text == nobody {
		return Actor{}
	}
	var a Actor
	s := jcs.NewScanner(text)
	if s.Kind() != jcs.Object {
		return Actor{}
	}
	s.Object(1, func(name string) {
		to := new(string)
		switch name {
		case "user":
			to = &a.User
		case "agent":
			to = &a.Agent
		case "task":
			to = &a.Task
		}
		if v := s.Value(); v.Kind() == jcs.String {
			*to = v.Str()
		}
	})
	if s.End() != nil {
		return Actor{}
	}
	return a
}

// nobody is the label of an entry made on nobody's behalf, as most are.
const nobody = `{"agent":null,"task":null,"user":null}`

func (a Actor) label() string {
	if a == (Actor{}) {
		return nobody
	}
	b := appendOptional([]byte(`{"agent":`), a.Agent)
	b = appendOptional(append(b, `,"task":`...), a.Task)
	b = appendOptional(append(b, `,"user":`...), a.User)
	return string(append(b, '}'))
}

func appendValue(v *jcs.Value) []byte { return jcs.Append(nil, v) }
