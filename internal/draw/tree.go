// Package draw shows a lineage as text, for people.
package draw

import (
	"fmt"
	"strings"

	"kest.example/kest"
)

// Tree draws entries in passport order: each below its first parent, with its
// trust, taints and signer; further parents are named by number.
func Tree(entries []*kest.Entry, hashes []string) string {
	t := tree{entries: entries, at: make(map[string]int, len(hashes))}
	for i, h := range hashes {
		t.at[h] = i
	}
	t.children = make([][]int, len(entries))
	var roots []int
	for i, e := range entries {
		parent, ok := -1, false
		if len(e.ParentIDs) > 0 {
			parent, ok = t.at[e.ParentIDs[0]]
		}
		if ok && parent < i { // what isn't verified may name itself, or a later one
			t.children[parent] = append(t.children[parent], i)
		} else {
			roots = append(roots, i)
		}
	}
	for _, i := range roots {
		t.node(i, "", "")
	}
	return t.out.String()
}

// Lineage draws a verified lineage.
func Lineage(l *kest.Lineage) string {
	var hashes []string
	for _, e := range l.Passport().Entries() {
		hashes = append(hashes, kest.Hash(e))
	}
	return Tree(l.Entries(), hashes)
}

type tree struct {
	entries  []*kest.Entry
	at       map[string]int
	children [][]int
	out      strings.Builder
}

func (t *tree) node(i int, first, rest string) {
	e := t.entries[i]
	fmt.Fprintf(&t.out, "%s#%d %s  by %s  trust %d%s%s\n", first, i, Visible(e.Operation), Visible(e.Principal()), e.TrustScore, taints(e), t.more(e))
	for n, child := range t.children[i] {
		if n == len(t.children[i])-1 {
			t.node(child, rest+"└─ ", rest+"   ")
		} else {
			t.node(child, rest+"├─ ", rest+"│  ")
		}
	}
}

func taints(e *kest.Entry) string {
	text := ""
	if len(e.Taints) > 0 {
		text = "  taints " + Visible(strings.Join(e.Taints, ", "))
	}
	if e.IsRoot() {
		text += "  origin " + Visible(e.Labels[kest.LabelSourceType])
	}
	if e.Classification != kest.ClassSystem {
		text += "  (" + Visible(e.Classification) + ")"
	}
	return text
}

func (t *tree) more(e *kest.Entry) string {
	if len(e.ParentIDs) < 2 {
		return ""
	}
	text := "  joins"
	for _, id := range e.ParentIDs {
		if at, ok := t.at[id]; ok {
			text += fmt.Sprintf(" #%d", at)
		} else {
			text += " (unknown)"
		}
	}
	return text
}
