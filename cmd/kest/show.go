package main

import (
	"strconv"
	"strings"
	"unicode"

	"kest.example/kest"
	"kest.example/kest/internal/draw"
)

// visible escapes what would not show as itself. Entries are written by
// strangers: no text of theirs may move the cursor or look like another line.
func visible(text string) string {
	if strings.IndexFunc(text, hidden) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if hidden(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

// drawTree draws entries, verified or not, so that a terminal can show them.
func drawTree(entries []*kest.Entry, hashes []string) string {
	shown := make([]*kest.Entry, len(entries))
	for i, e := range entries {
		clean := *e
		clean.Operation, clean.Classification = visible(e.Operation), visible(e.Classification)
		clean.Taints = make([]string, len(e.Taints))
		for n, taint := range e.Taints {
			clean.Taints[n] = visible(taint)
		}
		clean.Labels = make(map[string]string, len(e.Labels))
		for name, value := range e.Labels {
			clean.Labels[name] = visible(value)
		}
		if len(e.ParentIDs) == 0 { // which no verified entry has
			clean.ParentIDs = []string{""}
		}
		shown[i] = &clean
	}
	return draw.Tree(shown, hashes)
}

// drawLineage draws a verified lineage.
func drawLineage(l *kest.Lineage) string {
	var hashes []string
	for _, compact := range l.Passport().Entries() {
		hashes = append(hashes, kest.Hash(compact))
	}
	return drawTree(l.Entries(), hashes)
}
