// Package jws reads and writes compact JWS (RFC 7515) as strictly as Kest
// wants it: one signature has exactly one string, since hashes are over it.
package jws

import (
	"errors"
	"slices"
	"strings"

	"kest.example/kest/internal/base64url"
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
	last := lastDot(compact, first)
	if first < 0 || first == last {
		return Message{}, &Error{Detail: "not three segments"}
	}
	room := make([]byte, 0, len(compact)*3/4+2) // for all three
	head, err := base64url.AppendDecode(room, compact[:first])
	if err != nil {
		return Message{}, &Error{Detail: "header", Err: err}
	}
	m := Message{Input: compact[:last]}
	if m.Header, err = parseHeader(head, typ); err != nil {
		return Message{}, err
	}
	if m.Payload, err = base64url.AppendDecode(head[len(head):], compact[first+1:last]); err != nil {
		return Message{}, &Error{Detail: "payload", Err: err}
	}
	if m.Signature, err = base64url.AppendDecode(m.Payload[len(m.Payload):], compact[last+1:]); err != nil {
		return Message{}, &Error{Detail: "signature", Err: err}
	}
	m.Payload = slices.Clip(m.Payload)
	return m, nil
}

// lastDot is where the last segment begins. A signature of 64 bytes, as most
// are, isn't looked through: another dot in it would be no base64url.
func lastDot(compact string, first int) int {
	const size = 86 // of 64 bytes in base64url
	if at := len(compact) - size - 1; at > first && compact[at] == '.' {
		return at
	}
	return strings.LastIndexByte(compact, '.')
}

// Decode reads base64url without padding (RFC 4648 section 5), strictly: each
// result has one text.
func Decode(s string) ([]byte, error) { return base64url.Decode(s) }

// Encode writes base64url without padding.
func Encode(b []byte) string { return string(base64url.AppendEncode(nil, b)) }

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
		if !base64url.Digit(kid[i]) { // neither an escape nor the end of the string
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
	const size = 64 // of a signature
	out := make([]byte, 0, (len(head)+len(payload)+size+3)*4/3+2)
	out = append(base64url.AppendEncode(out, head), '.')
	return base64url.AppendEncode(out, payload)
}

// Compact returns a signing input with its signature: a compact JWS (RFC 7515
// section 7.1). It may write behind the input.
func Compact(input, signature []byte) string {
	return string(base64url.AppendEncode(append(input, '.'), signature))
}
