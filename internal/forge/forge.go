// Package forge tampers with passports, for demonstrations and tests.
package forge

import (
	"net/url"
	"regexp"
	"strings"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/jws"
)

var score = regexp.MustCompile(`"trust_score":\d+`)

// Trust returns the entries with the i-th claiming trust 100, under the
// signature that it has. Entries that aren't there or can't be read stay.
func Trust(entries []string, i int) []string {
	out := append([]string{}, entries...)
	if i >= len(out) {
		return out
	}
	parts := strings.Split(out[i], ".")
	if len(parts) != 3 {
		return out
	}
	payload, err := jws.Decode(parts[1])
	if err != nil {
		return out
	}
	parts[1] = jws.Encode(score.ReplaceAll(payload, []byte(`"trust_score":100`)))
	out[i] = strings.Join(parts, ".")
	return out
}

// Entries returns what a baggage header carries, unverified; nil where it can't be read.
func Entries(header string) []string {
	in, err := baggage.Parse([]string{header}, baggage.ReadOptions{})
	if err != nil {
		return nil
	}
	return in.Passport.Entries()
}

// Header returns a baggage header of the entries without a chain tip.
func Header(entries []string) string {
	return baggage.Passport + "=" + url.PathEscape(kest.NewPassport(entries...).String())
}
