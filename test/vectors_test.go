// Package test checks the library against the data files beside it.
package test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/plugin"
)

// vector is one file of vectors/verify.
type vector struct {
	Name     string `json:"name"`
	Contract string `json:"contract"`
	Expect   struct {
		Verified   bool        `json:"verified"`
		Reason     kest.Reason `json:"reason"`
		Index      int         `json:"index"`
		Entries    int         `json:"entries"`
		TrustScore int         `json:"trust_score"`
		Taints     []string    `json:"taints"`
		Faults     []fault     `json:"faults"`
	} `json:"expect"`
	Options struct {
		Semantics   string     `json:"semantics"`
		Schema      string     `json:"schema"`
		StrictChain bool       `json:"strict_chain"`
		Now         *time.Time `json:"now"`
	} `json:"options"`
	Authority json.RawMessage `json:"authority"`
	Keys      json.RawMessage `json:"keys"`
	Passport  string          `json:"passport"`
}

type fault struct {
	Index  int         `json:"index"`
	Reason kest.Reason `json:"reason"`
}

func loadVectors(t *testing.T) []vector {
	t.Helper()
	paths, err := filepath.Glob("vectors/verify/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors in vectors/verify: %v; run go run ./internal/tools/vectors", err)
	}
	list := make([]vector, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.DisallowUnknownFields()
		raw := struct {
			*vector
			Note string `json:"note"`
		}{vector: &list[i]}
		if err := d.Decode(&raw); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if list[i].Name != strings.TrimSuffix(filepath.Base(path), ".json") {
			t.Fatalf("%s is named %q inside", path, list[i].Name)
		}
	}
	return list
}

// verifier is made as the vector says, beside the options given.
func (v *vector) verifier(t *testing.T, options ...kest.VerifierOption) *kest.Verifier {
	t.Helper()
	keys, err := kest.ParseStaticKeys(v.Keys)
	if err != nil {
		t.Fatal(err)
	}
	var authority kest.Authority
	if string(v.Authority) == "null" {
		options = append(options, kest.InsecureTrustAllClaims())
	} else if authority, err = plugin.ParseAuthority(v.Authority); err != nil {
		t.Fatal(err)
	}
	semantics, ok := map[string]kest.Semantics{
		"enforce": kest.SemanticsEnforce, "exact": kest.SemanticsExact, "report": kest.SemanticsReport,
	}[v.Options.Semantics]
	schema, known := map[string]kest.Schema{"lenient": kest.SchemaLenient, "strict": kest.SchemaStrict}[v.Options.Schema]
	if !ok || !known {
		t.Fatalf("options %+v", v.Options)
	}
	options = append(options, kest.WithSemantics(semantics), kest.WithSchema(schema))
	if v.Options.StrictChain {
		options = append(options, kest.WithStrictChain())
	}
	if v.Options.Now != nil {
		options = append(options, kest.WithClock(func() time.Time { return *v.Options.Now }))
	}
	verifier, err := kest.NewVerifier(keys, authority, options...)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// verify does what kest verify does with a text.
func verify(verifier *kest.Verifier, text string) (lineage *kest.Lineage, entries int, err error) {
	p, err := kest.ParsePassport(text)
	if err != nil {
		return nil, 0, err
	}
	lineage, err = verifier.Verify(context.Background(), p)
	return lineage, p.Len(), err
}

// As kest verify and an auditor ask: the lowest faulty entry, in every detail.
func TestVectorsAsAnAuditor(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			verifier := v.verifier(t, kest.WithLowestFault(), kest.ForAudit())
			lineage, entries, err := verify(verifier, v.Passport)
			if entries != v.Expect.Entries {
				t.Errorf("%d entries, want %d", entries, v.Expect.Entries)
			}
			if !v.Expect.Verified {
				v.checkFault(t, lineage, err)
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			v.checkLineage(t, lineage)
			again, _, err := verify(verifier, lineage.Passport().String())
			if err != nil || again.Passport().String() != lineage.Passport().String() {
				t.Errorf("from the cache of signatures: %v", err)
			}
		})
	}
}

