package kest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
)

const (
	edge   = "spiffe://t/edge"
	worker = "spiffe://t/worker"
)

// chain is a lineage of n entries, made by two workloads in turn.
func (f *fleet) chain(n int, options ...kest.CallOption) *kest.Lineage {
	f.t.Helper()
	root := f.operation(f.hook(edge, kest.AllowAll()), kest.Hop{Operation: "in", RootOrigin: "user_input"})
	hop := f.operation(f.hook(worker, kest.AllowAll()), kest.Hop{Operation: "step"})
	l := f.must(context.Background(), root, options...)
	for l.Len() < n {
		l = f.must(kest.WithLineage(context.Background(), l, kest.Actor{}), hop)
	}
	return l
}

// raw signs any payload as a workload whose seed the fleet knows.
func (f *fleet) raw(workload, payload string) string {
	f.t.Helper()
	id, err := kest.SeedIdentity(workload, seed(workload[len(workload)-1]))
	if err != nil {
		f.t.Fatal(err)
	}
	f.keys[workload] = []kest.PublicKey{id.Key}
	enc := base64.RawURLEncoding.EncodeToString
	input := enc([]byte(`{"alg":"EdDSA","kid":"`+id.Key.Thumbprint()+`","typ":"JWS"}`)) + "." + enc([]byte(payload))
	signature, err := id.Signer.Sign(context.Background(), []byte(input))
	if err != nil {
		f.t.Fatal(err)
	}
	return input + "." + enc(signature)
}

// bareRoot is a root with the members alone that every entry needs, and more.
func bareRoot(workload, more string) string {
	return fmt.Sprintf(`{"schema_version":"0.3.0","entry_id":"01a21293-b600-7000-8000-000000000001","operation":"in","trust_score":10,
		"parent_ids":["0"],"taints":[],"added_taints":[],"removed_taints":[],"labels":{"principal":%q},"policy_context":{"deviations":[]}%s}`, workload, more)
}

func reasonOf(err error) kest.Reason {
	if fault := kest.AsVerificationError(err); fault != nil {
		return fault.Reason
	}
	return ""
}

func TestVerifierLimits(t *testing.T) { // CONTRACT 3.1
	f := newFleet(t)
	long := f.chain(257)
	entries := long.Passport().Entries()
	wire := len(kest.NewPassport(entries[:3]...).String())
	with := func(change func(*kest.Limits)) kest.VerifierOption {
		l := kest.DefaultLimits()
		change(&l)
		return kest.WithLimits(l)
	}
	big := f.chain(1, kest.OnResource(kest.Resource{ID: strings.Repeat("x", 50<<10)})).Passport()
	if n := len(big.Entries()[0]); n <= 64<<10 {
		t.Fatalf("the big entry has %d bytes", n)
	}
	for name, c := range map[string]struct {
		passport kest.Passport
		option   kest.VerifierOption
		index    int
		good     bool
	}{
		"256 entries":         {kest.NewPassport(entries[:256]...), with(func(*kest.Limits) {}), 0, true},
		"257 entries":         {long.Passport(), with(func(*kest.Limits) {}), -1, false},
		"an entry of 67 KiB":  {big, with(func(*kest.Limits) {}), 0, false},
		"a larger limit":      {big, with(func(l *kest.Limits) { l.EntryBytes = 1 << 20 }), 0, true},
		"bytes reached":       {kest.NewPassport(entries[:3]...), with(func(l *kest.Limits) { l.Bytes = wire }), 0, true},
		"one byte too many":   {kest.NewPassport(entries[:3]...), with(func(l *kest.Limits) { l.Bytes = wire - 1 }), -1, false},
		"second entry's size": {kest.NewPassport(entries[:3]...), with(func(l *kest.Limits) { l.EntryBytes = len(entries[0]) }), 1, false},
	} {
		_, err := f.verifier(nil, c.option).Verify(context.Background(), c.passport)
		fault := kest.AsVerificationError(err)
		switch {
		case c.good && err != nil:
			t.Errorf("%s: %v", name, err)
		case !c.good && (fault == nil || fault.Reason != kest.ReasonLimit || fault.Index != c.index):
			t.Errorf("%s: error %v, want limit at %d", name, err, c.index)
		}
	}
}

