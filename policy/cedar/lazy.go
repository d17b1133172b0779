package cedar

import (
	"slices"
	"strings"
	"sync"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
)

// lazy is a policy in another form, which means the same and costs less: what it
// reads of the context stands in entities. cedar-go asks for those that an
// evaluation comes to; the rest of a context is never built. It is Cedar's
// records that cost: each is a copy, a sort and a hash.
type lazy struct {
	set   cedargo.PolicyIterator
	parts []part
	idle  sync.Pool // of *asking
}

// part is a field of the context and the entity that it stands in.
type part struct {
	plannedField // its name is the entity's
	direct       bool
	scalars      *scalars // of a steady one
	lists        *lists   // of a steady list
	labels       *labelings
	with         []int // else: the parts that it is made with, and itself
}

func lazyOf(set cedargo.PolicyIterator, uses *usage) *lazy {
	l := &lazy{set: set}
	var shared []int
	for _, s := range sections() {
		for i := range s.fields {
			f := &s.fields[i]
			below, used := uses.wants(partName(s.name, f.name))
			if !used {
				continue
			}
			p := partOf(partName(s.name, f.name), f, below)
			p.with = []int{len(l.parts)}
			if !f.steady && !f.record {
				shared = append(shared, len(l.parts))
			}
			l.parts = append(l.parts, p)
		}
	}
	for _, i := range shared {
		l.parts[i].with = shared
	}
	l.idle.New = func() any {
		return &asking{of: l, records: make([]types.Record, len(l.parts)), made: make([]bool, len(l.parts))}
	}
	return l
}

func partOf(name string, f *field, below *usage) part {
	p := part{plannedField: planned(name, *f, below), direct: isDirect(f, below)}
	switch {
	case f.steady && f.list != nil:
		p.lists = &lists{}
	case f.steady && f.record:
		p.labels = &labelings{}
	case f.steady:
		p.scalars = &scalars{}
	}
	return p
}

// ask evaluates. It is not ok where the policy's own text has to say what is
// wrong: with attributes that Cedar can't hold, and after an error that speaks of
// this form.
func (l *lazy) ask(c *kest.Context, entities types.EntityGetter, request cedargo.Request) (allowed cedargo.Decision, d types.Diagnostic, ok bool) {
	a := l.idle.Get().(*asking)
	defer a.done()
	a.c, a.entities = c, entities
	if !a.convert() {
		return cedargo.Deny, types.Diagnostic{}, false
	}
	allowed, d = cedargo.Authorize(l.set, a, request)
	if slices.ContainsFunc(d.Errors, func(e types.DiagnosticError) bool { return strings.Contains(e.Message, partType) }) {
		return cedargo.Deny, types.Diagnostic{}, false
	}
	return allowed, d, true
}

// asking is one evaluation: the entities that it came to so far.
type asking struct {
	of       *lazy
	c        *kest.Context
	entities types.EntityGetter
	records  []types.Record // by part
	made     []bool
}

func (a *asking) done() {
	a.c, a.entities = nil, nil
	clear(a.records)
	clear(a.made)
	a.of.idle.Put(a)
}

// convert makes the objects of configuration. One that Cedar can't hold denies,
// whether or not the evaluation would come to it.
func (a *asking) convert() (ok bool) {
	for i := range a.of.parts {
		p := &a.of.parts[i]
		if p.json == nil {
			continue
		}
		v, err := p.value(a.c)
		record, ok := v.(types.Record)
		if err != nil || !ok {
			return false
		}
		if p.direct {
			a.set(i, record)
		}
	}
	return true
}

// Get implements types.EntityGetter.
func (a *asking) Get(uid types.EntityUID) (types.Entity, bool) {
	if uid.Type != partType {
		return a.entities.Get(uid)
	}
	for i := range a.of.parts {
		if a.of.parts[i].name == uid.ID {
			if !a.made[i] {
				a.make(i)
			}
			return types.Entity{Attributes: a.records[i]}, true
		}
	}
	return types.Entity{}, true // a section's
}

func (a *asking) make(i int) {
	p := &a.of.parts[i]
	switch {
	case p.lists != nil:
		a.set(i, p.lists.record(p.name, p.list(a.c)))
	case p.scalars != nil:
		a.set(i, p.scalars.record(p.name, p.get(a.c, p.uses)))
	case p.labels != nil && p.direct:
		var few [8]label
		a.set(i, p.labels.record(appendLabels(few[:0], a.c, p.uses)))
	case p.direct:
		a.set(i, p.get(a.c, p.uses).(types.Record))
	default:
		a.makeRecord(p.with)
	}
}

// makeRecord makes one record of several parts: that costs less than two of one
// part. What is null is left out.
func (a *asking) makeRecord(parts []int) {
	m := spareMap()
	for _, i := range parts {
		p := &a.of.parts[i]
		if v, _ := p.value(a.c); v != nil { // convert knows of no error
			m[p.name] = v
		}
	}
	record := recordOf(m)
	for _, i := range parts {
		a.set(i, record)
	}
}

func (a *asking) set(i int, r types.Record) { a.records[i], a.made[i] = r, true }
