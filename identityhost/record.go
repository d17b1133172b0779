package identityhost

import (
	"errors"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// record is the binding of one session key, as the agents of a cache share it.
// One that comes from a cache is input from outside.
type record struct {
	principal string
	keyID     string // the key's thumbprint
	algorithm string
	binding   string
	jwk       string // beside an audience-bound binding, else ""
	notAfter  time.Time

	shown    bool // by the key's holder, not by a cache
	unshared bool // the cache had no room for it

	// own is the key, where this very agent had it bound and no chain stands
	// behind the identity: nobody else needs to be asked about it.
	own *kest.Key
}

// BindingKey returns the cache key of a session key's binding.
func BindingKey(keyID string) string { return "kest.binding." + keyID }

// maxRecord bounds what is read of a cache, in bytes.
const maxRecord = 64 << 10

var errRecord = errors.New("identityhost: not a binding's record")

// over reports whether the binding and its grace have ended.
func (r *record) over(now time.Time, grace time.Duration) bool {
	return !now.Before(r.notAfter.Add(grace))
}

// request asks a key source whether the binding holds for a principal.
func (r *record) request(principal string) kest.KeyRequest {
	return kest.KeyRequest{Principal: principal, KeyID: r.keyID, Algorithm: r.algorithm, Binding: r.binding, JWK: r.jwk}
}

// encode writes {alg, binding, jwk?, not_after, principal}.
func (r *record) encode() []byte {
	members := []jcs.Member{
		{Name: "alg", Value: jcs.StringValue(r.algorithm)},
		{Name: "binding", Value: jcs.StringValue(r.binding)},
		{Name: "not_after", Value: timeValue(r.notAfter)},
		{Name: "principal", Value: jcs.StringValue(r.principal)},
	}
	if r.jwk != "" {
		members = append(members, jcs.Member{Name: "jwk", Value: keyValue(r.jwk)})
	}
	return jcs.AppendObject(nil, members...)
}

// parseRecord reads what encode wrote.
func parseRecord(keyID string, text []byte) (*record, error) {
	if len(text) > maxRecord {
		return nil, errRecord
	}
	v, err := jcs.Parse(text)
	if err != nil {
		return nil, err
	}
	r := &record{
		principal: v.Get("principal").Str(), keyID: keyID, algorithm: v.Get("alg").Str(), binding: v.Get("binding").Str(),
	}
	if r.notAfter, err = time.Parse(time.RFC3339, v.Get("not_after").Str()); err != nil {
		return nil, errRecord
	}
	if r.principal == "" || r.binding == "" || r.algorithm != jws.EdDSA && r.algorithm != jws.ES256 {
		return nil, errRecord
	}
	switch jwk := v.Get("jwk"); jwk.Kind() {
	case jcs.Invalid:
	case jcs.Object:
		r.jwk = string(jcs.Append(nil, jwk))
	default:
		return nil, errRecord
	}
	return r, nil
}

// timeValue is a time in RFC 3339, in whole seconds, or null for none.
func timeValue(t time.Time) jcs.Value {
	if t.IsZero() {
		return jcs.NullValue()
	}
	return jcs.StringValue(t.UTC().Truncate(time.Second).Format(time.RFC3339))
}

// textValue is a text, or null for none.
func textValue(s string) jcs.Value {
	if s == "" {
		return jcs.NullValue()
	}
	return jcs.StringValue(s)
}

// keyValue is a canonical JWK as a value.
func keyValue(jwk string) jcs.Value {
	v, err := jcs.ParseString(jwk)
	if err != nil {
		return jcs.NullValue()
	}
	return *v
}
