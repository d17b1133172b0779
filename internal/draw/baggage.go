package draw

import (
	"fmt"
	"strings"

	"kest.example/kest"
	"kest.example/kest/baggage"
)

// Baggage draws the passport in a baggage header, as it stands there: nothing
// of it is verified here. Each line begins with the indent.
func Baggage(header, indent string) string {
	in, err := baggage.Parse([]string{header}, baggage.ReadOptions{})
	if err != nil {
		return indent + Visible(err.Error()) + "\n"
	}
	var entries []*kest.Entry
	var hashes []string
	rest := ""
	for i, compact := range in.Passport.Entries() {
		ev, err := kest.ParseEvidence(compact, kest.SchemaLenient)
		if err != nil {
			rest = fmt.Sprintf("#%d and what follows can't be read: %s\n", i, Visible(err.Error()))
			break
		}
		entries, hashes = append(entries, ev.Entry), append(hashes, ev.Hash)
	}
	var out strings.Builder
	for line := range strings.Lines(Tree(entries, hashes) + rest) {
		out.WriteString(indent + line)
	}
	return out.String()
}
