package bearer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/bearer"
	"kest.example/kest/internal/issuertest"
	"kest.example/kest/internal/logtest"
	"kest.example/kest/keys"
)

// scene is an issuer with a key of each kind, and a checker of its tokens.
type scene struct {
	*issuertest.Issuer
	ed, rs  *issuertest.Key
	checker *bearer.Checker
	log     *logtest.Buffer
}

func newScene(t *testing.T, opts ...bearer.Option) *scene {
	t.Helper()
	s := &scene{Issuer: issuertest.New(t), ed: issuertest.NewKey(t, "EdDSA", "k2"), rs: issuertest.NewKey(t, "RS256", "k3"), log: &logtest.Buffer{}}
	s.Publish(s.ed)
	s.Publish(s.rs)
	set, err := keys.OpenJWKS(s.JWKS(), keys.RetryAfter(time.Millisecond, 10*time.Millisecond), keys.AskAgainAfter(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	opts = append([]bearer.Option{bearer.WithLogger(slog.New(slog.NewTextHandler(s.log, nil)))}, opts...)
	if s.checker, err = bearer.New(issuertest.Name, "kest", set, opts...); err != nil {
		t.Fatal(err)
	}
	return s
}

func claims(changes ...any) map[string]any { return issuertest.Claims("alice", changes...) }

func TestTokensThatAreGood(t *testing.T) {
	s := newScene(t)
	now := time.Now().Unix()
	for name, token := range map[string]string{
		"ES256":                    s.Sign(claims()),
		"EdDSA":                    s.ed.Sign(nil, claims()),
		"RS256":                    s.rs.Sign(nil, claims()),
		"a list of audiences":      s.Sign(claims("aud", []string{"other", "kest"})),
		"no typ":                   s.Default.Sign(map[string]any{"typ": nil}, claims()),
		"typ at+jwt":               s.Default.Sign(map[string]any{"typ": "application/at+JWT"}, claims()),
		"no iat":                   s.Sign(claims("iat", nil)),
		"ended within the skew":    s.Sign(claims("exp", now-20)),
		"begins within the skew":   s.Sign(claims("nbf", now+20, "iat", now+20)),
		"exp is no whole number":   s.Sign(claims("exp", float64(now)+60.5)),
		"another key in the head":  s.Default.Sign(map[string]any{"jwk": s.ed.JWK(), "x5u": "https://example.org"}, claims()),
		"claims nested and unlike": s.Sign(claims("act", map[string]any{"sub": "agent"}, "list", []any{1, nil})),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.checker.Check(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			var v struct{ Iss, Sub string }
			if err := json.Unmarshal(got, &v); err != nil || v.Iss != issuertest.Name || v.Sub != "alice" {
				t.Errorf("claims %s: %v", got, err)
			}
			if canonical, err := kest.Canonicalize(got); err != nil || !bytes.Equal(canonical, got) {
				t.Errorf("not canonical: %s", got)
			}
		})
	}
}

// One defect a token.
func TestTokensThatAreRefused(t *testing.T) {
	s := newScene(t)
	now := time.Now().Unix()
	good := s.Sign(claims())
	parts := strings.Split(good, ".")
	stranger := issuertest.NewKey(t, "ES256", "k1")
	public, err := json.Marshal(s.rs.JWK())
	if err != nil {
		t.Fatal(err)
	}
	head := func(name string, value any) string {
		return s.Default.Sign(map[string]any{name: value}, claims())
	}
	for name, c := range map[string]struct {
		token string
		want  bearer.Reason
	}{
		"empty":                           {"", bearer.ReasonMalformed},
		"two segments":                    {parts[0] + "." + parts[1], bearer.ReasonMalformed},
		"four segments":                   {good + ".AA", bearer.ReasonMalformed},
		"five segments":                   {good + ".AA.AA", bearer.ReasonMalformed},
		"JSON serialisation":              {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, bearer.ReasonMalformed},
		"padding":                         {good + "=", bearer.ReasonMalformed},
		"a line end":                      {good[:40] + "\n" + good[40:], bearer.ReasonMalformed},
		"a blank":                         {" " + good, bearer.ReasonMalformed},
		"the standard alphabet":           {parts[0] + "." + parts[1] + "." + strings.Repeat("+", 86), bearer.ReasonMalformed},
		"trailing bits":                   {parts[0] + "." + parts[1] + "." + strings.Repeat("A", 85) + "B", bearer.ReasonMalformed},
		"too long":                        {s.Sign(claims("x", strings.Repeat("x", 16<<10))), bearer.ReasonMalformed},
		"the header is no object":         {s.Default.SignText(`["ES256"]`, "{}"), bearer.ReasonMalformed},
		"a repeated header member":        {s.Default.SignText(`{"alg":"ES256","kid":"k2","kid":"k1"}`, "{}"), bearer.ReasonMalformed},
		"the payload is no object":        {s.Default.SignText(`{"alg":"ES256","kid":"k1"}`, `"x"`), bearer.ReasonMalformed},
		"the payload is no JSON":          {s.Default.SignText(`{"alg":"ES256","kid":"k1"}`, `x`), bearer.ReasonMalformed},
		"a repeated claim":                {s.Default.SignText(`{"alg":"ES256","kid":"k1"}`, `{"iss":"a","iss":"`+issuertest.Name+`"}`), bearer.ReasonMalformed},
		"crit":                            {head("crit", []string{"exp"}), bearer.ReasonMalformed},
		"an empty crit":                   {head("crit", []string{}), bearer.ReasonMalformed},
		"b64":                             {head("b64", false), bearer.ReasonMalformed},
		"kid is a number":                 {head("kid", 1), bearer.ReasonMalformed},
		"no alg":                          {head("alg", nil), bearer.ReasonAlgorithm},
		"alg none":                        {s.Default.As("none", nil).Sign(nil, claims()), bearer.ReasonAlgorithm},
		"alg none in capitals":            {head("alg", "NONE"), bearer.ReasonAlgorithm},
		"HS256 with the public key":       {s.rs.As("HS256", public).Sign(nil, claims()), bearer.ReasonAlgorithm},
		"PS256":                           {s.rs.As("PS256", nil).Sign(nil, claims()), bearer.ReasonAlgorithm},
		"the alg of another kind of key":  {s.Default.Sign(map[string]any{"alg": "RS256"}, claims()), bearer.ReasonAlgorithm},
		"typ of a binding":                {head("typ", "kest-binding+jwt"), bearer.ReasonType},
		"typ of an entry":                 {head("typ", "JWS"), bearer.ReasonType},
		"no kid":                          {head("kid", nil), bearer.ReasonNoKey},
		"an unknown kid":                  {head("kid", "k9"), bearer.ReasonNoKey},
		"the kid of another key":          {stranger.Sign(map[string]any{"alg": "EdDSA", "kid": "k2"}, claims()), bearer.ReasonSignature},
		"a stranger's key of that kid":    {stranger.Sign(nil, claims()), bearer.ReasonSignature},
		"a stranger's key in the header":  {stranger.Sign(map[string]any{"jwk": stranger.JWK()}, claims()), bearer.ReasonSignature},
		"a signature in DER":              {derSigned(s.Default), bearer.ReasonSignature},
		"no signature":                    {parts[0] + "." + parts[1] + ".", bearer.ReasonSignature},
		"another payload":                 {parts[0] + "." + strings.Split(s.Sign(claims("sub", "mallory")), ".")[1] + "." + parts[2], bearer.ReasonSignature},
		"no iss":                          {s.Sign(claims("iss", nil)), bearer.ReasonIssuer},
		"another iss":                     {s.Sign(claims("iss", issuertest.Name+"/")), bearer.ReasonIssuer},
		"iss in capitals":                 {s.Sign(claims("iss", strings.ToUpper(issuertest.Name))), bearer.ReasonIssuer},
		"iss is a list":                   {s.Sign(claims("iss", []string{issuertest.Name})), bearer.ReasonIssuer},
		"no aud":                          {s.Sign(claims("aud", nil)), bearer.ReasonMalformed},
		"an empty list of aud":            {s.Sign(claims("aud", []string{})), bearer.ReasonMalformed},
		"aud is a number":                 {s.Sign(claims("aud", 7)), bearer.ReasonMalformed},
		"a number among aud":              {s.Sign(claims("aud", []any{"kest", 7})), bearer.ReasonMalformed},
		"another aud":                     {s.Sign(claims("aud", "kes")), bearer.ReasonAudience},
		"a list of other aud":             {s.Sign(claims("aud", []string{"kest2", "Kest"})), bearer.ReasonAudience},
		"no exp":                          {s.Sign(claims("exp", nil)), bearer.ReasonMalformed},
		"exp is a text":                   {s.Sign(claims("exp", "4102444800")), bearer.ReasonMalformed},
		"exp is null":                     {s.Default.SignText(`{"alg":"ES256","kid":"k1"}`, `{"iss":"`+issuertest.Name+`","aud":"kest","exp":null}`), bearer.ReasonMalformed},
		"exp beyond all dates":            {s.Sign(claims("exp", math.MaxFloat64)), bearer.ReasonMalformed},
		"exp before all dates":            {s.Sign(claims("exp", -1)), bearer.ReasonMalformed},
		"ended":                           {s.Sign(claims("exp", now-31)), bearer.ReasonExpired},
		"nbf lies ahead":                  {s.Sign(claims("nbf", now+90)), bearer.ReasonNotYet},
		"nbf is a text":                   {s.Sign(claims("nbf", "now")), bearer.ReasonMalformed},
		"iat lies ahead":                  {s.Sign(claims("iat", now+90)), bearer.ReasonNotYet},
		"nested deeper than 64":           {s.Default.SignText(`{"alg":"ES256","kid":"k1"}`, strings.Repeat(`{"a":`, 65)+"1"+strings.Repeat("}", 65)), bearer.ReasonMalformed},
		"a header that is a bomb of text": {strings.Repeat("A", 16<<10) + ".." + "", bearer.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.checker.Check(t.Context(), c.token)
			var refused *bearer.TokenError
			if !errors.As(err, &refused) || refused.Reason != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
			if got != nil {
				t.Errorf("claims beside an error: %s", got)
			}
		})
	}
}

