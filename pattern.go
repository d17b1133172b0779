package kest

import "strings"

// Pattern matches names such as SPIFFE ids: "*" stands for any text within
// one path segment, "**" for any text at all.
type Pattern string

// maxMatched is the longest text that any pattern fits: names are short, and
// the time for a pattern of several stars grows with the square of the text.
const maxMatched = 2048

// Match reports whether the whole of s fits the pattern. A text of more than
// 2048 bytes fits none.
func (p Pattern) Match(s string) bool {
	if len(s) > maxMatched {
		return false
	}
	pat := string(p)
	i, j := 0, 0
	starI, starJ, deepI, deepJ := -1, 0, -1, 0
	for j < len(s) || i < len(pat) {
		switch {
		case strings.HasPrefix(pat[i:], "**"):
			i += 2
			deepI, deepJ, starI = i, j, -1
			continue
		case i < len(pat) && pat[i] == '*':
			i++
			starI, starJ = i, j
			continue
		case i < len(pat) && j < len(s) && pat[i] == s[j]:
			i++
			j++
			continue
		}
		switch {
		case starI >= 0 && starJ < len(s) && s[starJ] != '/':
			starJ++
			i, j = starI, starJ
		case deepI >= 0 && deepJ < len(s):
			deepJ++
			i, j, starI = deepI, deepJ, -1
		default:
			return false
		}
	}
	return true
}

// matchAny reports whether one of the patterns fits.
func matchAny(patterns []Pattern, s string) bool {
	for _, p := range patterns {
		if p.Match(s) {
			return true
		}
	}
	return false
}
