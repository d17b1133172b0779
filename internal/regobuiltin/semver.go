package regobuiltin

import (
	"strconv"
	"strings"
)

// version is what the precedence of one goes by.
type version struct{ numbers, preRelease string }

func semverIsValid(c *call) *Value {
	v := c.args[0]
	return boolValue(v.kind == str && parseVersion(v.text) != nil)
}

// semverCompare: precedence is by section 11 of Semantic Versioning 2.0.0.
func semverCompare(c *call) *Value {
	a, b := parseVersion(c.str(0)), parseVersion(c.str(1))
	if a == nil || b == nil {
		return c.fail()
	}
	order := compareIdentifiers(a.numbers, b.numbers)
	switch {
	case order != 0 || a.preRelease == b.preRelease:
	case a.preRelease == "":
		order = 1
	case b.preRelease == "":
		order = -1
	default:
		order = compareIdentifiers(a.preRelease, b.preRelease)
		if order == 0 {
			c.fail() // numbers beyond 64 bits, which OPA never gets done with
		}
	}
	return intValue(order)
}

// compareIdentifiers compares them one by one. Numbers come before others, and
// beyond 64 bits they are all the same to OPA.
func compareIdentifiers(a, b string) int {
	listA, listB := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(listA), len(listB)) {
		a, b = listA[i], listB[i]
		nA, _ := strconv.Atoi(a)
		nB, _ := strconv.Atoi(b)
		numeric := isNumeric(a)
		switch {
		case numeric != isNumeric(b):
			if numeric {
				return -1
			}
			return 1
		case numeric && nA < nB:
			return -1
		case numeric && nA > nB:
			return 1
		case !numeric && a != b:
			return compareTexts(a, b)
		}
	}
	return min(max(len(listA)-len(listB), -1), 1)
}

// parseVersion returns nil for what is no version.
func parseVersion(s string) *version {
	s, metadata, hasMetadata := cut(strings.TrimPrefix(s, "v"), "+")
	numbers, preRelease, hasPreRelease := cut(s, "-")
	if hasMetadata && !identifiers(metadata, false, false) || hasPreRelease && !identifiers(preRelease, true, false) ||
		!identifiers(numbers, true, true) || strings.Count(numbers, ".") != 2 {
		return nil
	}
	return &version{numbers, preRelease}
}

// identifiers reports whether s is identifiers with dots between; strict ones
// that are numbers don't start with 0; those that must be numbers have 64 bits.
func identifiers(s string, strict, numbers bool) bool {
	for _, id := range strings.Split(s, ".") {
		if id == "" || strict && id[0] == '0' && len(id) > 1 && isNumeric(id) {
			return false
		}
		if _, err := strconv.Atoi(id); numbers && (err != nil || !isNumeric(id)) {
			return false
		}
		for i := range len(id) {
			if id[i] != '-' && !isAlphanumeric(id[i]) {
				return false
			}
		}
	}
	return true
}

//go:noinline
func isNumeric(s string) bool { return strings.Trim(s, "0123456789") == "" && s != "" }
