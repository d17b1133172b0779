package kest

import (
	"crypto/sha256"
	"encoding/hex"

	"kest.example/kest/internal/jcs"
)

// Passport is a list of signed entries, each a compact JWS, as it was read or
// made. Nothing in it has been verified. It is immutable: Append and Merge
// make new ones. The zero value is the empty passport.
type Passport struct{ last *stamp }

// stamp is one entry and the passport before it, so that appending is cheap
// and branches share what they have in common.
type stamp struct {
	evidence string
	before   *stamp
	n        int // entries up to this one
	size     int // bytes of the wire form's strings up to this one
}

// ParsePassport reads the wire form: a JSON array of strings (F-PA-01). It
// looks into none of them. Anything else is an error, never an empty passport.
func ParsePassport(text string) (Passport, error) {
	v, err := jcs.ParseString(text)
	if err != nil {
		return Passport{}, &VerificationError{Index: -1, Reason: ReasonMalformed, Detail: "the text is no JSON", Err: err}
	}
	list, ok := v.Strings()
	if !ok {
		return Passport{}, &VerificationError{Index: -1, Reason: ReasonMalformed, Detail: "it is no array of strings"}
	}
	return NewPassport(list...), nil
}

// NewPassport makes a passport of compact JWS strings.
func NewPassport(evidence ...string) Passport {
	var p Passport
	for _, e := range evidence {
		p = p.Append(e)
	}
	return p
}

// Append returns a passport with one more entry; p stays as it is.
func (p Passport) Append(evidence string) Passport {
	return Passport{&stamp{evidence: evidence, before: p.last, n: p.Len() + 1, size: p.bytes() + len(evidence)}}
}

// Len returns the number of entries.
func (p Passport) Len() int {
	if p.last == nil {
		return 0
	}
	return p.last.n
}

// bytes returns the length of all entries together.
func (p Passport) bytes() int {
	if p.last == nil {
		return 0
	}
	return p.last.size
}

// Entries returns the compact JWS strings in their order.
func (p Passport) Entries() []string {
	list := make([]string, p.Len())
	for s := p.last; s != nil; s = s.before {
		list[s.n-1] = s.evidence
	}
	return list
}

// String returns the wire form, a JSON array without white space.
func (p Passport) String() string {
	return string(appendStrings(make([]byte, 0, p.bytes()+3*p.Len()+2), p.Entries()))
}

// Merge joins passports: the first occurrence of each entry, in order (F-PA-06).
func Merge(passports ...Passport) Passport {
	var out Passport
	seen := make(map[string]bool)
	for _, p := range passports {
		if out.Len() == 0 {
			out = p
			for _, e := range p.Entries() {
				seen[e] = true
			}
			continue
		}
		for _, e := range p.Entries() {
			if !seen[e] {
				seen[e] = true
				out = out.Append(e)
			}
		}
	}
	return out
}

// Hash returns the lower-case hex SHA-256 of a whole compact JWS: an entry's
// name in the parent_ids of others (F-AE-09).
func Hash(evidence string) string {
	sum := sha256.Sum256([]byte(evidence))
	return hex.EncodeToString(sum[:])
}
