package cedar

import (
	"errors"
	"strconv"
	"sync"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

var emptyRecord = types.NewRecord(nil)

var emptySet = types.NewSet()

func stringSet(list []string) types.Set {
	if len(list) == 0 {
		return emptySet
	}
	var few [8]types.Value
	values := few[:0]
	for _, s := range list {
		values = append(values, types.String(s))
	}
	return types.NewSet(values...)
}

// labelRecord is {key: set of values} of the labels that are used.
func labelRecord(c *kest.Context, uses *usage) types.Value {
	var few [4]label
	return recordOfLabels(appendLabels(few[:0], c, uses))
}

// label is one value of a label, or a label that has none.
type label struct {
	key, value string
	none       bool
}

// appendLabels appends the labels that are used, one for each value.
func appendLabels(labels []label, c *kest.Context, uses *usage) []label {
	c.EachLabel(func(key string, values ...string) {
		if _, used := uses.wants(key); !used {
			return
		}
		if len(values) == 0 {
			labels = append(labels, label{key: key, none: true})
		}
		for _, v := range values {
			labels = append(labels, label{key: key, value: v})
		}
	})
	return labels
}

func recordOfLabels(labels []label) types.Record {
	if len(labels) == 0 {
		return emptyRecord
	}
	m := spareMap()
	for i, l := range labels {
		if _, done := m[types.String(l.key)]; done {
			continue
		}
		var few [4]types.Value
		values := few[:0]
		for _, other := range labels[i:] {
			if other.key == l.key && !other.none {
				values = append(values, types.String(other.value))
			}
		}
		m[types.String(l.key)] = types.NewSet(values...)
	}
	return recordOf(m)
}

func actSet(acts []kest.Act) types.Set {
	var few [8]types.Value
	values := few[:0]
	for _, a := range acts {
		m := spareMap()
		m["operation"] = types.String(a.Operation)
		if a.User != "" {
			m["user"] = types.String(a.User)
		}
		values = append(values, recordOf(m))
	}
	return types.NewSet(values...)
}

// spareMaps are empty ones for recordOf.
var spareMaps = sync.Pool{New: func() any { return types.RecordMap{} }}

func spareMap() types.RecordMap { return spareMaps.Get().(types.RecordMap) }

// recordOf makes a record, which is a copy, of a spare map and puts that back,
// unless it grew: a map never shrinks again.
func recordOf(m types.RecordMap) types.Record {
	r := types.NewRecord(m)
	if len(m) <= 8 {
		clear(m)
		spareMaps.Put(m)
	}
	return r
}

// convert turns JSON into Cedar; nil where it is null.
func convert(v *jcs.Value, uses *usage) (types.Value, error) {
	switch v.Kind() {
	case jcs.Bool:
		return types.Boolean(v.IsTrue()), nil
	case jcs.String:
		return types.String(v.Str()), nil
	case jcs.Number:
		i, ok := v.Int()
		if !ok {
			return nil, valueError("")
		}
		return types.Long(i), nil
	case jcs.Array:
		return convertArray(v)
	case jcs.Object:
		return convertObject(v, uses)
	}
	return nil, nil
}

func convertObject(v *jcs.Value, uses *usage) (types.Value, error) {
	m := spareMap()
	for i := range v.Items() {
		item := &v.Items()[i]
		below, used := uses.wants(item.Name)
		if !used {
			continue
		}
		value, err := convert(&item.Value, below)
		if err != nil {
			return nil, within(item.Name, err)
		}
		if value != nil {
			m[types.String(item.Name)] = value
		}
	}
	return recordOf(m), nil
}

func convertArray(v *jcs.Value) (types.Value, error) {
	var few [8]types.Value
	values := few[:0]
	for i := range v.Items() {
		value, err := convert(&v.Items()[i].Value, nil)
		if err != nil {
			return nil, within("["+strconv.Itoa(i)+"]", err)
		}
		if value != nil {
			values = append(values, value)
		}
	}
	return types.NewSet(values...), nil
}

// valueError is an attribute that Cedar can't hold: the path to it.
type valueError string

func (e valueError) Error() string { return "cedar: " + string(e) + " is a number that is no integer" }

func within(name string, err error) error {
	var below valueError
	if !errors.As(err, &below) {
		return err
	}
	if below != "" && below[0] != '[' {
		name += "."
	}
	return valueError(name) + below
}
