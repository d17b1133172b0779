// Package regocall serves the built-ins that a policy module leaves to who runs
// it, in guests and in Go: those of package regobuiltin, and those that OPA's
// runtime has inside and takes more loosely than OPA does natively.
package regocall

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/regobuiltin"
)

// Replaced are the built-ins of OPA's runtime in whose place Call is asked: it
// decodes what is no base64, reads 10.1 in "10.1.2.3" and a number in "-", and
// formats no integer above 2^31.
var Replaced = []string{"base64.decode", "base64.is_valid", "base64url.decode", "format_int", "json.is_valid", "json.unmarshal", "to_number"}

type failedError struct{}

func (failedError) Error() string { return "rego: the built-in failed" }

// Call calls a built-in on the text of an array, as OPA dumps values, and
// returns the text of the result. An error is one natively too, or a result that
// no policy module can hold.
func Call(name string, arguments []byte, now time.Time) ([]byte, error) {
	switch name {
	case "base64.decode", "base64url.decode":
		return decode(name, arguments)
	case "base64.is_valid":
		text, ok := only(arguments)
		_, err := base64.StdEncoding.DecodeString(text)
		return truth(ok && err == nil), nil
	case "format_int":
		return formatInt(arguments)
	case "json.is_valid":
		return isValid(arguments)
	case "json.unmarshal":
		return unmarshal(arguments)
	case "to_number":
		return toNumber(arguments)
	}
	return regobuiltin.CallText(name, string(arguments), regobuiltin.Env{Now: now})
}

// only returns the one argument, where it is a string.
func only(arguments []byte) (text string, ok bool) {
	v, err := jcs.Parse(arguments)
	if err != nil || v.Len() != 1 || v.Items()[0].Value.Kind() != jcs.String {
		return "", false
	}
	return v.Items()[0].Value.Str(), true
}

func truth(b bool) []byte {
	if b {
		return []byte("true")
	}
	return []byte("false")
}

// decode reads base64 as Go does: line ends are skipped, and of base64url the
// padding may be missing.
func decode(name string, arguments []byte) ([]byte, error) {
	text, ok := only(arguments)
	encoding := base64.StdEncoding
	if name == "base64url.decode" {
		encoding = base64.URLEncoding
		if n := len(text) % 4; n > 1 && text[len(text)-1] != '=' {
			text += "=="[:4-n]
		}
	}
	b, err := encoding.DecodeString(text)
	if !ok || err != nil || !utf8.Valid(b) {
		return nil, failedError{}
	}
	return jcs.AppendString(nil, string(b)), nil
}

// Of JSON that OPA reads and jcs doesn't nothing is said.
var tooStrict = [...]string{
	"a repeated member name", "nested too deep", "a number that no double holds", "a malformed or lone surrogate escape", "invalid UTF-8",
}

func isValid(arguments []byte) ([]byte, error) {
	text, ok := only(arguments)
	if !ok {
		return truth(false), nil
	}
	_, err := jcs.ParseString(text)
	if syntax, wrong := err.(*jcs.SyntaxError); wrong { //nolint:errorlint // jcs returns it as it is
		for _, detail := range tooStrict {
			if syntax.Detail == detail {
				return nil, failedError{}
			}
		}
	}
	return truth(err == nil), nil
}

// unmarshal gives the text itself, which keeps its numbers' digits.
func unmarshal(arguments []byte) ([]byte, error) {
	text, ok := only(arguments)
	if !ok {
		return nil, failedError{}
	}
	if _, err := jcs.ParseString(text); err != nil {
		return nil, failedError{}
	}
	return []byte(text), nil
}

// toNumber takes of texts those that are numbers in JSON.
func toNumber(arguments []byte) ([]byte, error) {
	list, err := jcs.Parse(arguments)
	if err != nil || list.Len() != 1 {
		return nil, failedError{}
	}
	switch v := &list.Items()[0].Value; v.Kind() {
	case jcs.Null:
		return []byte("0"), nil
	case jcs.Bool:
		if v.IsTrue() {
			return []byte("1"), nil
		}
		return []byte("0"), nil
	case jcs.String:
		text := v.Str()
		number, err := jcs.ParseString(text)
		if err != nil || number.Kind() != jcs.Number || strings.TrimSpace(text) != text {
			return nil, failedError{}
		}
		return []byte(text), nil
	case jcs.Number:
		return bytes.TrimSpace(arguments[1 : len(arguments)-1]), nil // all its digits
	}
	return nil, failedError{}
}

// formatInt formats a number without its fraction, to a base of 2, 8, 10 or 16.
func formatInt(arguments []byte) ([]byte, error) {
	text, ok := strings.CutPrefix(string(arguments), "[")
	number, base, two := strings.Cut(strings.TrimSuffix(text, "]"), ",")
	radix := slices.Index(bases[:], strings.TrimSpace(base))
	n, whole := regobuiltin.Truncated(strings.TrimSpace(number))
	if !ok || !two || radix < 0 || !whole {
		return nil, failedError{}
	}
	return jcs.AppendString(nil, strconv.FormatInt(n, radix)), nil
}

// bases are those of formatInt, each at its number.
var bases = [...]string{2: "2", 8: "8", 10: "10", 16: "16"}