func derSigned(k *issuertest.Key) string {
	return k.As("DER", nil).Sign(map[string]any{"alg": "ES256"}, claims())
}

// Times are judged by the checker's clock, to the second.
func TestSkew(t *testing.T) {
	at := time.Unix(2_000_000_000, 0)
	now := at
	s := newScene(t, bearer.WithClock(func() time.Time { return now }))
	token := s.Sign(map[string]any{"iss": issuertest.Name, "aud": "kest", "exp": at.Unix() + 60, "nbf": at.Unix()})
	for seconds, want := range map[time.Duration]bearer.Reason{-31: bearer.ReasonNotYet, -30: "", 0: "", 89: "", 90: bearer.ReasonExpired} {
		now = at.Add(seconds * time.Second)
		_, err := s.checker.Check(t.Context(), token)
		var refused *bearer.TokenError
		if errors.As(err, &refused) != (want != "") || want != "" && refused.Reason != want {
			t.Errorf("at %d s: %v, want %q", seconds, err, want)
		}
	}
}

// A server of keys that is away is no fault of the token's, and its return
// needs no restart.
func TestKeysGoAwayAndComeBack(t *testing.T) {
	s := newScene(t)
	s.Stop()
	set, err := keys.OpenJWKS(s.JWKS(), keys.RetryAfter(time.Millisecond, 10*time.Millisecond), keys.AskAgainAfter(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = set.Close() }()
	checker, err := bearer.New(issuertest.Name, "kest", set)
	if err != nil {
		t.Fatal(err)
	}
	var refused *bearer.TokenError
	if _, err := checker.Check(t.Context(), s.Sign(claims())); !errors.Is(err, kest.ErrUnavailable) || errors.As(err, &refused) {
		t.Fatalf("with the server away: %v", err)
	}
	if _, err := checker.Check(t.Context(), s.Sign(claims("aud", "x"))); !errors.As(err, &refused) {
		t.Errorf("a token that is wrong anyway: %v", err)
	}
	s.Start(t)
	until(t, func() bool {
		_, err = checker.Check(t.Context(), s.Sign(claims()))
		return err == nil
	})
	s.Stop()
	if _, err := checker.Check(t.Context(), s.Sign(claims())); err != nil {
		t.Errorf("a known key while the server is away: %v", err)
	}
	s.Start(t)
	late := issuertest.NewKey(t, "ES256", "late")
	s.Publish(late)
	until(t, func() bool {
		_, err = checker.Check(t.Context(), late.Sign(nil, claims()))
		return err == nil
	})
}

// until waits for what happens soon.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not happen within 10 s")
}

