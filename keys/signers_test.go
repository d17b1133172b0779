package keys_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// A document with every form of every member makes a verifier that trusts so.
func TestParseSigners(t *testing.T) {
	w := newWorld()
	path := filepath.Join(t.TempDir(), "jwks.json")
	fromFile, fromServer, fixed := p256(), p256(), ed(5)
	if err := os.WriteFile(path, []byte(jwks(named("f", fromFile))), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, text(jwks(named("s", fromServer))))
	document := fmt.Sprintf(`{
		"signers": [
			{"principals": ["arn:aws:iam::123456789012:role/*"], "jwk": %s},
			{"principals": ["bedrock://123456789012/**"], "jwk": [%s, %s]},
			{"principals": ["https://issuer.example#*"], "jwks": %s, "issuer": "https://issuer.example"},
			{"principals": ["file#x"], "jwks": %q, "issuer": "file"},
			{"principals": ["server#x"], "jwks": %q, "issuer": "server"}
		],
		"static": [{"principal": "a", "jwk": %s}, {"principal": "b", "jwk": [%s]}, {"principal": "a", "jwk": %s}]
	}`, named("any", w.kms), ed(9).public().JWK(), w.kms.public().JWK(), jwks(named("oidc-1", w.oidc)), path, s.URL,
		fixed.public().JWK(), fixed.public().JWK(), ed(6).public().JWK())
	trusted, err := keys.ParseSigners([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	defer trusted.Close() //nolint:errcheck // always nil
	v := keys.NewVerifier(append(trusted.Options(), keys.WithClock(w.clock.now))...)
	boundByKey(w.kms, role, "arn:aws:kms:eu-central-1:123456789012:key/1").mustVerify(t, v)
	boundByKey(w.kms, "bedrock://123456789012/agent/A/alias/B", w.kms.public().Thumbprint()).mustVerify(t, v)
	oidcToken(w).mustVerify(t, v)
	for iss, by := range map[string]pen{"file": fromFile, "server": fromServer} {
		d := audienceBy(by, "x", iss[:1])
		d.claims["iss"], d.principal = iss, iss+"#x"
		d.mustVerify(t, v)
	}
	for principal, n := range map[string]int{"a": 2, "b": 1, "c": 0} {
		if list, err := v.Keys(ctx, kest.KeyRequest{Principal: principal}); err != nil || len(list) != n {
			t.Errorf("%s has %d static keys, %v", principal, len(list), err)
		}
	}
	for _, empty := range []string{`{}`, `{"signers":[],"static":[]}`} {
		if _, err := keys.ParseSigners([]byte(empty)); err != nil {
			t.Errorf("%s: %v", empty, err)
		}
	}
}

// Each document has one mistake, and the error names its member.
func TestParseSignersRefused(t *testing.T) {
	jwk := ed(1).public().JWK()
	signer := func(members string) string { return `{"signers":[{` + members + `}]}` }
	principals := `"principals":["arn:x"],`
	many := strings.TrimSuffix(strings.Repeat(`"p",`, 257), ",")
	for document, member := range map[string]string{
		`[]`:                                   "keys",
		`null`:                                 "keys",
		`{"signer":[]}`:                        "keys.signer",
		`{"signers":{}}`:                       "signers",
		`{"signers":null}`:                     "signers",
		`{"signers":[1]}`:                      "signers[0]",
		`{"static":{}}`:                        "static",
		`{"static":["x"]}`:                     "static[0]",
		signer(`"jwk":` + jwk):                 "signers[0].principals",
		signer(`"principals":[],"jwk":` + jwk): "signers[0].principals",
		signer(`"principals":"arn:x","jwk":` + jwk):                               "signers[0].principals",
		signer(`"principals":["a",7],"jwk":` + jwk):                               "signers[0].principals[1]",
		signer(`"principals":[""],"jwk":` + jwk):                                  "signers[0].principals[0]",
		signer(`"principals":["spiffe://**"],"jwk":` + jwk):                       "signers[0].principals[0]",
		signer(`"principals":["spiffe://a.*/x"],"jwk":` + jwk):                    "signers[0].principals[0]",
		signer(`"principals":["SPIFFE://a/x"],"jwk":` + jwk):                      "signers[0].principals[0]",
		signer(`"principals":[` + many + `],"jwk":` + jwk):                        "signers[0].principals",
		signer(`"principals":["arn:x"]`):                                          "signers[0]",
		signer(principals + `"jwk":` + jwk + `,"jwks":` + jwks(jwk)):              "signers[0]",
		signer(principals + `"jwk":"x"`):                                          "signers[0].jwk",
		signer(principals + `"jwk":null`):                                         "signers[0].jwk",
		signer(principals + `"jwk":[]`):                                           "signers[0].jwk",
		signer(principals + `"jwk":{}`):                                           "signers[0].jwk",
		signer(principals + `"jwk":[` + jwk + `,{}]`):                             "signers[0].jwk[1]",
		signer(principals + `"jwk":` + strings.Replace(jwk, "{", `{"d":"A",`, 1)): "signers[0].jwk",
		signer(principals + `"jwk":[` + strings.Repeat(jwk+",", 16) + jwk + `]`):  "signers[0].jwk",
		signer(principals + `"jwks":""`):                                          "signers[0].jwks",
		signer(principals + `"jwks":[]`):                                          "signers[0].jwks",
		signer(principals + `"jwks":{}`):                                          "signers[0].jwks",
		signer(principals + `"jwks":"/nowhere/jwks.json"`):                        "signers[0].jwks",
		signer(principals + `"jwks":"http://192.0.2.1/jwks.json"`):                "signers[0].jwks",
		signer(principals + `"jwks":"file:///jwks.json"`):                         "signers[0].jwks",
		signer(principals + `"jwks":` + jwks(`{"kty":"X"}`)):                      "signers[0].jwks",
		signer(principals + `"issuer":"","jwk":` + jwk):                           "signers[0].issuer",
		signer(principals + `"issuer":7,"jwk":` + jwk):                            "signers[0].issuer",
		signer(principals + `"issuer":"a#b","jwk":` + jwk):                        "signers[0].issuer",
		signer(principals + `"use":"sig","jwk":` + jwk):                           "signers[0].use",
		signer(principals+`"jwk":`+jwk) + "x":                                     "",
		`{"signers":[],"signers":[]}`:                                             "",
		``:                                                                        "",
		`{}` + strings.Repeat(" ", 1<<20):                                         "",
		`{"static":[{"jwk":` + jwk + `}]}`:                                        "static[0].principal",
		`{"static":[{"principal":"","jwk":` + jwk + `}]}`:                         "static[0].principal",
		`{"static":[{"principal":"a"}]}`:                                          "static[0].jwk",
		`{"static":[{"principal":"a","jwk":[]}]}`:                                 "static[0].jwk",
		`{"static":[{"principal":"a","jwk":` + jwk + `,"kid":"x"}]}`:              "static[0].kid",
		`{"static":[{"principal":"a","jwk":` + jwk + `},{"principal":"a"}]}`:      "static[1].jwk",
	} {
		trusted, err := keys.ParseSigners([]byte(document))
		if err == nil || trusted != nil || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%.80s: %v", document, err)
			continue
		}
		fault, ok := errors.AsType[*kest.MemberError](err)
		if ok != (member != "") || ok && fault.Member != member {
			t.Errorf("%.80s: %v, want it at %q", document, err, member)
		}
	}
}

// What is left of a document with a mistake runs no longer.
func TestParseSignersClosesWhatItOpened(t *testing.T) {
	s := newServer(t, text(jwks()))
	good := `{"principals":["a"],"jwks":"` + s.URL + `"}`
	if _, err := keys.ParseSigners([]byte(`{"signers":[`+good+`,{}]}`), keys.RefreshEvery(time.Millisecond)); err == nil {
		t.Fatal("it was accepted")
	}
	eventually(t, "the server is left alone", func() bool {
		before := s.queries.Load()
		time.Sleep(20 * time.Millisecond)
		return s.queries.Load() == before
	})
}
