package keys

import (
	"strings"
	"time"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// maxToken is the length of the longest token that is read.
const maxToken = 16 << 10

// Types of the tokens of CONTRACT 8, told apart exactly.
const (
	typeWIT  = "wit+jwt"
	typeJWT  = "JWT"
	typeJOSE = "JOSE"
)

// token is a parsed compact JWT. Parsing checks no signature.
type token struct {
	algorithm string
	typ       string // "" where the header has none
	kid       string
	x5c       []string
	claims    *jcs.Value // an object
	input     string
	signature []byte
}

// parseToken reads a compact JWT as strictly as internal/jws reads an entry. It
// stands here since a binding has one of four types, one of which is none. The
// detail says what is wrong.
func parseToken(compact string) (t *token, detail string) {
	if len(compact) > maxToken {
		return nil, "the token is too long"
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, "the token has not three segments"
	}
	header, payload := parseSegment(parts[0]), parseSegment(parts[1])
	signature, err := jws.Decode(parts[2])
	if header == nil || payload == nil || err != nil {
		return nil, "the token is no strict base64url of JSON objects"
	}
	t = &token{claims: payload, input: parts[0] + "." + parts[1], signature: signature}
	if detail := t.readHeader(header); detail != "" {
		return nil, detail
	}
	return t, ""
}

// parseSegment returns nil where the segment holds no JSON object.
func parseSegment(segment string) *jcs.Value {
	text, err := jws.Decode(segment)
	if err != nil {
		return nil
	}
	v, err := jcs.Parse(text)
	if err != nil || v.Kind() != jcs.Object {
		return nil
	}
	return v
}

func (t *token) readHeader(header *jcs.Value) (detail string) {
	if header.Get("crit").Kind() != jcs.Invalid {
		return "the token has crit"
	}
	t.algorithm, t.typ, t.kid = header.Get("alg").Str(), header.Get("typ").Str(), header.Get("kid").Str()
	for _, name := range [...]string{"alg", "typ", "kid"} {
		if v := header.Get(name); v.Str() == "" && v.Kind() != jcs.Invalid {
			return "the token's " + name + " is no text"
		}
	}
	if x5c := header.Get("x5c"); x5c.Kind() != jcs.Invalid {
		var ok bool
		if t.x5c, ok = x5c.Strings(); !ok || len(t.x5c) == 0 {
			return "the token's x5c is no list of certificates"
		}
	}
	switch t.algorithm {
	case jws.EdDSA, jws.ES256, jws.RS256:
		return ""
	}
	return "the token's alg is not accepted"
}

// text returns a claim that is a string, or "".
func (t *token) text(claim string) string { return t.claims.Get(claim).Str() }

// latest is the last second of the year 9999, the last that RFC 3339 can write.
const latest = 253402300799

// date returns a claim that is a whole number of seconds since 1970; zero where
// it is absent, not ok where it is anything else.
func (t *token) date(claim string) (at time.Time, ok bool) {
	v := t.claims.Get(claim)
	if v.Kind() == jcs.Invalid {
		return time.Time{}, true
	}
	seconds, ok := v.Int()
	if !ok || seconds <= 0 || seconds > latest {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0).UTC(), true
}

// period is when a token says that it counts.
type period struct {
	issued    time.Time // zero where it has no iat
	notBefore time.Time // the later of iat and nbf; zero where it has neither
	expires   time.Time // never zero
}

// period reads iat, nbf and exp. An exp is always required; a token that is from
// the future, beyond the skew, is refused.
func (t *token) period(now time.Time, skew time.Duration) (p period, detail string) {
	issued, goodIssued := t.date("iat")
	notBefore, goodNotBefore := t.date("nbf")
	expires, goodExpires := t.date("exp")
	p = period{issued: issued, notBefore: issued, expires: expires}
	if notBefore.After(issued) {
		p.notBefore = notBefore
	}
	switch {
	case !goodIssued || !goodNotBefore || !goodExpires:
		return period{}, "iat, nbf or exp is no whole number of seconds"
	case expires.IsZero():
		return period{}, "exp is missing"
	case issued.After(now.Add(skew)):
		return period{}, "iat lies in the future"
	case !p.notBefore.Before(expires):
		return period{}, "exp is not after iat and nbf"
	}
	return p, ""
}
