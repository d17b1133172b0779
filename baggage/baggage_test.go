package baggage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"kest.example/kest"
	"kest.example/kest/baggage"
)

// lineage is a verified line of n entries.
func lineage(tb testing.TB, n int) *kest.Lineage {
	tb.Helper()
	provider, err := kest.InsecureSeedProvider("spiffe://t/a", bytes.Repeat([]byte("a"), 32))
	if err != nil {
		tb.Fatal(err)
	}
	h, err := kest.NewHook(provider, kest.AllowAll())
	if err != nil {
		tb.Fatal(err)
	}
	o, err := h.Operation(kest.Hop{Operation: "op", RootOrigin: "internal", Policies: []string{"any"}})
	if err != nil {
		tb.Fatal(err)
	}
	l := kest.EmptyLineage()
	for l.Len() < n {
		ctx := kest.WithLineage(context.Background(), l, kest.Actor{})
		if err := o.Do(ctx, func(ctx context.Context) error { l = kest.CurrentLineage(ctx); return nil }); err != nil {
			tb.Fatal(err)
		}
	}
	return l
}

func parse(tb testing.TB, options baggage.ReadOptions, headers ...string) *baggage.Incoming {
	tb.Helper()
	in, err := baggage.Parse(headers, options)
	if err != nil {
		tb.Fatalf("%q: %v", headers, err)
	}
	return in
}

// TC-11 and all the other ways: what was written is read.
func TestRoundTrips(t *testing.T) {
	actor := kest.Actor{User: "al,ice=;\"ä%+ ", Agent: "bot", Task: "a b"}
	for _, c := range []struct {
		name    string
		n       int
		options baggage.WriteOptions
		carrier string
	}{
		{"plain", 2, baggage.WriteOptions{}, baggage.Passport},
		{"compressed", 4, baggage.WriteOptions{Compress: true}, baggage.PassportZ},
		{"claim", 4, baggage.WriteOptions{Claims: true, Random: rand.Reader}, baggage.ClaimCheck},
		{"claim where compression isn't enough", 30, baggage.WriteOptions{Compress: true, Claims: true, Random: rand.Reader}, baggage.ClaimCheck},
		{"a larger bound", 4, baggage.WriteOptions{MaxBytes: 16384}, baggage.Passport},
	} {
		l := lineage(t, c.n)
		in := parse(t, baggage.ReadOptions{}, "other=1;p=2, bare")
		header, claim, err := in.Write(baggage.Outgoing{Lineage: l, Actor: actor, JWT: "a.b.c", Scope: "read write"}, c.options)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.HasPrefix(header, c.carrier+"=") {
			t.Errorf("%s: the header begins %.40q", c.name, header)
		}
		if !strings.HasSuffix(header, ",other=1;p=2,bare") {
			t.Errorf("%s: the others became %q", c.name, header[max(0, len(header)-40):])
		}
		back := parse(t, baggage.ReadOptions{}, header)
		if (claim != nil) != (c.carrier == baggage.ClaimCheck) || claim != nil && back.Claim != claim.ID {
			t.Fatalf("%s: claim %+v, read %q", c.name, claim, back.Claim)
		}
		if claim != nil {
			if err := back.Resolve([]byte(claim.Body)); err != nil {
				t.Fatal(err)
			}
		}
		if back.Passport.String() != l.Passport().String() || back.Actor != actor || back.JWT != "a.b.c" || back.Scope != "read write" || back.Claim != "" {
			t.Errorf("%s: came back as %+v", c.name, back)
		}
		if err := back.CheckTip(l); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := back.Others(); got != "other=1;p=2,bare" {
			t.Errorf("%s: the others are %q", c.name, got)
		}
	}
}

