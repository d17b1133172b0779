package kest

import (
	"math"

	"kest.example/kest/internal/digest"
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
func ParsePassport(text string) (Passport, error) { return ParsePassportWithin(text, math.MaxInt) }

// ParsePassportWithin is ParsePassport for at most so many entries: more give
// an error of ReasonLimit before they are read.
func ParsePassportWithin(text string, entries int) (Passport, error) {
	refuse := func(reason Reason, detail string, err error) (Passport, error) {
		return Passport{}, &VerificationError{Index: -1, Reason: reason, Detail: detail, Err: err}
	}
	s := jcs.NewScanner(text)
	if s.Kind() != jcs.Array {
		s.Value()
		return refuse(ReasonMalformed, "it is no array of strings", s.End())
	}
	var p Passport
	others, over := false, false
	s.Array(1, func() {
		switch {
		case over: // the rest is not read
		case s.Kind() != jcs.String:
			s.Value()
			others = true
		case p.Len() == entries:
			over = true
			s.Stop()
		default:
			p = p.Append(s.String())
		}
	})
	if over {
		return refuse(ReasonLimit, "too many entries", nil)
	}
	if err := s.End(); err != nil {
		return refuse(ReasonMalformed, "the text is no JSON", err)
	}
	if others {
		return refuse(ReasonMalformed, "it is no array of strings", nil)
	}
	return p, nil
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
	return digest.Hex(digest.SHA256(evidence))
}
