// Package jws reads and writes compact JWS (RFC 7515) as strictly as Kest
// wants it: one signature has exactly one string, since hashes are over it.
package jws

import (
	"encoding/base64"
	"errors"
	"strings"

	"kest.example/kest/internal/jcs"
)

// Algorithms that a signature may have (RFC 7518, RFC 8037). Nothing else is accepted.
const (
	EdDSA = "EdDSA"
	ES256 = "ES256"
	RS256 = "RS256"
)

// Types of a JWS in this project (RFC 7515 section 4.1.9).
const (
	TypeEntry   = "JWS"
	TypeDenial  = "kest-denial+jws"
	TypeBinding = "kest-binding+jwt" // ties a session key to a workload (CONTRACT 8)
	TypeSession = "kest-session+jws" // proves possession of a session key (DESIGN 6)
)

// ErrAlgorithm is returned for a JWS whose alg is none of those above.
var ErrAlgorithm = errors.New("jws: the algorithm is not accepted")

// Error says why a text is no acceptable compact JWS.
type Error struct {
	Detail string
	Err    error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return "jws: " + e.Detail + ": " + e.Err.Error()
	}
	return "jws: " + e.Detail
}

func (e *Error) Unwrap() error { return e.Err }

// Header is the protected header of a compact JWS.
type Header struct {
	Algorithm string
	KeyID     string
	Type      string
	Binding   string     // a compact JWT, CONTRACT 8
	JWK       *jcs.Value // nil when absent
	X5C       []string   // standard base64 of DER, leaf first
}

// Message is a parsed compact JWS. Parsing checks no signature.
type Message struct {
	Header    Header
	Payload   []byte
	Input     string // header "." payload, what is signed
	Signature []byte
}

// Parse splits and decodes a compact JWS whose typ must be typ.
//
// It refuses padding, line ends, the standard alphabet, non-zero trailing
// bits, other than three segments, repeated header names, crit, and a missing
// alg or typ. An alg that is not accepted gives ErrAlgorithm.
func Parse(compact, typ string) (Message, error) {
	m, err := parse(compact, typ)
	if err != nil && strings.Count(compact, ".") != 2 {
		return Message{}, &Error{Detail: "not three segments"}
	}
	return m, err
}

// parse takes no more than three segments either: a dot is no base64url.
func parse(compact, typ string) (Message, error) {
	first := strings.IndexByte(compact, '.')
	last := strings.LastIndexByte(compact, '.')
	if first < 0 || first == last {
		return Message{}, &Error{Detail: "not three segments"}
	}
	head, err := Decode(compact[:first])
	if err != nil {
		return Message{}, &Error{Detail: "header", Err: err}
	}
	m := Message{Input: compact[:last]}
	if m.Header, err = parseHeader(head, typ); err != nil {
		return Message{}, err
	}
	if m.Payload, err = Decode(compact[first+1 : last]); err != nil {
		return Message{}, &Error{Detail: "payload", Err: err}
	}
	if m.Signature, err = Decode(compact[last+1:]); err != nil {
		return Message{}, &Error{Detail: "signature", Err: err}
	}
	return m, nil
}

var errBase64 = errors.New("not strict base64url without padding")

// digits maps a byte to its value in base64url, or to 0xff.
var digits = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		table[c] = byte(i)
	}
	return table
}()

