package kest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"kest.example/kest"
)

const (
	okp = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}` // RFC 8037 A.2
	ec  = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
)

func TestParsePublicKey(t *testing.T) {
	for jwk, want := range map[string]string{
		okp: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", // RFC 8037 A.3
		ec:  "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
		strings.Replace(okp, "}", `,"alg":"EdDSA","use":"sig","kid":"x","key_ops":["verify"]}`, 1): "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	} {
		k, err := kest.ParsePublicKey([]byte(jwk))
		if err != nil || k.Thumbprint() != want || k.IsZero() {
			t.Errorf("%s: thumbprint %v, %v", jwk, k, err)
			continue
		}
		if again, err := kest.ParsePublicKey([]byte(k.JWK())); err != nil || again.Thumbprint() != want || again.Algorithm() != k.Algorithm() {
			t.Errorf("%s does not come back: %v", k.JWK(), err)
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	with := func(jwk, more string) string { return strings.Replace(jwk, "}", ","+more+"}", 1) }
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	small := `{"kty":"RSA","n":"` + enc(weak.N.Bytes()) + `","e":"AQAB"}`
	even := `{"kty":"RSA","n":"` + enc(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes()) + `","e":"Ag"}`
	for name, jwk := range map[string]string{
		"no JSON": "x", "an array": "[" + okp + "]", "no kty": `{"crv":"Ed25519"}`, "symmetric": `{"kty":"oct","k":"AAAA"}`,
		"a private OKP key": with(okp, `"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`), "a private EC key": with(ec, `"d":"AA"`),
		"another curve": strings.Replace(okp, "Ed25519", "X25519", 1), "Ed448": strings.Replace(okp, "Ed25519", "Ed448", 1),
		"P-384": strings.Replace(ec, "P-256", "P-384", 1), "no x": `{"kty":"OKP","crv":"Ed25519"}`,
		"x too short": `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, "x padded": strings.Replace(okp, `URo"`, `URo="`, 1),
		"x not on the curve":       `{"kty":"OKP","crv":"Ed25519","x":"` + enc([]byte("\x02"+strings.Repeat("\x00", 31))) + `"}`,
		"a small-order x":          `{"kty":"OKP","crv":"Ed25519","x":"` + enc([]byte("\x01"+strings.Repeat("\x00", 31))) + `"}`,
		"a point not on the curve": strings.Replace(ec, "x_FE", "x_FF", 1), "the point at infinity": `{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`,
		"alg of another type": with(okp, `"alg":"ES256"`), "use enc": with(okp, `"use":"enc"`),
		"RSA of 1024 bits": small, "an even exponent": even, "repeated names": with(okp, `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`),
	} {
		if k, err := kest.ParsePublicKey([]byte(jwk)); err == nil || !k.IsZero() {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestParseStaticKeys(t *testing.T) {
	keys, err := kest.ParseStaticKeys([]byte(`{"a":` + okp + `,"b":[` + okp + "," + ec + `]}`))
	if err != nil || len(keys["a"]) != 1 || len(keys["b"]) != 2 || keys["b"][1].Algorithm() != "ES256" {
		t.Fatalf("%v, %v", keys, err)
	}
	for name, text := range map[string]string{
		"no JSON": "x", "an array": "[]", "no keys": `{"a":[]}`, "no principal": `{"":` + okp + "}", "null": `{"a":null}`,
		"a bad key": `{"a":[` + okp + `,{}]}`, "repeated principals": `{"a":` + okp + `,"a":` + ec + "}", "a private key": `{"a":{"kty":"OKP","crv":"Ed25519","x":"","d":""}}`,
	} {
		if keys, err := kest.ParseStaticKeys([]byte(text)); err == nil || keys != nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
	if _, err := kest.ParseStaticKeys([]byte(`{"a":[` + okp + `,{}]}`)); err == nil || !strings.Contains(err.Error(), `key 1 of "a"`) {
		t.Errorf("the error does not say which key: %v", err)
	}
}

func TestIdentitiesWantTheirParts(t *testing.T) {
	id, err := kest.SeedIdentity(edge, seed('a'))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := kest.NewIdentity(edge, []byte(id.Key.JWK()), id.Signer); err != nil || again.Key.Thumbprint() != id.Key.Thumbprint() {
		t.Errorf("%v, %v", again, err)
	}
	for name, err := range map[string]error{
		"no workload":            second(kest.SeedIdentity("", seed('a'))),
		"a short seed":           second(kest.SeedIdentity(edge, seed('a')[:31])),
		"no seed":                second(kest.SeedIdentity(edge, nil)),
		"no signer":              second(kest.NewIdentity(edge, []byte(okp), nil)),
		"no workload with a JWK": second(kest.NewIdentity("", []byte(okp), id.Signer)),
		"no JWK":                 second(kest.NewIdentity(edge, nil, id.Signer)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var local kest.Provider
	if local, err = kest.InsecureLocalProvider(edge); err != nil {
		t.Fatal(err)
	}
	a, err := local.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := kest.InsecureLocalProvider(edge)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := other.Identity(t.Context()); err != nil || a.Key.Thumbprint() == b.Key.Thumbprint() {
		t.Errorf("two fresh keys are the same: %v", err)
	}
}

func TestCanonicalize(t *testing.T) { // TC-10
	got, err := kest.Canonicalize([]byte(` {"z":3,"a":1,"m":2} `))
	if err != nil || string(got) != `{"a":1,"m":2,"z":3}` {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := kest.Canonicalize([]byte(`{"a":1,"a":2}`)); err == nil {
		t.Error("repeated names were accepted")
	}
	if !json.Valid(got) {
		t.Error("no JSON")
	}
}

func TestErrorsOfClaims(t *testing.T) {
	if kest.ClaimKey("x") != "kest.claim.x" || kest.ClaimTTL.Seconds() != 300 { // F-CP-05
		t.Error("the claim's key or its TTL")
	}
	for _, pair := range [][2]error{{kest.ErrNotFound, kest.ErrExists}, {kest.ErrExists, kest.ErrFull}, {kest.ErrFull, kest.ErrNotFound}} {
		if errors.Is(pair[0], pair[1]) {
			t.Errorf("%v is %v", pair[0], pair[1])
		}
	}
}
