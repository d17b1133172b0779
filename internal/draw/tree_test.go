package draw_test

import (
	"fmt"
	"strings"
	"testing"

	"kest.example/kest"
	"kest.example/kest/internal/draw"
	"kest.example/kest/kesttest"
)

// entry is one by w0, w1, … whose hash is its number.
func entry(operation string, n int, parents ...string) *kest.Entry {
	return &kest.Entry{
		Operation: operation, ParentIDs: parents, TrustScore: 40, Classification: kest.ClassSystem,
		Labels: map[string]string{kest.LabelPrincipal: fmt.Sprint("w", n), kest.LabelSourceType: "user_input"},
	}
}

func numbers(n int) (hashes []string) {
	for i := range n {
		hashes = append(hashes, fmt.Sprint("h", i))
	}
	return hashes
}

func TestTree(t *testing.T) {
	sanitizer := entry("clean", 1, "h0")
	sanitizer.Classification, sanitizer.Taints = kest.ClassSanitizer, []string{"a", "b"}
	for name, c := range map[string]struct {
		entries []*kest.Entry
		want    string
	}{
		"nothing": {nil, ""},
		"a root":  {[]*kest.Entry{entry("ask", 0, "0")}, "#0 ask  by w0  trust 40  origin user_input\n"},
		"a line": {
			[]*kest.Entry{entry("a", 0, "0"), entry("b", 1, "h0"), entry("c", 2, "h1")}, `
#0 a  by w0  trust 40  origin user_input
└─ #1 b  by w1  trust 40
   └─ #2 c  by w2  trust 40
`,
		},
		"branches that join": {
			[]*kest.Entry{entry("a", 0, "0"), entry("b", 1, "h0"), entry("c", 2, "h0"), entry("d", 3, "h1", "h2")}, `
#0 a  by w0  trust 40  origin user_input
├─ #1 b  by w1  trust 40
│  └─ #3 d  by w3  trust 40  joins #1 #2
└─ #2 c  by w2  trust 40
`,
		},
		"two roots": {
			[]*kest.Entry{entry("a", 0, "0"), entry("b", 1, "0"), entry("c", 2, "h1")}, `
#0 a  by w0  trust 40  origin user_input
#1 b  by w1  trust 40  origin user_input
└─ #2 c  by w2  trust 40
`,
		},
		"a parent that isn't there": {[]*kest.Entry{entry("b", 0, "elsewhere")}, "#0 b  by w0  trust 40\n"},
		"a sanitizer": {
			[]*kest.Entry{entry("a", 0, "0"), sanitizer}, `
#0 a  by w0  trust 40  origin user_input
└─ #1 clean  by w1  trust 40  taints a, b  (sanitizer)
`,
		},
	} {
		if have := draw.Tree(c.entries, numbers(len(c.entries))); have != strings.TrimPrefix(c.want, "\n") {
			t.Errorf("%s:\n%s", name, have)
		}
	}
}

// Every entry is drawn once, whatever hangs on what.
func TestEveryEntryOnce(t *testing.T) {
	var entries []*kest.Entry
	for i := range 50 {
		parents := []string{"0"}
		if i%7 != 0 {
			parents = []string{fmt.Sprint("h", i/2), fmt.Sprint("h", i-1)}
		}
		entries = append(entries, entry("x", i, parents...))
	}
	have := draw.Tree(entries, numbers(50))
	if strings.Count(have, "\n") != 50 {
		t.Errorf("%d lines", strings.Count(have, "\n"))
	}
	for i := range 50 {
		if strings.Count(have, fmt.Sprintf("#%d x", i)) != 1 {
			t.Errorf("entry %d is not drawn once", i)
		}
	}
}

func TestLineage(t *testing.T) {
	l := kesttest.Lineage(t, kesttest.NewProvider("spiffe://example.org/edge"), kesttest.NewProvider("spiffe://example.org/agent"))
	have := strings.Split(draw.Lineage(l), "\n")
	if len(have) != 3 || !strings.HasPrefix(have[0], "#0 ") || !strings.Contains(have[0], "by spiffe://example.org/edge") || !strings.HasPrefix(have[1], "└─ #1 ") {
		t.Errorf("%q", have)
	}
}
