// Package baggage carries passports and actors in W3C Baggage (F-CP-01 to
// F-CP-08, https://www.w3.org/TR/baggage/).
//
// It does no I/O: where a claim check needs a cache, Parse and Write say so
// and the caller asks the cache.
package baggage

import (
	"strings"
	"unicode/utf8"
)

// Names of the members that Kest uses.
const (
	Passport   = "kest.passport"    // the passport, a JSON array
	PassportZ  = "kest.passport_z"  //nolint:gosec // no credential: zlib of that, base64url without padding
	ClaimCheck = "kest.claim_check" // UUID v4 of a claim that holds it
	ChainTip   = "kest.chain_tip"   // hashes of the leaves, comma-separated
	User       = "kest.user"
	Agent      = "kest.agent"
	Task       = "kest.task"
	JWT        = "kest.jwt"
	Scope      = "kest.scope"
)

// prefix marks all members that Kest reads, strips and writes.
const prefix = "kest."

// member is one list-member as it came; raw is without white space around it.
type member struct {
	key, value, raw string
	bare            bool // a key without "="
}

// maxRead is how many members are read: more than twice as many as may be sent.
const maxRead = 512

// isKest reports whether the member is Kest's, in whatever case somebody may read it.
func (m member) isKest() bool {
	return len(m.key) >= len(prefix) && strings.EqualFold(m.key[:len(prefix)], prefix)
}

// disguised reports whether the name becomes Kest's for a reader that decodes
// names; W3C Baggage has no encoding of them.
func (m member) disguised() bool {
	if m.isKest() || !strings.ContainsAny(m.key, "%+") {
		return false
	}
	key, ok := decode(strings.ReplaceAll(m.key, "+", " "))
	return ok && member{key: strings.TrimSpace(key)}.isKest()
}

// split reads all baggage headers as one list, and stops behind maxRead members.
func split(headers []string) (list []member) {
	for _, h := range headers {
		for part := range strings.SplitSeq(h, ",") {
			raw := strings.Trim(part, " \t")
			if raw == "" {
				continue
			}
			if len(list) > maxRead {
				return list
			}
			pair, _, _ := strings.Cut(raw, ";")
			key, value, found := strings.Cut(pair, "=")
			list = append(list, member{strings.Trim(key, " \t"), strings.Trim(value, " \t"), raw, !found})
		}
	}
	return list
}

// decode undoes percent-encoding, which must be whole and give UTF-8.
func decode(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, utf8.ValidString(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		at := strings.IndexByte(s, '%')
		if at < 0 {
			b.WriteString(s)
			return b.String(), utf8.ValidString(b.String())
		}
		if at+2 >= len(s) {
			return "", false
		}
		high, low := unhex(s[at+1]), unhex(s[at+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteString(s[:at])
		b.WriteByte(byte(high<<4 | low)) //nolint:gosec // two hex digits
		s = s[at+3:]
	}
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// octets has the bytes that may stand in a value as they are: each
// baggage-octet other than the percent sign.
var octets = func() (table [256]bool) {
	for c := byte(0x21); c < 0x7f; c++ {
		table[c] = c != '"' && c != ',' && c != ';' && c != '\\' && c != '%'
	}
	return table
}()

func plain(c byte) bool { return octets[c] }

func appendEncoded(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	start := 0
	for i := range len(s) {
		if c := s[i]; !plain(c) {
			b = append(append(b, s[start:i]...), '%', digits[c>>4], digits[c&15])
			start = i + 1
		}
	}
	return append(b, s[start:]...)
}