func (v *vector) checkFault(t *testing.T, lineage *kest.Lineage, err error) {
	t.Helper()
	found := kest.AsVerificationError(err)
	if found == nil || lineage != nil {
		t.Fatalf("verified, or no typed error: %v", err)
	}
	if found.Reason != v.Expect.Reason || found.Index != v.Expect.Index {
		t.Errorf("%s at %d (%v), want %s at %d", found.Reason, found.Index, err, v.Expect.Reason, v.Expect.Index)
	}
	if found.Error() == "" || found.Index < 0 && found.EntryID != "" {
		t.Errorf("the error says %q of entry %q", found.Error(), found.EntryID)
	}
}

func (v *vector) checkLineage(t *testing.T, l *kest.Lineage) {
	t.Helper()
	if l.Len() != v.Expect.Entries || l.Trust() != v.Expect.TrustScore || !slices.Equal(l.Taints(), v.Expect.Taints) {
		t.Errorf("%d entries, trust %d, taints %v; want %+v", l.Len(), l.Trust(), l.Taints(), v.Expect)
	}
	var faults []fault
	for _, f := range l.Faults() {
		faults = append(faults, fault{f.Index, f.Reason})
	}
	if !slices.Equal(faults, v.Expect.Faults) {
		t.Errorf("faults %v, want %v", faults, v.Expect.Faults)
	}
}

// As a filter asks: the same verdict, at the least cost, whatever entry it names.
func TestVectorsAsAFilter(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			lineage, _, err := verify(v.verifier(t, kest.WithSignatureCache(0)), v.Passport)
			switch {
			case v.Expect.Verified && err != nil:
				t.Errorf("refused: %v", err)
			case v.Expect.Verified:
				v.checkLineage(t, lineage)
			case kest.AsVerificationError(err) == nil:
				t.Errorf("verified, or no typed error: %v", err)
			}
		})
	}
}

// Every reason that a static configuration can give has a vector.
func TestVectorsCoverTheReasons(t *testing.T) {
	seen := make(map[kest.Reason]int)
	for _, v := range loadVectors(t) {
		seen[v.Expect.Reason]++
		if v.Contract == "" || v.Expect.Verified != (v.Expect.Reason == "") {
			t.Errorf("%s: contract %q, expectation %+v", v.Name, v.Contract, v.Expect)
		}
	}
	for _, reason := range []kest.Reason{
		kest.ReasonMalformed, kest.ReasonAlgorithm, kest.ReasonNoKey, kest.ReasonSignature, kest.ReasonParents,
		kest.ReasonDuplicate, kest.ReasonSchema, kest.ReasonTrust, kest.ReasonTaints, kest.ReasonAuthority,
	} {
		if seen[reason] == 0 {
			t.Errorf("no vector is refused for %s", reason)
		}
	}
}

// What a verified graph looks like to policies and to the next hop.
func TestShapes(t *testing.T) {
	want := map[string]struct{ depth, leaves, roots int }{
		"root": {1, 1, 1}, "chain": {4, 1, 1}, "fan-out": {2, 3, 1}, "fan-in": {2, 1, 3}, "diamond": {3, 1, 1}, "skip-link": {3, 1, 1},
		"skip-link-backwards": {3, 1, 1}, "root-in-the-middle": {3, 1, 2}, "several-roots": {1, 3, 3}, "two-chains": {2, 2, 2},
		"parents-in-any-order": {2, 1, 2}, "diamonds-in-a-row": {5, 1, 1},
	}
	for _, v := range loadVectors(t) {
		name, ok := strings.CutPrefix(v.Name, "shape-")
		if !ok {
			continue
		}
		l, _, err := verify(v.verifier(t), v.Passport)
		if err != nil {
			t.Fatal(err)
		}
		roots := 0
		for _, e := range l.Entries() {
			if e.IsRoot() {
				roots++
			}
		}
		if w := want[name]; l.Summary().Depth != w.depth || len(l.Leaves()) != w.leaves || len(l.Tips()) != w.leaves || roots != w.roots {
			t.Errorf("%s: depth %d, %d leaves, %d roots; want %+v", name, l.Summary().Depth, len(l.Leaves()), roots, w)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("no vector shape-%s", name)
	}
}
