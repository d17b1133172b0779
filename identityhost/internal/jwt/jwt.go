// Package jwt reads JSON Web Tokens (RFC 7519) of issuers, as strictly as this
// project reads everything that is signed; go-jose checks the signatures.
package jwt

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// MaxBytes is how long a token may be.
const MaxBytes = 16 << 10

// Reason says in one word why a token is refused.
type Reason string

// The reasons.
const (
	Malformed Reason = "malformed"
	Algorithm Reason = "algorithm"
	Type      Reason = "type"
	NoKey     Reason = "no_key"
	Signature Reason = "signature"
	Expired   Reason = "expired"
	NotYet    Reason = "not_yet"
	Issuer    Reason = "issuer"
	Audience  Reason = "audience"
)

// Error refuses a token. It never quotes one.
type Error struct {
	Reason Reason
	Detail string
}

func (e *Error) Error() string { return "jwt: " + string(e.Reason) + ": " + e.Detail }

// Keys finds an issuer's keys by kid. It returns none and no error where it
// knows none; an error says that it can't tell.
type Keys interface {
	Keys(ctx context.Context, kid string) ([]kest.PublicKey, error)
}

// Token is a token that was read. Nothing of it is proven before Verify.
type Token struct {
	Type   string // typ as it stands in the header; "" where there is none
	Claims *jcs.Value

	algorithm string
	keyID     string
	signed    *jose.JSONWebSignature
}

// String hides the token from logs.
func (*Token) String() string { return "jwt.Token" }

// GoString hides the token from logs.
func (t *Token) GoString() string { return t.String() }

var algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.RS256}

// Parse reads a compact JWS whose payload is a JSON object. It refuses what
// jws.Parse refuses, but takes a token without typ, since many have none.
func Parse(compact string) (*Token, error) {
	if len(compact) > MaxBytes {
		return nil, &Error{Malformed, "it is longer than 16 KiB"}
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, &Error{Malformed, "it is not three segments"}
	}
	header, err := object(parts[0])
	if err != nil {
		return nil, err
	}
	t := &Token{}
	if err := t.readHeader(header); err != nil {
		return nil, err
	}
	if t.Claims, err = object(parts[1]); err != nil {
		return nil, err
	}
	if _, err := jws.Decode(parts[2]); err != nil {
		return nil, &Error{Malformed, "the signature is not base64url"}
	}
	if t.signed, err = jose.ParseSignedCompact(compact, algorithms); err != nil {
		return nil, &Error{Malformed, "it is no JWS"}
	}
	return t, nil
}

func object(segment string) (*jcs.Value, error) {
	text, err := jws.Decode(segment)
	if err != nil {
		return nil, &Error{Malformed, "a segment is not base64url"}
	}
	v, err := jcs.Parse(text)
	if err != nil || v.Kind() != jcs.Object {
		return nil, &Error{Malformed, "a segment holds no JSON object"}
	}
	return v, nil
}

// types are the typ that a token of an issuer may have, a media type whose
// "application/" may be left out (RFC 7515 section 4.1.9, RFC 7519 section 5.1,
// RFC 9068 section 2.1). What was signed for another purpose has another one.
var types = map[string]bool{"": true, "jwt": true, "jose": true, "at+jwt": true}

func (t *Token) readHeader(h *jcs.Value) error {
	for _, name := range [...]string{"crit", "b64"} {
		if h.Get(name).Kind() != jcs.Invalid {
			return &Error{Malformed, "the header has " + name}
		}
	}
	for _, m := range [...]struct {
		name string
		to   *string
	}{{"alg", &t.algorithm}, {"kid", &t.keyID}, {"typ", &t.Type}} {
		v := h.Get(m.name)
		if *m.to = v.Str(); *m.to == "" && v.Kind() != jcs.Invalid {
			return &Error{Malformed, "the header's " + m.name + " is no text"}
		}
	}
	switch t.algorithm {
	case jws.EdDSA, jws.ES256, jws.RS256:
	default:
		return &Error{Algorithm, "the header's alg is not accepted"}
	}
	if !types[strings.TrimPrefix(strings.ToLower(t.Type), "application/")] {
		return &Error{Type, "the header's typ is that of something else"}
	}
	return nil
}

// Verify checks the signature under the issuer's key of the token's kid, whose
// algorithm must be the token's. Where the keys can't be had its error wraps
// kest.ErrUnavailable; else it is an *Error.
func (t *Token) Verify(ctx context.Context, keys Keys) error {
	if t.keyID == "" {
		return &Error{NoKey, "the header has no kid"}
	}
	list, err := keys.Keys(ctx, t.keyID)
	if err != nil {
		return fmt.Errorf("jwt: the issuer's keys: %w: %w", kest.ErrUnavailable, err)
	}
	if len(list) == 0 {
		return &Error{NoKey, "the issuer has no key of this kid"}
	}
	refusal := &Error{Algorithm, "the header's alg is not the key's"}
	for _, key := range list {
		if key.Algorithm() != t.algorithm {
			continue
		}
		if t.under(key) {
			return nil
		}
		refusal = &Error{Signature, "the signature does not hold"}
	}
	return refusal
}

func (t *Token) under(key kest.PublicKey) bool {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON([]byte(key.JWK())); err != nil {
		return false
	}
	_, err := t.signed.Verify(jwk.Key)
	return err == nil
}
