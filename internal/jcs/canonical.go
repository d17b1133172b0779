package jcs

import (
	"math/bits"
	"strconv"
	"unicode/utf8"

	"kest.example/kest/internal/words"
)

// Append adds the canonical form of v to dst (RFC 8785).
func Append(dst []byte, v *Value) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(dst, v.num == 1)
	case Number:
		return AppendNumber(dst, v.num)
	case String:
		return AppendString(dst, v.str)
	case Array:
		return appendArray(dst, v.items)
	case Object:
		return appendObject(dst, v.items)
	}
	return append(dst, "null"...)
}

// AppendObject adds the canonical form of an object of the members.
func AppendObject(dst []byte, members ...Member) []byte { return appendObject(dst, members) }

func appendArray(dst []byte, items []Member) []byte {
	dst = append(dst, '[')
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = Append(dst, &items[i].Value)
	}
	return append(dst, ']')
}

func appendObject(dst []byte, items []Member) []byte {
	if !sorted(items) {
		items = append([]Member(nil), items...)
		sortMembers(items)
	}
	dst = append(dst, '{')
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, items[i].Name), ':')
		dst = Append(dst, &items[i].Value)
	}
	return append(dst, '}')
}

func sorted(items []Member) bool {
	for i := 1; i < len(items); i++ {
		if CompareNames(items[i-1].Name, items[i].Name) > 0 {
			return false
		}
	}
	return true
}

// CompareNames orders two member names by their UTF-16 code units (RFC 8785 section 3.2.3).
func CompareNames(a, b string) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	if i == n {
		return len(a) - len(b)
	}
	return int(unit(a, i)) - int(unit(b, i))
}

// unit returns the first UTF-16 code unit, at or before byte i, that can differ.
// Only surrogates (beyond the basic plane) sort otherwise than their bytes do.
func unit(s string, i int) rune {
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	r, _ := utf8.DecodeRuneInString(s[i:])
	if r < 0x10000 {
		// Twice, so that there is room between for the second code unit of a pair.
		return r << 11
	}
	r -= 0x10000
	return (0xd800+r>>10)<<11 | r&0x3ff
}

// AppendNumber adds f in ECMAScript's form (RFC 8785 section 3.2.2.3); f must be finite.
func AppendNumber(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0') // also for -0
	}
	if i := int64(f); float64(i) == f && i > -maxExact && i < maxExact {
		return strconv.AppendInt(dst, i, 10)
	}
	abs := max(f, -f)
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go writes at least two digits of exponent, ECMAScript only those that count.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// AppendString adds s, which must be valid UTF-8, as a JSON string (RFC 8785 section 3.2.2.2).
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		if i+8 <= len(s) {
			found := special(words.Load(s, i))
			if found == 0 {
				i += 7
				continue
			}
			i += bits.TrailingZeros64(found) / 8
		}
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		start = i + 1
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
