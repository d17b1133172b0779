package fleet

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/forge"
	"kest.example/kest/internal/uuid7"
)

type random struct{}

func (random) Read(p []byte) (int, error) { return rand.Read(p) }

// Entry is a root of a principal's, signed by an identity, which may be another's.
func Entry(t testing.TB, by *kest.Identity, principal string) string {
	t.Helper()
	id, err := uuid7.New(time.Now(), random{})
	if err != nil {
		t.Fatal(err)
	}
	evidence, err := by.SignEntry(context.Background(), &kest.Entry{
		SchemaVersion: "0.3.0", Runtime: kest.Runtime{Name: "kest-go", Version: kest.Version}, EntryID: id, Operation: "ask",
		Classification: kest.ClassSystem, TrustScore: 40, ParentIDs: []string{"0"},
		Labels:      map[string]string{kest.LabelPrincipal: principal, kest.LabelSourceType: "user_input"},
		TimestampMS: time.Now().UnixMilli(),
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return evidence
}

// Baggage is a baggage header of entries.
func Baggage(entries ...string) string { return forge.Header(entries) }

func entries(header string) []string { return forge.Entries(header) }

// Root is the baggage of a fresh root of an identity's own.
func Root(t testing.TB, by *kest.Identity) string {
	t.Helper()
	return Baggage(Entry(t, by, by.WorkloadID))
}