// slowKeys need work for everybody.
type slowKeys struct {
	kest.StaticKeys
	asked int
}

func (s *slowKeys) Known(kest.KeyRequest) bool { return false }

func (s *slowKeys) Keys(ctx context.Context, r kest.KeyRequest) ([]kest.Key, error) {
	s.asked++
	return s.StaticKeys.Keys(ctx, r)
}

func TestVerifierBoundsUnknownKeys(t *testing.T) { // at most 8 keys not yet known
	f := newFleet(t)
	var l *kest.Lineage
	for i := range 9 {
		o := f.operation(f.hook("spiffe://t/w"+string(rune('a'+i)), kest.AllowAll()), kest.Hop{Operation: "x", RootOrigin: "llm"})
		ctx := context.Background()
		if l != nil {
			ctx = kest.WithLineage(ctx, l, kest.Actor{})
		}
		l = f.must(ctx, o)
	}
	for n, want := range map[int]kest.Reason{8: "", 9: kest.ReasonLimit} {
		keys := &slowKeys{StaticKeys: f.keys}
		v, err := kest.NewVerifier(keys, nil, kest.InsecureTrustAllClaims())
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(context.Background(), kest.NewPassport(l.Passport().Entries()[:n]...))
		if got := reasonOf(err); got != want {
			t.Errorf("%d keys: error %v, want %q", n, err, want)
		}
		if keys.asked > 8 {
			t.Errorf("%d keys: the source was asked %d times", n, keys.asked)
		}
	}
}

// aged gives every key one validity.
type aged struct {
	kest.StaticKeys
	key kest.Key
}

func (a *aged) Keys(ctx context.Context, r kest.KeyRequest) ([]kest.Key, error) {
	list, err := a.StaticKeys.Keys(ctx, r)
	for i := range list {
		k := a.key
		k.Public = list[i].Public
		list[i] = k
	}
	return list, err
}

