package jwt

import (
	"math"
	"slices"
	"time"

	"kest.example/kest/internal/jcs"
)

// Text returns a claim that must be a string and not empty.
func (t *Token) Text(name string) (string, error) {
	text := t.Claims.Get(name).Str()
	if text == "" {
		return "", &Error{Malformed, "the claim " + name + " is no text"}
	}
	return text, nil
}

// maxDate is the end of the year 9999, in seconds.
const maxDate = 253402300799

// date reads a NumericDate (RFC 7519 section 2); ok is false where there is none.
func (t *Token) date(name string) (at time.Time, ok bool, err error) {
	v := t.Claims.Get(name)
	if v.Kind() == jcs.Invalid {
		return time.Time{}, false, nil
	}
	f := v.Float()
	if v.Kind() != jcs.Number || f < 0 || f > maxDate {
		return time.Time{}, false, &Error{Malformed, "the claim " + name + " is no date"}
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true, nil
}

// Expiry returns exp, which must be there.
func (t *Token) Expiry() (time.Time, error) {
	at, ok, err := t.date("exp")
	if err == nil && !ok {
		err = &Error{Malformed, "the claim exp is missing"}
	}
	return at, err
}

// Life returns the time from iat, which must be there, to exp.
func (t *Token) Life() (time.Duration, error) {
	exp, err := t.Expiry()
	if err != nil {
		return 0, err
	}
	iat, ok, err := t.date("iat")
	if err == nil && !ok {
		err = &Error{Malformed, "the claim iat is missing"}
	}
	return exp.Sub(iat), err
}

// InTime checks exp, which must be there, nbf and iat. late is the skew for
// the first, early the one for the others.
func (t *Token) InTime(now time.Time, early, late time.Duration) error {
	exp, err := t.Expiry()
	if err != nil {
		return err
	}
	if !now.Before(exp.Add(late)) {
		return &Error{Expired, "it ended at " + exp.Format(time.RFC3339)}
	}
	for _, name := range [...]string{"nbf", "iat"} {
		at, ok, err := t.date(name)
		if err != nil {
			return err
		}
		if ok && now.Add(early).Before(at) {
			return &Error{NotYet, name + " is " + at.Format(time.RFC3339)}
		}
	}
	return nil
}

// Audiences returns aud, which may be one string or a list of them (RFC 7519
// section 4.1.3).
func (t *Token) Audiences() ([]string, error) {
	v := t.Claims.Get("aud")
	if one := v.Str(); one != "" {
		return []string{one}, nil
	}
	list, ok := v.Strings()
	if !ok || len(list) == 0 || slices.Contains(list, "") {
		return nil, &Error{Malformed, "the claim aud is neither a text nor a list of them"}
	}
	return list, nil
}
