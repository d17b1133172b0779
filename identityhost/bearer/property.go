package bearer

import (
	"encoding/binary"
	"math"
	"net/http"
	"strconv"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/plugin/proxywasm"
)

// claimsPath is where Envoy keeps what its jwt_authn found.
var claimsPath = [...]string{"metadata", "filter_metadata", "envoy.filters.http.jwt_authn"}

// Properties shows the claims of a request to a guest (host.WithProperties), at
// the path and in the bytes of Envoy's jwt_authn with payload_in_metadata:
//
//	metadata, filter_metadata, envoy.filters.http.jwt_authn, payload, act, sub
//
// A text is its bytes, a number a double of 8 bytes, a boolean one byte. An
// object is a header map of names and values in these same bytes, a list one of
// values and nothing, so that of the two neither kinds nor depth can be told
// apart: ask for what is inside by its path, list elements by their index. null,
// and what holds null, is not found; Envoy can't write it either. All as Envoy
// 1.40 was seen to do.
func (c *Checker) Properties(r *http.Request, path []string) ([]byte, bool) {
	claims := claimsOf(r.Context())
	if claims == nil || len(path) < len(claimsPath) || [len(claimsPath)]string(path) != claimsPath {
		return nil, false
	}
	root := jcs.ObjectValue(jcs.Member{Name: c.metadataKey, Value: *claims})
	v := &root
	for _, name := range path[len(claimsPath):] {
		v = inside(v, name)
	}
	return serialize(v)
}

// inside returns a member by its name or an element by its index; a Value of
// kind Invalid where there is none.
func inside(v *jcs.Value, name string) *jcs.Value {
	if v.Kind() != jcs.Array {
		return v.Get(name)
	}
	i, err := strconv.Atoi(name)
	if err != nil || i < 0 || i >= v.Len() {
		return &jcs.Value{}
	}
	return &v.Items()[i].Value
}

func serialize(v *jcs.Value) ([]byte, bool) {
	switch v.Kind() {
	case jcs.String:
		return []byte(v.Str()), true
	case jcs.Number:
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v.Float())), true
	case jcs.Bool:
		if v.IsTrue() {
			return []byte{1}, true
		}
		return []byte{0}, true
	case jcs.Object, jcs.Array:
		return serializeItems(v)
	}
	return nil, false
}

func serializeItems(v *jcs.Value) ([]byte, bool) {
	items := v.Items()
	if len(items) == 0 {
		return make([]byte, 4), true // a count of none
	}
	pairs := make([]proxywasm.Pair, len(items))
	for i := range items {
		value, ok := serialize(&items[i].Value)
		if !ok {
			return nil, false
		}
		if v.Kind() == jcs.Object {
			pairs[i] = proxywasm.Pair{Name: items[i].Name, Value: string(value)}
		} else {
			pairs[i] = proxywasm.Pair{Name: string(value)}
		}
	}
	return proxywasm.AppendPairs(nil, pairs), true
}