// Decode reads base64url without padding (RFC 4648 section 5), strictly: each
// result has one text. Go's decoder skips line ends even when it is strict.
func Decode(s string) ([]byte, error) {
	out := make([]byte, len(s)*3/4)
	n := 0
	for len(s) >= 4 {
		a, b, c, d := digits[s[0]], digits[s[1]], digits[s[2]], digits[s[3]]
		if a|b|c|d > 63 {
			return nil, errBase64
		}
		three := out[n : n+3]
		three[0], three[1], three[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		s = s[4:]
		n += 3
	}
	if s == "" {
		return out, nil
	}
	out = out[:n]
	if len(s) == 1 {
		return nil, errBase64
	}
	a, b, c := digits[s[0]], digits[s[1]], byte(0)
	if len(s) == 3 {
		c = digits[s[2]]
	}
	trailing := b << 4
	if len(s) == 3 {
		trailing = c << 6
	}
	if a|b|c > 63 || trailing != 0 {
		return nil, errBase64
	}
	out = append(out, a<<2|b>>4)
	if len(s) == 3 {
		out = append(out, b<<4|c>>2)
	}
	return out, nil
}

// Encode writes base64url without padding.
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Most entries are signed as this library signs: these two texts around a key id.
const (
	plainStart = `{"alg":"EdDSA","kid":"`
	plainEnd   = `","typ":"JWS"}`
)

// plainHeader reads the header of most entries without a JSON parser.
func plainHeader(text []byte, typ string) (h Header, ok bool) {
	n := len(text) - len(plainEnd)
	if typ != TypeEntry || n <= len(plainStart) || string(text[:len(plainStart)]) != plainStart || string(text[n:]) != plainEnd {
		return Header{}, false
	}
	kid := string(text[len(plainStart):n])
	for i := range len(kid) {
		if digits[kid[i]] == 0xff { // neither an escape nor the end of the string
			return Header{}, false
		}
	}
	return Header{Algorithm: EdDSA, KeyID: kid, Type: TypeEntry}, true
}

func parseHeader(text []byte, typ string) (Header, error) {
	if h, ok := plainHeader(text, typ); ok {
		return h, nil
	}
	v, err := jcs.Parse(text)
	if err != nil {
		return Header{}, &Error{Detail: "header", Err: err}
	}
	if v.Kind() != jcs.Object {
		return Header{}, &Error{Detail: "the header is no object"}
	}
	var h Header
	items := v.Items()
	for i := range items {
		if err := h.set(&items[i]); err != nil {
			return Header{}, err
		}
	}
	switch {
	case h.Algorithm == "":
		return Header{}, &Error{Detail: "the header has no alg"}
	case h.Type != typ:
		return Header{}, &Error{Detail: "the header's typ is not " + typ}
	case h.Algorithm != EdDSA && h.Algorithm != ES256 && h.Algorithm != RS256:
		return Header{}, ErrAlgorithm
	}
	return h, nil
}

func (h *Header) set(m *jcs.Member) error {
	switch m.Name {
	case "alg":
		return setText(&h.Algorithm, m)
	case "kid":
		return setText(&h.KeyID, m)
	case "typ":
		return setText(&h.Type, m)
	case "binding":
		return setText(&h.Binding, m)
	case "crit":
		return &Error{Detail: "the header has crit"}
	case "jwk":
		if m.Value.Kind() != jcs.Object {
			return &Error{Detail: "the header's jwk is no object"}
		}
		h.JWK = &m.Value
	case "x5c":
		list, ok := m.Value.Strings()
		if !ok || len(list) == 0 {
			return &Error{Detail: "the header's x5c is no list of certificates"}
		}
		h.X5C = list
	}
	return nil
}

func setText(to *string, m *jcs.Member) error {
	if *to = m.Value.Str(); *to == "" {
		return &Error{Detail: "the header's " + m.Name + " is no text"}
	}
	return nil
}

// Input returns the signing input of a payload, base64url(header) "."
// base64url(payload), with room for a signature of 64 bytes behind it.
func Input(h Header, payload []byte) []byte {
	var room [192]byte
	head := append(room[:0], `{"alg":`...)
	head = jcs.AppendString(head, h.Algorithm)
	if h.Binding != "" {
		head = append(head, `,"binding":`...)
		head = jcs.AppendString(head, h.Binding)
	}
	if h.JWK != nil {
		head = append(head, `,"jwk":`...)
		head = jcs.Append(head, h.JWK)
	}
	if h.KeyID != "" {
		head = append(head, `,"kid":`...)
		head = jcs.AppendString(head, h.KeyID)
	}
	head = append(head, `,"typ":`...)
	head = jcs.AppendString(head, h.Type)
	if len(h.X5C) > 0 {
		head = append(head, `,"x5c":`...)
		list := jcs.StringsValue(h.X5C)
		head = jcs.Append(head, &list)
	}
	head = append(head, '}')
	enc := base64.RawURLEncoding
	out := make([]byte, 0, enc.EncodedLen(len(head))+1+enc.EncodedLen(len(payload))+1+enc.EncodedLen(64))
	out = enc.AppendEncode(out, head)
	out = append(out, '.')
	return enc.AppendEncode(out, payload)
}

// Compact returns a signing input with its signature: a compact JWS (RFC 7515
// section 7.1). It may write behind the input.
func Compact(input, signature []byte) string {
	return string(base64.RawURLEncoding.AppendEncode(append(input, '.'), signature))
}
