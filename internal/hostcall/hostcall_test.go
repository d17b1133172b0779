package hostcall_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jws"
)

const jwk = `{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

func TestChecksComeBack(t *testing.T) {
	key, err := hostcall.ParseKey(jwk)
	if err != nil || key.JWK() != jwk {
		t.Fatalf("%v, %v", key, err)
	}
	b := hostcall.AppendCheck([]byte(nil), jwk, []byte("input"), []byte("signature"))
	b = hostcall.AppendCheck(b, jwk, nil, []byte{0})
	asked := 0
	checks, err := hostcall.ParseChecks(b, func(text string) (*jws.PublicKey, error) {
		asked++
		if text != jwk {
			t.Errorf("asked for %q", text)
		}
		return key, nil
	})
	if err != nil || len(checks) != 2 || asked != 2 {
		t.Fatalf("%d checks, %v", len(checks), err)
	}
	if c := checks[0]; c.Key != key || string(c.Input) != "input" || string(c.Signature) != "signature" {
		t.Errorf("%+v", c)
	}
	if c := checks[1]; c.Key != key || len(c.Input) != 0 || !bytes.Equal(c.Signature, []byte{0}) {
		t.Errorf("%+v", c)
	}
}

// The layout is a contract between builds: these are its bytes.
func TestLayout(t *testing.T) {
	if have := hostcall.AppendCheck([]byte("!"), "k", []byte("in"), []byte("sig")); string(have) != "!\x01\x00\x00\x00k\x02\x00\x00\x00in\x03\x00\x00\x00sig" {
		t.Errorf("%q", have)
	}
	if have := hostcall.AppendClaim(nil, strings.Repeat("u", 36), "[]", 300); string(have) != "\x2c\x01\x00\x00"+strings.Repeat("u", 36)+"[]" {
		t.Errorf("%q", have)
	}
}

func TestClaimComesBack(t *testing.T) {
	id := "9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11"
	for _, body := range []string{"", "[]", strings.Repeat("a", 70000)} {
		gotID, gotBody, seconds, err := hostcall.ParseClaim(hostcall.AppendClaim(nil, id, body, 1<<31))
		if err != nil || gotID != id || string(gotBody) != body || seconds != 1<<31 {
			t.Errorf("%q %d bytes, %d s, %v", gotID, len(gotBody), seconds, err)
		}
	}
	for n := range 40 {
		if _, _, _, err := hostcall.ParseClaim(make([]byte, n)); !errors.Is(err, hostcall.ErrLayout) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// What parses lays out as the same bytes again, and nothing panics.
func FuzzParseChecks(f *testing.F) {
	f.Add(hostcall.AppendCheck(nil, jwk, []byte("input"), make([]byte, 64)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var keys []string
		checks, err := hostcall.ParseChecks(b, func(text string) (*jws.PublicKey, error) {
			keys = append(keys, text)
			return nil, nil
		})
		if err != nil {
			if checks != nil {
				t.Error("checks beside an error")
			}
			return
		}
		var again []byte
		for i, c := range checks {
			again = hostcall.AppendCheck(again, keys[i], c.Input, c.Signature)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%q became %q", b, again)
		}
	})
}

func TestSessionComesBack(t *testing.T) {
	s := hostcall.Session{
		RenewAt: time.UnixMilli(1_700_000_000_123), NotAfter: time.UnixMilli(1_700_000_900_000),
		Secret: bytes.Repeat([]byte{7}, hostcall.SeedSize), ES256: true, Binding: "a.b.c",
	}
	b := hostcall.AppendSession(nil, &s)
	back := hostcall.ParseSession(b)
	if back == nil || !back.RenewAt.Equal(s.RenewAt) || !back.NotAfter.Equal(s.NotAfter) || !bytes.Equal(back.Secret, s.Secret) ||
		!back.ES256 || back.InlineJWK || back.Binding != s.Binding {
		t.Errorf("%+v", back)
	}
	for _, none := range [][]byte{nil, hostcall.DropSession(), b[:48], append([]byte{0}, b[1:]...)} {
		if hostcall.ParseSession(none) != nil {
			t.Errorf("a session from %x", none)
		}
	}
}