// Every byte of an actor that W3C Baggage doesn't allow is encoded.
func TestWrittenValuesAreBaggageOctets(t *testing.T) {
	in := parse(t, baggage.ReadOptions{})
	var all strings.Builder
	for r := range rune(0x300) {
		all.WriteRune(r)
	}
	header, _, err := in.Write(baggage.Outgoing{Actor: kest.Actor{User: all.String()}}, baggage.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	value := strings.TrimPrefix(header, "kest.user=")
	for _, c := range []byte(value) {
		if c <= 0x20 || c >= 0x7f || strings.IndexByte(`",;\`, c) >= 0 {
			t.Errorf("the header holds the byte %q", c)
		}
	}
	if got, err := url.PathUnescape(value); err != nil || got != all.String() {
		t.Errorf("%q, %v", got, err)
	}
}

func kindOf(err error) baggage.Kind {
	var e *baggage.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

func TestPassportThatFitsNowhere(t *testing.T) {
	in := parse(t, baggage.ReadOptions{})
	_, claim, err := in.Write(baggage.Outgoing{Lineage: lineage(t, 30)}, baggage.WriteOptions{Compress: true})
	if claim != nil || kindOf(err) != baggage.KindUnavailable || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("%v, %v", claim, err)
	}
	_, claim, err = in.Write(baggage.Outgoing{Lineage: lineage(t, 30)}, baggage.WriteOptions{Claims: true, Random: strings.NewReader("x")})
	if claim != nil || kindOf(err) != baggage.KindUnavailable || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without randomness: %v, %v", claim, err)
	}
}

func TestDeflaterOfTheHost(t *testing.T) {
	in := parse(t, baggage.ReadOptions{})
	l := lineage(t, 4)
	for name, c := range map[string]struct {
		deflate baggage.Deflater
		carrier string
	}{
		"one that can't":    {func([]byte) ([]byte, bool) { return nil, false }, baggage.ClaimCheck},
		"one that does it":  {func([]byte) ([]byte, bool) { return []byte("stream"), true }, baggage.PassportZ},
		"one that swells":   {func(b []byte) ([]byte, bool) { return append(b, b...), true }, baggage.ClaimCheck},
		"the library's own": {nil, baggage.PassportZ},
	} {
		header, _, err := in.Write(baggage.Outgoing{Lineage: l}, baggage.WriteOptions{Compress: true, Claims: true, Random: rand.Reader, Deflate: c.deflate})
		if err != nil || !strings.HasPrefix(header, c.carrier+"=") {
			t.Errorf("%s: %.40q, %v", name, header, err)
		}
	}
}

func TestWriteBounds(t *testing.T) {
	many := make([]string, 300)
	for i := range many {
		many[i] = "m" + strings.Repeat("x", i%7) + "=" + strings.Repeat("v", i%10)
	}
	in := parse(t, baggage.ReadOptions{}, strings.Join(many, ","))
	header, _, err := in.Write(baggage.Outgoing{Lineage: lineage(t, 3), Actor: kest.Actor{User: "u"}}, baggage.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	members := strings.Split(header, ",")
	if len(members) != baggage.MaxMembers || len(header) > baggage.MaxTotal {
		t.Errorf("%d members, %d bytes", len(members), len(header))
	}
	if !slices.Equal(members[3:], many[:len(members)-3]) {
		t.Error("the others are not the first ones in their order")
	}
	_, _, err = in.Write(baggage.Outgoing{Lineage: lineage(t, 1), Actor: kest.Actor{User: strings.Repeat("u", baggage.MaxTotal)}}, baggage.WriteOptions{})
	if kindOf(err) != baggage.KindRefused {
		t.Errorf("an actor over the bound: %v", err)
	}
}

func TestNoLineageNoCarrier(t *testing.T) {
	in := parse(t, baggage.ReadOptions{}, "a=1")
	for _, l := range []*kest.Lineage{nil, kest.EmptyLineage()} {
		header, claim, err := in.Write(baggage.Outgoing{Lineage: l, Actor: kest.Actor{Task: "t"}}, baggage.WriteOptions{})
		if header != "kest.task=t,a=1" || claim != nil || err != nil {
			t.Errorf("%q, %v, %v", header, claim, err)
		}
	}
}

func TestTips(t *testing.T) {
	l := lineage(t, 2)
	carrier := "kest.passport=" + url.PathEscape(l.Passport().String())
	tip := l.Leaves()[0]
	root := kest.Hash(l.Passport().Entries()[0])
	for value, good := range map[string]bool{
		"": true, ",kest.chain_tip=" + tip: true, ",kest.chain_tip=" + root: false, ",kest.chain_tip=" + tip + "%2C" + root: false,
		",kest.chain_tip=" + strings.ToUpper(tip): false, ",kest.chain_tip=": false, ",kest.chain_tip=" + tip + "%2C": false,
		",kest.chain_tip=%20" + tip: false,
	} {
		in := parse(t, baggage.ReadOptions{}, carrier+value)
		if err := in.CheckTip(l); (err == nil) != good || !good && kindOf(err) != baggage.KindRefused {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestTipAlone(t *testing.T) {
	for header, good := range map[string]bool{
		"kest.chain_tip=" + strings.Repeat("ab", 32): false, "kest.chain_tip=x": false, "kest.chain_tip=": true, "kest.chain_tip=x,kest.passport=%5B%5D": true,
	} {
		if in, err := baggage.Parse([]string{header}, baggage.ReadOptions{}); (err == nil) != good || !good && (in != nil || kindOf(err) != baggage.KindRefused) {
			t.Errorf("%q: %v, %v", header, in, err)
		}
	}
	in := parse(t, baggage.ReadOptions{}, "kest.chain_tip=x,kest.passport=%5B%5D")
	if err := in.CheckTip(kest.EmptyLineage()); kindOf(err) != baggage.KindRefused {
		t.Errorf("a tip of the empty passport: %v", err)
	}
}

// The bound is on the member name=value, encoded (CONTRACT 9).
func TestBoundIsOnTheEncodedMember(t *testing.T) {
	l := lineage(t, 2)
	in := parse(t, baggage.ReadOptions{})
	header, _, err := in.Write(baggage.Outgoing{Lineage: l}, baggage.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	size := strings.IndexByte(header, ',')
	for bound, carrier := range map[int]string{size: baggage.Passport, size - 1: baggage.ClaimCheck, len(l.Passport().String()): baggage.ClaimCheck} {
		header, _, err := in.Write(baggage.Outgoing{Lineage: l}, baggage.WriteOptions{MaxBytes: bound, Claims: true, Random: rand.Reader})
		if err != nil || !strings.HasPrefix(header, carrier+"=") {
			t.Errorf("a bound of %d, the member has %d: %.30q, %v", bound, size, header, err)
		}
	}
}

// What Parse says stays what it is, however often it is asked (Resolve apart).
func TestResolveTakesOnlyPassports(t *testing.T) {
	const claim = "kest.claim_check=2f0d9b52-7a0a-4c9e-9d8d-0a4f6b2f7a11"
	for _, body := range []string{"", "x", "null", "{}", "[1]", "[]x"} {
		in := parse(t, baggage.ReadOptions{}, claim)
		if err := in.Resolve([]byte(body)); kindOf(err) != baggage.KindMalformed || in.Passport.Len() != 0 {
			t.Errorf("%q: %v", body, err)
		}
	}
	in := parse(t, baggage.ReadOptions{MaxBytes: 100}, claim)
	if err := in.Resolve([]byte(`["` + strings.Repeat("x", 100) + `"]`)); kindOf(err) != baggage.KindRefused {
		t.Errorf("a claim over the bound: %v", err)
	}
}

func TestErrorKindsAreStatuses(t *testing.T) {
	if baggage.KindMalformed != 400 || baggage.KindRefused != 403 || baggage.KindUnavailable != 503 { // CONTRACT 7
		t.Error("the kinds are not the statuses of CONTRACT 7")
	}
}

// Parse never panics; what it read is written, and read back equal.
func FuzzBaggage(f *testing.F) {
	small, large := lineage(f, 1), lineage(f, 4)
	for _, l := range []*kest.Lineage{small, large} {
		in := parse(f, baggage.ReadOptions{})
		header, _, err := in.Write(baggage.Outgoing{Lineage: l, Actor: kest.Actor{User: "u", Agent: "ä", Task: "a,b"}, Scope: "s"}, baggage.WriteOptions{Compress: true})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(header+",x=1;p,y", "", false, false)
		f.Add("kest.passport="+l.Passport().String(), header, true, false)
	}
	for _, h := range []string{
		"", ",", "=", "kest.user", "kest.user=%", "kest.user=%C3", "kest.passport=%5B%5D", "kest.passport_z=eJyLjgUAARUAuQ", "a=1,b=2;p=3",
		"kest.claim_check=2f0d9b52-7a0a-4c9e-9d8d-0a4f6b2f7a11,kest.chain_tip=a", "KEST.USER=1,kest.other=2", "kest.passport=[\"a\",\"b\"],kest.chain_tip=x",
	} {
		f.Add(h, "kest.task=t", false, true)
		f.Add("z=1", h, true, false)
	}
	f.Fuzz(func(t *testing.T, first, second string, python, strip bool) {
		options := baggage.ReadOptions{Python: python, Strip: strip, MaxBytes: 1 << 16}
		in, err := baggage.Parse([]string{first, second}, options)
		if err != nil {
			if in != nil || kindOf(err) == 0 {
				t.Fatalf("%v, %v", in, err)
			}
			return
		}
		if strip && (in.Passport.Len() > 0 || in.Claim != "" || in.Actor != (kest.Actor{}) || in.JWT != "" || in.Scope != "") {
			t.Fatalf("an edge let through %+v", in)
		}
		if others := in.Others(); strings.Contains(","+strings.ToLower(others), ",kest.") {
			t.Fatalf("others hold %q", others)
		}
		out := baggage.Outgoing{Lineage: small, Actor: in.Actor, JWT: in.JWT, Scope: in.Scope}
		header, claim, err := in.Write(out, baggage.WriteOptions{Claims: true, Random: rand.Reader})
		if err != nil {
			if kindOf(err) != baggage.KindRefused {
				t.Fatal(err)
			}
			return // the actor alone is over the bound
		}
		if claim != nil || len(header) > baggage.MaxTotal || !utf8.ValidString(in.Actor.User) {
			t.Fatalf("%d bytes, claim %v, user %q", len(header), claim, in.Actor.User)
		}
		back, err := baggage.Parse([]string{header}, baggage.ReadOptions{MaxBytes: 1 << 16})
		if err != nil {
			t.Fatalf("%q and %q were written as %q: %v", first, second, header, err)
		}
		if back.Actor != in.Actor || back.JWT != in.JWT || back.Scope != in.Scope || back.Passport.String() != small.Passport().String() {
			t.Fatalf("%q came back as %+v", header, back)
		}
		if err := back.CheckTip(small); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(in.Others(), back.Others()) {
			t.Fatalf("the others %q came back as %q", in.Others(), back.Others())
		}
	})
}
