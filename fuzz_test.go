package kest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kest.example/kest"
)

// seedPassports are the texts of the verification vectors.
func seedPassports(f *testing.F) []string {
	f.Helper()
	paths, err := filepath.Glob("test/vectors/verify/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	list := make([]string, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var v struct {
			Passport string `json:"passport"`
		}
		if err := json.Unmarshal(text, &v); err != nil {
			f.Fatal(err)
		}
		list[i] = v.Passport
	}
	return list
}

// One signature has one string, and what the strict schema takes is what we
// would have written.
func FuzzParseEvidence(f *testing.F) {
	for _, text := range seedPassports(f) {
		if p, err := kest.ParsePassport(text); err == nil {
			for _, e := range p.Entries() {
				f.Add(e)
			}
		}
	}
	f.Fuzz(func(t *testing.T, compact string) {
		if ev, err := kest.ParseEvidence(compact, kest.SchemaStrict); err == nil {
			if string(ev.Entry.Canonical()) != string(ev.Payload()) {
				t.Fatalf("strict took %s\nwhich we write as %s", ev.Payload(), ev.Entry.Canonical())
			}
		}
		ev, err := kest.ParseEvidence(compact, kest.SchemaLenient)
		if err != nil {
			if fault := kest.AsVerificationError(err); ev != nil || fault == nil || fault.Reason == "" {
				t.Fatalf("%v, %v", ev, err)
			}
			return
		}
		if ev.Compact != compact || ev.Hash != kest.Hash(compact) {
			t.Fatalf("%q became %q", compact, ev.Compact)
		}
	})
}

// What the lenient schema takes can be written and read again, the same.
func FuzzParseEntry(f *testing.F) {
	for _, text := range seedPassports(f) {
		if p, err := kest.ParsePassport(text); err == nil {
			for _, e := range p.Entries() {
				if part := strings.Split(e, "."); len(part) == 3 {
					if payload, err := base64.RawURLEncoding.DecodeString(part[1]); err == nil {
						f.Add(payload)
					}
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if e, err := kest.ParseEntry(payload, kest.SchemaStrict); err == nil && !bytes.Equal(e.Canonical(), payload) {
			t.Fatalf("strict took %s\nwhich we write as %s", payload, e.Canonical())
		}
		e, err := kest.ParseEntry(payload, kest.SchemaLenient)
		if err != nil {
			if e != nil {
				t.Fatal("half an entry came with an error")
			}
			return
		}
		text := e.Canonical()
		again, err := kest.ParseEntry(text, kest.SchemaLenient)
		if err != nil {
			t.Fatalf("%s was read and written as %s: %v", payload, text, err)
		}
		if !bytes.Equal(again.Canonical(), text) {
			t.Fatalf("%s came back as %s", text, again.Canonical())
		}
		if canonical, err := kest.Canonicalize(text); err != nil || !bytes.Equal(canonical, text) {
			t.Fatalf("%s is not canonical: %v", text, err)
		}
	})
}

// What parses comes back, and its wire form is a fixed point.
func FuzzParsePassport(f *testing.F) {
	for _, text := range seedPassports(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := kest.ParsePassport(text)
		if err != nil {
			if p.Len() != 0 {
				t.Fatal("half a passport came with an error")
			}
			return
		}
		wire := p.String()
		again, err := kest.ParsePassport(wire)
		if err != nil || again.String() != wire || again.Len() != p.Len() {
			t.Fatalf("%q is written as %q, which is read as %q: %v", text, wire, again.String(), err)
		}
		if !slices.Equal(again.Entries(), p.Entries()) {
			t.Fatalf("%q changed its entries", text)
		}
	})
}
