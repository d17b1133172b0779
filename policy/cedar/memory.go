package cedar

import (
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest/internal/jcs"
)

// memory keeps what values were made into before, for values that are much the
// same from request to request: configuration's objects, names, scores. It holds
// a fixed number of them, of which the newest stays, and nothing but what follows
// from the value alone.
type memory[K, V any] [64]atomic.Pointer[memo[K, V]]

type memo[K, V any] struct {
	of K
	is V
}

func (m *memory[K, V]) slot(hash uint64) *atomic.Pointer[memo[K, V]] {
	return &m[hash%uint64(len(m))]
}

// objects are conversions of JSON objects. A hook reads the resource's attributes
// anew for each request, so it is the content that counts, of what is used.
type objects struct {
	last atomic.Pointer[memo[*jcs.Value, types.Value]]
	memory[[]*jcs.Member, types.Value]
}

func (o *objects) convert(v *jcs.Value, uses *usage) (types.Value, error) {
	if v == nil {
		return emptyRecord, nil
	}
	if known := o.last.Load(); known != nil && known.of == v {
		return known.is, nil
	}
	if v.Kind() != jcs.Object {
		return convert(v, uses)
	}
	var few [8]*jcs.Member
	members := few[:0]
	for i := range v.Items() {
		if _, used := uses.wants(v.Items()[i].Name); used {
			members = append(members, &v.Items()[i])
		}
	}
	slot := o.slot(hashOfMembers(members))
	if known := slot.Load(); known != nil && slices.EqualFunc(known.of, members, sameMember) {
		return known.is, nil
	}
	value, err := convert(v, uses)
	if err == nil {
		slot.Store(&memo[[]*jcs.Member, types.Value]{slices.Clone(members), value})
		o.last.Store(&memo[*jcs.Value, types.Value]{v, value})
	}
	return value, err
}

var seed = maphash.MakeSeed()

const prime = 0x100000001b3 // FNV's

func hashOfMembers(members []*jcs.Member) (h uint64) {
	for _, m := range members {
		h = (h*prime^maphash.String(seed, m.Name))*prime ^ hashOf(&m.Value)
	}
	return h
}

func hashOf(v *jcs.Value) uint64 {
	h := uint64(v.Kind())
	switch v.Kind() {
	case jcs.Bool:
		if v.IsTrue() {
			h++
		}
	case jcs.Number:
		h ^= uint64(int64(v.Float())) << 3 //nolint:gosec // a hash may wrap
	case jcs.String:
		h ^= maphash.String(seed, v.Str())
	}
	for i := range v.Items() {
		item := &v.Items()[i]
		if v.Kind() == jcs.Object {
			h = h*prime ^ maphash.String(seed, item.Name)
		}
		h = h*prime ^ hashOf(&item.Value)
	}
	return h
}

// sameJSON reports whether two values have the same content in the same order.
func sameJSON(a, b *jcs.Value) bool {
	if a.Kind() != b.Kind() || a.Str() != b.Str() || a.IsTrue() != b.IsTrue() || a.Float() != b.Float() || a.Len() != b.Len() {
		return false
	}
	for i := range a.Items() {
		if !sameMember(&a.Items()[i], &b.Items()[i]) {
			return false
		}
	}
	return true
}

func sameMember(a, b *jcs.Member) bool { return a.Name == b.Name && sameJSON(&a.Value, &b.Value) }

// scalars are records of one member, by its value.
type scalars struct {
	memory[types.Value, types.Record]
}

func (s *scalars) record(name types.String, v types.Value) types.Record {
	slot := s.slot(hashOfScalar(v))
	if known := slot.Load(); known != nil && known.of == v {
		return known.is
	}
	made := types.NewRecord(types.RecordMap{name: v})
	slot.Store(&memo[types.Value, types.Record]{v, made})
	return made
}

func hashOfScalar(v types.Value) uint64 {
	switch v := v.(type) {
	case types.Long:
		return uint64(v) //nolint:gosec // a hash may wrap
	case types.Boolean:
		if v {
			return 1
		}
	case types.String:
		return maphash.String(seed, string(v))
	}
	return 0
}

// lists are records of one member, a set of strings.
type lists struct {
	memory[[]string, types.Record]
}

func (l *lists) record(name types.String, list []string) types.Record {
	h := uint64(len(list))
	for _, s := range list {
		h = h*prime ^ maphash.String(seed, s)
	}
	slot := l.slot(h)
	if known := slot.Load(); known != nil && slices.Equal(known.of, list) {
		return known.is
	}
	made := types.NewRecord(types.RecordMap{name: stringSet(list)})
	slot.Store(&memo[[]string, types.Record]{slices.Clone(list), made})
	return made
}

// labelings are records of labels.
type labelings struct {
	memory[[]label, types.Record]
}

func (l *labelings) record(labels []label) types.Record {
	if len(labels) == 0 {
		return emptyRecord
	}
	h := uint64(0)
	for i := range labels {
		h = (h*prime^maphash.String(seed, labels[i].key))*prime ^ maphash.String(seed, labels[i].value)
	}
	slot := l.slot(h)
	if known := slot.Load(); known != nil && slices.Equal(known.of, labels) {
		return known.is
	}
	made := recordOfLabels(labels)
	slot.Store(&memo[[]label, types.Record]{slices.Clone(labels), made})
	return made
}
