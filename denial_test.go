package kest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kest.example/kest"
)

// denied runs an operation of the edge that a policy refuses.
func (f *fleet) denied(t *testing.T, reason string) *kest.DenialError {
	t.Helper()
	no := kest.EngineFunc(func(context.Context, string, *kest.Context) (kest.Decision, error) {
		return kest.Decision{Reason: reason}, nil
	})
	o := f.operation(f.hook(edge, no), kest.Hop{Operation: "refund", RootOrigin: "user_input", AddedTaints: []string{"a", `","entry_id":"`}})
	var denial *kest.DenialError
	if err := o.Do(context.Background(), func(context.Context) error { return nil }); !errors.As(err, &denial) || denial.Record == "" {
		t.Fatalf("%v, %+v", err, denial)
	}
	return denial
}

func TestDenialRecordVerifies(t *testing.T) {
	f := newFleet(t)
	denial := f.denied(t, "too much")
	v := f.verifier(nil)
	d, err := v.VerifyDenial(context.Background(), denial.Record)
	if err != nil {
		t.Fatal(err)
	}
	if d.Entry.EntryID != denial.DecisionID || d.Entry.Principal() != edge || d.Entry.Operation != "refund" || d.Entry.TrustScore != 40 ||
		d.Policy != "any" || d.Tier != kest.TierFunction || d.Reason != "too much" || len(d.Entry.Taints) != 2 {
		t.Errorf("%+v, %+v", d, d.Entry)
	}
	if _, err := v.Verify(context.Background(), kest.EmptyLineage().Passport().Append(denial.Record)); reasonOf(err) != kest.ReasonMalformed {
		t.Errorf("a passport takes a denial for an entry: %v", err)
	}
	entry := f.chain(1).Passport().Entries()[0]
	if _, err := v.VerifyDenial(context.Background(), entry); reasonOf(err) != kest.ReasonMalformed {
		t.Errorf("an entry passes for a denial: %v", err)
	}
}

func TestDenialRecordThatIsWrong(t *testing.T) {
	f := newFleet(t)
	record := f.denied(t, strings.Repeat("é", 5000)).Record
	if len(record) > 6000 {
		t.Errorf("a long reason makes %d bytes", len(record))
	}
	parts := strings.Split(record, ".")
	v := f.verifier(nil)
	for name, c := range map[string]struct {
		text   string
		reason kest.Reason
	}{
		"other signature": {parts[0] + "." + parts[1] + "." + strings.Split(f.denied(t, "x").Record, ".")[2], kest.ReasonSignature},
		"no JWS":          {"x", kest.ReasonMalformed},
		"too long":        {strings.Repeat("x", 1<<20), kest.ReasonLimit},
	} {
		if _, err := v.VerifyDenial(context.Background(), c.text); reasonOf(err) != c.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	stranger, err := kest.NewVerifier(kest.StaticKeys{}, nil, kest.InsecureTrustAllClaims())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.VerifyDenial(context.Background(), record); reasonOf(err) != kest.ReasonNoKey {
		t.Errorf("a denial of an unknown workload: %v", err)
	}
}