func TestVerifierTime(t *testing.T) { // CONTRACT 3.8
	f := newFleet(t)
	made := f.now // when the entries were made
	p := f.chain(2).Passport()
	for _, c := range []struct {
		name    string
		key     kest.Key
		after   time.Duration // how long after the entry it is verified
		options []kest.VerifierOption
		good    bool
	}{
		{name: "no validity", good: true},
		{name: "not before, within the skew", key: kest.Key{NotBefore: made.Add(30 * time.Second)}, good: true},
		{name: "not before, beyond the skew", key: kest.Key{NotBefore: made.Add(31 * time.Second)}, after: time.Hour},
		{name: "not after, within the skew", key: kest.Key{NotAfter: made.Add(-30 * time.Second)}, good: true},
		{name: "not after, beyond the skew", key: kest.Key{NotAfter: made.Add(-31 * time.Second)}},
		{name: "expired since, within the grace", key: kest.Key{NotAfter: made.Add(time.Minute)}, after: 6 * time.Minute, good: true},
		{name: "expired since, beyond the grace", key: kest.Key{NotAfter: made.Add(time.Minute)}, after: 6*time.Minute + time.Second},
		{
			name: "a longer grace", key: kest.Key{NotAfter: made.Add(time.Minute)}, after: time.Hour,
			options: []kest.VerifierOption{kest.WithGrace(time.Hour)}, good: true,
		},
		{
			name: "no grace", key: kest.Key{NotAfter: made.Add(time.Minute)}, after: 2 * time.Minute,
			options: []kest.VerifierOption{kest.WithGrace(0)},
		},
		{
			name: "expired since, for an audit", key: kest.Key{NotAfter: made.Add(time.Minute)}, after: 10000 * time.Hour,
			options: []kest.VerifierOption{kest.ForAudit()}, good: true,
		},
		{name: "expired then, for an audit", key: kest.Key{NotAfter: made.Add(-time.Minute)}, options: []kest.VerifierOption{kest.ForAudit()}},
		{name: "revoked", key: kest.Key{Revoked: true}},
		{name: "revoked, for an audit", key: kest.Key{Revoked: true}, options: []kest.VerifierOption{kest.ForAudit()}, good: true},
	} {
		options := append(c.options, kest.InsecureTrustAllClaims(), kest.WithClock(func() time.Time { return made.Add(c.after) }))
		v, err := kest.NewVerifier(&aged{f.keys, c.key}, nil, options...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(context.Background(), p)
		if want := map[bool]kest.Reason{true: "", false: kest.ReasonExpired}[c.good]; reasonOf(err) != want || c.good && err != nil {
			t.Errorf("%s: error %v, want %q", c.name, err, want)
		}
	}
}

// An entry without timestamp_ms is judged as of now (CONTRACT 1).
func TestVerifierTimeOfAnEntryWithoutTime(t *testing.T) {
	f := newFleet(t)
	without, with := f.raw(edge, bareRoot(edge, "")), f.raw(edge, bareRoot(edge, fmt.Sprintf(`,"timestamp_ms":%d`, f.now.UnixMilli())))
	for _, c := range []struct {
		evidence string
		after    time.Duration
		good     bool
	}{{without, 0, true}, {with, time.Hour, true}, {without, time.Hour, false}} {
		v, err := kest.NewVerifier(&aged{f.keys, kest.Key{NotAfter: f.now.Add(time.Minute)}}, nil, kest.InsecureTrustAllClaims(),
			kest.WithGrace(2*time.Hour), kest.WithClock(func() time.Time { return f.now.Add(c.after) }))
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(context.Background(), kest.NewPassport(c.evidence))
		if (err == nil) != c.good || !c.good && reasonOf(err) != kest.ReasonExpired {
			t.Errorf("%s after %v: %v", c.evidence[:8], c.after, err)
		}
	}
}

// The cache holds only "this entry under this key: good"; the rest is asked each time.
func TestRevocationBeatsTheSignatureCache(t *testing.T) {
	f := newFleet(t)
	p := f.chain(3).Passport()
	keys := &aged{StaticKeys: f.keys}
	v, err := kest.NewVerifier(keys, nil, kest.InsecureTrustAllClaims(), kest.WithClock(func() time.Time { return f.now }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	keys.key.Revoked = true
	if _, err := v.Verify(context.Background(), p); reasonOf(err) != kest.ReasonExpired {
		t.Errorf("after the revocation: %v", err)
	}
	keys.key.Revoked = false
	delete(f.keys, worker)
	if _, err := v.Verify(context.Background(), p); reasonOf(err) != kest.ReasonNoKey {
		t.Errorf("after the key went: %v", err)
	}
}

// counting counts the signatures that are checked in fact.
type counting struct {
	checked int
	err     error
}

func (c *counting) VerifyAll(checks []kest.SignatureCheck) (bool, error) {
	c.checked += len(checks)
	return c.err == nil, c.err
}

func TestSignatureCache(t *testing.T) {
	f := newFleet(t)
	p := f.chain(10).Passport()
	for size, want := range map[int]int{4096: 10, 0: 30} {
		signatures := &counting{}
		v := f.verifier(nil, kest.WithSignatureVerifier(signatures), kest.WithSignatureCache(size))
		for range 3 {
			if _, err := v.Verify(context.Background(), p); err != nil {
				t.Fatal(err)
			}
		}
		if signatures.checked != want {
			t.Errorf("a cache of %d: %d signatures checked, want %d", size, signatures.checked, want)
		}
	}
}

func TestSignatureVerifierThatCannotTell(t *testing.T) {
	f := newFleet(t)
	p := f.chain(3).Passport()
	for _, options := range [][]kest.VerifierOption{nil, {kest.WithLowestFault()}} {
		v := f.verifier(nil, append(options, kest.WithSignatureVerifier(&counting{err: io.ErrUnexpectedEOF}))...)
		l, err := v.Verify(context.Background(), p)
		if l != nil || !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("lineage %v, error %v", l, err)
		}
	}
}

// A forged passport costs little: one signature, whatever its length.
func TestForgedPassportCostsOneSignature(t *testing.T) {
	f := newFleet(t)
	p := f.chain(200).Passport()
	refusing := &refusingAll{}
	if _, err := f.verifier(nil, kest.WithSignatureVerifier(refusing)).Verify(context.Background(), p); reasonOf(err) != kest.ReasonSignature {
		t.Fatal(err)
	}
	if refusing.checked != 1 {
		t.Errorf("%d signatures were checked", refusing.checked)
	}
}

type refusingAll struct{ checked int }

func (r *refusingAll) VerifyAll(checks []kest.SignatureCheck) (bool, error) {
	r.checked += len(checks)
	return false, nil
}

func TestVerifierPeer(t *testing.T) { // CONTRACT 3.9
	f := newFleet(t)
	p := f.chain(2).Passport() // its leaf is the worker's
	authority := kest.Authority{
		{Principal: edge, Origins: []string{"user_input"}, MaxRootTrust: 40}, {Principal: "spiffe://t/known", MaxOverride: 1},
	}
	for _, c := range []struct {
		peer string
		good bool
	}{
		{"", true},                        // no mTLS
		{worker, true},                    // the leaf's signer
		{edge, false},                     // a signer that isn't the leaf's: stolen
		{"spiffe://t/known", false},       // known from the authority list alone
		{"spiffe://t/proxy", true},        // nobody who signs
		{strings.ToUpper(worker), true},   // another name, nobody who signs
		{"spiffe://t/worker/extra", true}, // another name
		{"spiffe://t/unreachable", false}, // who can't be told apart counts as known
	} {
		keys := unreachableFor{f.keys, "spiffe://t/unreachable"}
		for _, report := range []bool{false, true} {
			options := []kest.VerifierOption{kest.WithClock(func() time.Time { return f.now })}
			if report {
				options = append(options, kest.WithPeerReport())
			}
			v, err := kest.NewVerifier(keys, authority, options...)
			if err != nil {
				t.Fatal(err)
			}
			l, err := v.Verify(context.Background(), p, kest.FromPeer(c.peer))
			switch {
			case c.good && (err != nil || len(l.Faults()) > 0):
				t.Errorf("%q: %v", c.peer, err)
			case !c.good && !report && (reasonOf(err) != kest.ReasonPeer || kest.AsVerificationError(err).Index != 1):
				t.Errorf("%q: error %v, want peer at 1", c.peer, err)
			case !c.good && report && (err != nil || len(l.Faults()) != 1 || l.Faults()[0].Reason != kest.ReasonPeer):
				t.Errorf("%q reported: %v", c.peer, err)
			}
		}
	}
}

// unreachableFor can't tell the keys of one principal.
type unreachableFor struct {
	kest.StaticKeys
	principal string
}

func (u unreachableFor) Keys(ctx context.Context, r kest.KeyRequest) ([]kest.Key, error) {
	if r.Principal == u.principal {
		return nil, io.ErrUnexpectedEOF
	}
	return u.StaticKeys.Keys(ctx, r)
}

func TestKeySourceFailures(t *testing.T) {
	f := newFleet(t)
	p := f.chain(2).Passport()
	verify := func(keys kest.KeySource) error {
		v, err := kest.NewVerifier(keys, nil, kest.InsecureTrustAllClaims())
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(context.Background(), p)
		return err
	}
	down := unreachableFor{kest.StaticKeys{}, worker}
	if err := verify(unreachableFor{f.keys, worker}); !errors.Is(err, kest.ErrUnavailable) || kest.AsVerificationError(err) != nil {
		t.Errorf("a source that is down: %v", err)
	}
	if err := verify(kest.KeySources{down, f.keys}); err != nil {
		t.Errorf("one of two sources is down: %v", err)
	}
	if err := verify(kest.KeySources{kest.StaticKeys{edge: f.keys[edge]}, down}); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("the only source that could know is down: %v", err)
	}
	if err := verify(kest.KeySources{}); reasonOf(err) != kest.ReasonNoKey {
		t.Errorf("no sources: %v", err)
	}
	refusing := keySourceFunc(func(kest.KeyRequest) ([]kest.Key, error) {
		return nil, &kest.VerificationError{Reason: kest.ReasonBinding, Detail: "for another key"}
	})
	fault := kest.AsVerificationError(verify(refusing))
	if fault == nil || fault.Reason != kest.ReasonBinding || fault.Index != 0 || fault.Principal != edge || fault.EntryID == "" {
		t.Errorf("a source that refuses a binding: %+v", fault)
	}
	if err := verify(keySourceFunc(func(kest.KeyRequest) ([]kest.Key, error) { return []kest.Key{{}}, nil })); err == nil {
		t.Error("a zero key verified")
	}
}

type keySourceFunc func(kest.KeyRequest) ([]kest.Key, error)

func (f keySourceFunc) Keys(_ context.Context, r kest.KeyRequest) ([]kest.Key, error) { return f(r) }

// The key source is told what the header brings, and by whose name.
func TestKeyRequest(t *testing.T) {
	f := newFleet(t)
	evidence := f.raw(edge, bareRoot(edge, ""))
	var got kest.KeyRequest
	v, err := kest.NewVerifier(keySourceFunc(func(r kest.KeyRequest) ([]kest.Key, error) {
		got = r
		return nil, nil
	}), nil, kest.InsecureTrustAllClaims())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(context.Background(), kest.NewPassport(evidence)); reasonOf(err) != kest.ReasonNoKey {
		t.Fatal(err)
	}
	if got.Principal != edge || got.KeyID != f.keys[edge][0].Thumbprint() || got.Algorithm != "EdDSA" || got.Binding != "" || got.JWK != "" || got.X5C != nil {
		t.Errorf("request %+v", got)
	}
}

func TestNewVerifierWantsDecisions(t *testing.T) {
	zero := kest.DefaultLimits()
	zero.Entries = 0
	for name, c := range map[string]struct {
		keys      kest.KeySource
		authority kest.Authority
		options   []kest.VerifierOption
	}{
		"no keys":          {nil, kest.Authority{}, nil},
		"no authority":     {kest.StaticKeys{}, nil, nil},
		"both authorities": {kest.StaticKeys{}, kest.Authority{}, []kest.VerifierOption{kest.InsecureTrustAllClaims()}},
		"a limit of 0":     {kest.StaticKeys{}, kest.Authority{}, []kest.VerifierOption{kest.WithLimits(zero)}},
		"no limits":        {kest.StaticKeys{}, kest.Authority{}, []kest.VerifierOption{kest.WithLimits(kest.Limits{})}},
	} {
		if v, err := kest.NewVerifier(c.keys, c.authority, c.options...); v != nil || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

func TestEmptyPassportGivesAnEmptyLineage(t *testing.T) {
	l, err := newFleet(t).verifier(kest.Authority{}).Verify(context.Background(), kest.Passport{})
	if err != nil || l.Len() != 0 || len(l.Leaves()) != 0 || len(l.Entries()) != 0 || len(l.Taints()) != 0 {
		t.Errorf("%v, %v", l, err)
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	f := newFleet(t)
	p := f.chain(5).Passport()
	v := f.verifier(nil, kest.WithSignatureCache(4))
	done := make(chan error)
	for range 8 {
		go func() {
			var err error
			for range 20 {
				if _, e := v.Verify(context.Background(), p); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestVerificationErrorNamesTheEntry(t *testing.T) {
	f := newFleet(t)
	entries := f.chain(3).Passport().Entries()
	delete(f.keys, worker)
	_, err := f.verifier(nil).Verify(context.Background(), kest.NewPassport(entries...))
	fault := kest.AsVerificationError(fmt.Errorf("wrapped: %w", err))
	if fault == nil || fault.Index != 1 || fault.Principal != worker || len(fault.EntryID) != 36 {
		t.Fatalf("%+v", fault)
	}
	for _, part := range []string{"entry 1", worker, "no_key"} {
		if !strings.Contains(fault.Error(), part) {
			t.Errorf("%q does not say %q", fault.Error(), part)
		}
	}
	if kest.AsVerificationError(errors.New("x")) != nil || kest.AsVerificationError(nil) != nil {
		t.Error("an error from nothing")
	}
}
