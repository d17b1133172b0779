package identityhost

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// MaxInline is how long the body of KeyInline may be, in bytes.
const MaxInline = 64 << 10

// KeyInline verifies what an entry's header brought along (POST /v1/keys): a
// JSON object {"principal", "binding", "jwk"?} or {"principal", "x5c": […]}.
// Statuses: 400 no such object, or no principal; 403 what it brings doesn't
// verify, or is revoked; 413; 503 nobody can tell yet.
func (a *Agent) KeyInline(ctx context.Context, body []byte) (*KeyAnswer, error) {
	if len(body) > MaxInline {
		return nil, refused(http.StatusRequestEntityTooLarge, "the body is too long", nil)
	}
	request, err := parseInline(body)
	if err != nil {
		return nil, malformed(`the body is not {"principal", "binding", "jwk"?} or {"principal", "x5c"}`, err)
	}
	key, err := inlineKey(request)
	if err != nil {
		return nil, refused(http.StatusForbidden, "the key's binding doesn't verify", err)
	}
	request.KeyID, request.Algorithm = key.Thumbprint(), key.Algorithm()
	ctx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	found, err := a.vouched(ctx, *request)
	if err != nil {
		return nil, err
	}
	return &KeyAnswer{request.Principal, *found}, nil
}

var errInline = errors.New("identityhost: not a key's binding")

// parseInline reads the object and nothing in it.
func parseInline(body []byte) (*kest.KeyRequest, error) {
	v, err := jcs.Parse(body)
	if err != nil {
		return nil, err
	}
	r := &kest.KeyRequest{Principal: v.Get("principal").Str()}
	if r.Principal == "" || len(r.Principal) > maxPrincipal {
		return nil, errInline
	}
	for i := range v.Items() {
		if err := inlineMember(r, &v.Items()[i]); err != nil {
			return nil, err
		}
	}
	if chain, bound := len(r.X5C) > 0, r.Binding != ""; chain == bound || chain && r.JWK != "" {
		return nil, errInline
	}
	return r, nil
}

func inlineMember(r *kest.KeyRequest, m *jcs.Member) error {
	ok := false
	switch m.Name {
	case "principal":
		ok = true
	case "binding":
		r.Binding = m.Value.Str()
		ok = r.Binding != ""
	case "jwk":
		r.JWK = string(jcs.Append(nil, &m.Value))
		ok = m.Value.Kind() == jcs.Object
	case "x5c":
		r.X5C, ok = m.Value.Strings()
		ok = ok && len(r.X5C) > 0
	}
	if !ok {
		return errInline
	}
	return nil
}

// inlineKey finds the key that is spoken of, without any trust in it yet.
func inlineKey(r *kest.KeyRequest) (*jws.PublicKey, error) {
	switch {
	case len(r.X5C) > 0:
		return leafKey(r.X5C[0])
	case r.JWK != "":
		return hostcall.ParseKey(r.JWK)
	}
	return confirmedKey(r.Binding)
}

// confirmedKey is cnf.jwk of a binding of form (a), RFC 7800 section 3.2.
func confirmedKey(binding string) (*jws.PublicKey, error) {
	parts := strings.Split(binding, ".")
	if len(parts) != 3 {
		return nil, errInline
	}
	payload, err := jws.Decode(parts[1])
	if err != nil {
		return nil, err
	}
	v, err := jcs.Parse(payload)
	if err != nil {
		return nil, err
	}
	return jws.ParseJWK(v.Get("cnf").Get("jwk"))
}

// leafKey is the key of a certificate, standard base64 of DER (RFC 7515 section 4.1.6).
func leafKey(text string) (*jws.PublicKey, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	member := func(name string, value []byte) jcs.Member {
		return jcs.Member{Name: name, Value: jcs.StringValue(jws.Encode(value))}
	}
	var jwk jcs.Value
	switch key := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil || key.Curve != elliptic.P256() {
			return nil, errInline
		}
		jwk = jcs.ObjectValue(jcs.Member{Name: "kty", Value: jcs.StringValue("EC")}, jcs.Member{Name: "crv", Value: jcs.StringValue("P-256")},
			member("x", point[1:33]), member("y", point[33:]))
	case *rsa.PublicKey:
		jwk = jcs.ObjectValue(jcs.Member{Name: "kty", Value: jcs.StringValue("RSA")},
			member("n", key.N.Bytes()), member("e", big.NewInt(int64(key.E)).Bytes()))
	default:
		return nil, errInline
	}
	return jws.ParseJWK(&jwk)
}
