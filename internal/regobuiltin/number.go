package regobuiltin

import (
	"math"
	"strconv"
	"strings"
)

// decimal takes a number apart: it is 0.digits times ten to the power of point.
// The digits neither start nor end with 0; zero has none.
func decimal(text string) (negative bool, digits string, point int) {
	text, negative = strings.CutPrefix(text, "-")
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		point, _ = strconv.Atoi(text[i+1:])
		point = max(point, -1<<40) // so that it can be counted with
		text = text[:i]
	}
	whole, fraction, _ := cut(text, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	point += len(digits) - len(fraction)
	digits = strings.TrimRight(digits, "0")
	return negative && digits != "", digits, point
}

// compareNumbers orders numbers by value.
func compareNumbers(a, b string) int {
	if a == b {
		return 0
	}
	minusA, digitsA, pointA := decimal(a)
	minusB, digitsB, pointB := decimal(b)
	order := compareTexts(digitsA, digitsB)
	if digitsA != "" && digitsB != "" && pointA != pointB {
		order = 1
		if pointA < pointB {
			order = -1
		}
	}
	switch {
	case minusA && minusB:
		return -order
	case minusA:
		return -1
	case minusB:
		return 1
	}
	return order
}

// wholeNumber returns a number that is an integer of 64 bits, however it is written.
func wholeNumber(text string) (int, bool) {
	negative, digits, point := decimal(text)
	if point < len(digits) || point > maxDigits {
		return 0, false
	}
	for len(digits) < point {
		digits += "0"
	}
	if digits == "" {
		return 0, true
	}
	return signed(negative, digits)
}

// Truncated returns a number as JSON has it without its fraction; false where
// that has more than 64 bits, or for another text.
func Truncated(text string) (int64, bool) {
	if v, err := Parse(text); err != nil || v.kind != number {
		return 0, false
	}
	negative, digits, point := decimal(text)
	if point <= 0 {
		return 0, true
	}
	kept := min(point, len(digits))
	whole := digits[:kept] + "e" + strconv.Itoa(point-kept)
	if negative {
		whole = "-" + whole
	}
	n, ok := wholeNumber(whole)
	return int64(n), ok
}

// maxDigits is how many digits an integer of 64 bits may have.
const maxDigits = 19

// plainInteger reads an integer as OPA does where it needs a small one: digits
// with a sign before and zeros behind a point, but no exponent.
func plainInteger(text string) (int, bool) {
	negative := strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	if text == "" || len(text) > maxDigits {
		return 0, false
	}
	whole, zeros, _ := cut(text, ".")
	if strings.Trim(zeros, "0") != "" {
		return 0, false
	}
	return signed(negative, whole)
}

// signed reads up to 19 digits; none are 0.
//
//go:noinline
func signed(negative bool, digits string) (int, bool) {
	n := uint64(0)
	for i := range len(digits) {
		c := digits[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if negative {
		return int(-n), n <= 1<<63 //nolint:gosec // that is what the second result says
	}
	return int(n), n <= math.MaxInt64
}
