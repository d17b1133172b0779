package kesttest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"kest.example/kest"
)

// hop is the operation that every entry of this package describes.
func hop(operation string, taints []string) kest.Hop {
	return kest.Hop{Operation: operation, Policies: []string{"kesttest"}, RootOrigin: "user_input", AddedTaints: taints}
}

// Lineage returns a lineage of one entry per provider: the first is a root with
// origin user_input, each of the others a child of the one before.
func Lineage(t testing.TB, providers ...*Provider) *kest.Lineage {
	t.Helper()
	l := kest.EmptyLineage()
	for _, p := range providers {
		l = sign(t, l, p.identity, hop("kesttest."+p.Workload(), nil)).Lineage
	}
	return l
}

// Context returns what an engine is asked at a hop of the workload
// spiffe://example.org/kesttest that a user called through
// spiffe://example.org/edge: trust 40 and the taints given.
func Context(t testing.TB, operation string, taints ...string) *kest.Context {
	t.Helper()
	h := hop(operation, taints)
	pending := prepare(t, Lineage(t, NewProvider("spiffe://example.org/edge")), NewProvider("spiffe://example.org/kesttest").identity, &h)
	pending.Context.Environment.PolicyTier = kest.TierFunction
	pending.Context.Environment.PolicyNames = []string{"kesttest"}
	return pending.Context
}

func workshop() *kest.Workshop { return &kest.Workshop{Random: rand.Reader} }

func prepare(t testing.TB, l *kest.Lineage, id *kest.Identity, h *kest.Hop) *kest.Pending {
	t.Helper()
	if err := h.Validate(kest.Origins{}); err != nil {
		t.Fatalf("kesttest: %v", err)
	}
	pending, err := workshop().Prepare(l, h, kest.Call{Now: time.Now(), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"}, id)
	if err != nil {
		t.Fatalf("an entry of %s can't be made: %v", id.WorkloadID, err)
	}
	return pending
}

func sign(t testing.TB, l *kest.Lineage, id *kest.Identity, h kest.Hop) *kest.Signed {
	t.Helper()
	signed, err := workshop().Finish(context.Background(), prepare(t, l, id, &h), kest.AllowAll())
	if err != nil {
		t.Fatalf("an entry of %s can't be signed: %v", id.WorkloadID, err)
	}
	return signed
}
