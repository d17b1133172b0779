package kesttest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
)

// TestProvider checks what Kest relies on in a kest.Provider that is ready: it
// has an id, a key and a signer, its signatures verify under its own key and the
// algorithm of that key, the signer leaves its input alone, and all of that
// holds under concurrent use.
func TestProvider(t testing.TB, p kest.Provider) {
	t.Helper()
	id, err := p.Identity(context.Background())
	if err != nil {
		t.Fatalf("Identity: %v", err)
	}
	if !checkIdentity(t, id) {
		return
	}
	checkSignatures(t, id)
	if signed := sign(t, kest.EmptyLineage(), id, hop("kesttest", nil)); !verifies(t, id, signed.Lineage.Passport()) {
		return
	}
	checkConcurrentSigning(t, p, id.WorkloadID)
}

// TestProviderNotReady checks a kest.Provider that can't have an identity yet:
// its error says so, so that a hook denies with 503, and it doesn't hang once
// its context has ended.
func TestProviderNotReady(t testing.TB, p kest.Provider) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	type result struct {
		id  *kest.Identity
		err error
	}
	done := make(chan result, 1)
	go func() {
		id, err := p.Identity(ctx)
		done <- result{id, err}
	}()
	select {
	case r := <-done:
		if !errors.Is(r.err, kest.ErrUnavailable) {
			t.Errorf("Identity: the error is %v, which doesn't wrap kest.ErrUnavailable", r.err)
		}
		if r.id != nil {
			t.Errorf("Identity returned an identity beside an error")
		}
	case <-time.After(10 * time.Second):
		t.Errorf("Identity does not return 10 s after its context ended")
	}
}

func checkIdentity(t testing.TB, id *kest.Identity) bool {
	t.Helper()
	switch {
	case id == nil:
		t.Errorf("Identity returned nil and no error")
	case id.WorkloadID == "":
		t.Errorf("the identity has no workload id")
	case id.Key.IsZero():
		t.Errorf("the identity has no key")
	case id.Signer == nil:
		t.Errorf("the identity has no signer")
	case !id.NotAfter.IsZero() && !time.Now().Before(id.NotAfter):
		t.Errorf("the identity has expired at %v", id.NotAfter)
	case id.InlineJWK && id.Binding == "":
		t.Errorf("the identity wants its key inline without a binding beside it")
	case !slices.Contains([]string{"EdDSA", "ES256", "RS256"}, id.Key.Algorithm()):
		t.Errorf("the key's algorithm is %s", id.Key.Algorithm())
	default:
		return true
	}
	return false
}

// checkSignatures looks at the raw signatures: R||S for ES256, never DER.
func checkSignatures(t testing.TB, id *kest.Identity) {
	t.Helper()
	input := []byte("eyJhbGciOiJub25lIn0.kesttest")
	before := bytes.Clone(input)
	first, err := id.Signer.Sign(context.Background(), input)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	if !bytes.Equal(input, before) {
		t.Errorf("Sign changed its input")
	}
	if n := len(first); id.Key.Algorithm() != "RS256" && n != 64 || n == 0 {
		t.Errorf("a signature of %s has %d bytes", id.Key.Algorithm(), n)
	}
	second, err := id.Signer.Sign(context.Background(), append(input, '2'))
	if err != nil {
		t.Fatalf("Sign a second time: %v", err)
	}
	if bytes.Equal(first, second) {
		t.Errorf("Sign gives the same signature for different inputs")
	}
}

// verifies holds a passport against the identity's own key.
func verifies(t testing.TB, id *kest.Identity, p kest.Passport) bool {
	t.Helper()
	v, err := kest.NewVerifier(kest.StaticKeys{id.WorkloadID: {id.Key}}, authorityOf(id))
	if err != nil {
		t.Fatalf("kesttest: %v", err)
	}
	if _, err := v.Verify(context.Background(), p); err != nil {
		t.Errorf("an entry that was signed does not verify under the identity's own key: %v", err)
		return false
	}
	return true
}

func authorityOf(id *kest.Identity) kest.Authority {
	return kest.Authority{{Principal: kest.Pattern(id.WorkloadID), Origins: []string{"user_input"}, MaxRootTrust: 40}}
}

func checkConcurrentSigning(t testing.TB, p kest.Provider, workload string) {
	t.Helper()
	const callers = 16
	failures := make([]string, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() { failures[i] = signOnce(p, workload, i) })
	}
	wait.Wait()
	for _, f := range failures {
		if f != "" {
			t.Errorf("under concurrent use: %s", f)
			return
		}
	}
}

// signOnce signs and verifies an entry of its own, and says what went wrong.
func signOnce(p kest.Provider, workload string, i int) string {
	ctx := context.Background()
	id, err := p.Identity(ctx)
	if err != nil {
		return "Identity: " + err.Error()
	}
	if id.WorkloadID != workload {
		return "the workload id changed from " + workload + " to " + id.WorkloadID
	}
	h := hop("kesttest."+strconv.Itoa(i), nil)
	if err := h.Validate(kest.Origins{}); err != nil {
		return err.Error()
	}
	pending, err := workshop().Prepare(kest.EmptyLineage(), &h, kest.Call{Now: time.Now()}, id)
	if err != nil {
		return err.Error()
	}
	signed, err := workshop().Finish(ctx, pending, kest.AllowAll())
	if err != nil {
		return "signing: " + err.Error()
	}
	v, err := kest.NewVerifier(kest.StaticKeys{id.WorkloadID: {id.Key}}, authorityOf(id))
	if err != nil {
		return err.Error()
	}
	if _, err := v.Verify(ctx, signed.Lineage.Passport()); err != nil {
		return "the entry does not verify: " + err.Error()
	}
	return ""
}