type noKeys struct{ err error }

func (k noKeys) Keys(context.Context, string) ([]kest.PublicKey, error) { return nil, k.err }

func TestAnyFailureOfTheKeysIsUnavailability(t *testing.T) {
	c, err := bearer.New(issuertest.Name, "kest", noKeys{errors.New("disk on fire")})
	if err != nil {
		t.Fatal(err)
	}
	key := issuertest.NewKey(t, "EdDSA", "k")
	if _, err := c.Check(t.Context(), key.Sign(nil, claims())); !errors.Is(err, kest.ErrUnavailable) {
		t.Error(err)
	}
}

func TestWhatNewWants(t *testing.T) {
	for name, f := range map[string]func() (*bearer.Checker, error){
		"no issuer":   func() (*bearer.Checker, error) { return bearer.New("", "kest", noKeys{}) },
		"no audience": func() (*bearer.Checker, error) { return bearer.New("https://i", "", noKeys{}) },
		"no keys":     func() (*bearer.Checker, error) { return bearer.New("https://i", "kest", nil) },
		"no metadata key": func() (*bearer.Checker, error) {
			return bearer.New("https://i", "kest", noKeys{}, bearer.WithMetadataKey(""))
		},
	} {
		if c, err := f(); c != nil || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzCheck: nothing that was not signed is taken, whatever its bytes.
func FuzzCheck(f *testing.F) {
	key := issuertest.NewKey(f, "ES256", "k1")
	f.Add(key.Sign(nil, claims()))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(key.SignText(`{"alg":"ES256","kid":"k1","crit":["b64"],"b64":false}`, `{}`))
	stranger := issuertest.NewKey(f, "ES256", "k1")
	jwk, err := json.Marshal(stranger.JWK())
	if err != nil {
		f.Fatal(err)
	}
	set, err := keys.NewStaticJWKS([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		f.Fatal(err)
	}
	c, err := bearer.New(issuertest.Name, "kest", set)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := c.Check(context.Background(), token)
		var refused *bearer.TokenError
		if !errors.As(err, &refused) || got != nil {
			t.Fatalf("%s, %v", got, err)
		}
	})
}
