package oidc_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/oidc"
	"kest.example/kest/internal/issuertest"
	"kest.example/kest/kesttest"
	"kest.example/kest/keys"
)

func TestIdentityFromAFile(t *testing.T) {
	issuer := issuertest.New(t)
	end := time.Now().Add(10 * time.Minute).Unix()
	for name, text := range map[string]string{
		"the token alone":     issuer.Sign(claims("exp", end)),
		"with a line end":     issuer.Sign(claims("exp", end)) + "\n",
		"without typ and kid": issuer.Default.Sign(map[string]any{"typ": nil, "kid": nil}, claims("exp", end)),
		"of several aud":      issuer.Sign(claims("exp", end, "aud", []string{"a", "b"})),
		"without aud":         issuer.Sign(claims("exp", end, "aud", nil)),
		"begins soon":         issuer.Sign(claims("exp", end, "nbf", time.Now().Unix()+20)),
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, oidc.File(tokenFile(t, text)))
			if p.Issuer() != "" || p.Subject() != "" {
				t.Error("it knows who it is before it has read the token")
			}
			kesttest.TestProvider(t, p)
			id := identity(t, p)
			if id.WorkloadID != workload || id.Key.Algorithm() != "EdDSA" || id.NotAfter.Unix() != end || id.Binding != "" {
				t.Errorf("%+v", id)
			}
			if p.Issuer() != issuertest.Name || p.Subject() != "orders" {
				t.Errorf("iss %q, sub %q", p.Issuer(), p.Subject())
			}
			if again := identity(t, p); again.Key != id.Key {
				t.Error("the key changes from call to call")
			}
		})
	}
}

func TestTokensThatGiveNoIdentity(t *testing.T) {
	issuer := issuertest.New(t)
	now := time.Now().Unix()
	good := issuer.Sign(claims())
	for name, c := range map[string]struct {
		text  string
		cause error
	}{
		"empty":              {"", oidc.ErrToken},
		"no token":           {"secret", oidc.ErrToken},
		"two tokens":         {good + "\n" + good, oidc.ErrToken},
		"too long":           {issuer.Sign(claims("x", strings.Repeat("x", 17<<10))), oidc.ErrToken},
		"far too long":       {strings.Repeat("x", 1<<20), oidc.ErrToken},
		"expired":            {issuer.Sign(claims("exp", now-1)), oidc.ErrExpired}, // a signer has no skew
		"not yet":            {issuer.Sign(claims("nbf", now+90)), oidc.ErrToken},
		"no exp":             {issuer.Sign(claims("exp", nil)), oidc.ErrToken},
		"no iss":             {issuer.Sign(claims("iss", nil)), oidc.ErrToken},
		"no sub":             {issuer.Sign(claims("sub", nil)), oidc.ErrToken},
		"sub is a number":    {issuer.Sign(claims("sub", 7)), oidc.ErrToken},
		"iss with #":         {issuer.Sign(claims("iss", "https://a#b")), oidc.ErrToken},
		"alg none":           {issuer.Default.As("none", nil).Sign(nil, claims()), oidc.ErrToken},
		"alg HS256":          {issuer.Default.As("HS256", []byte("k")).Sign(nil, claims()), oidc.ErrToken},
		"crit":               {issuer.Default.Sign(map[string]any{"crit": []string{"x"}}, claims()), oidc.ErrToken},
		"typ of a binding":   {issuer.Default.Sign(map[string]any{"typ": kest.TypeBinding}, claims()), oidc.ErrToken},
		"a repeated claim":   {issuer.Default.SignText(`{"alg":"ES256"}`, `{"sub":"a","sub":"b","iss":"i","exp":4102444800}`), oidc.ErrToken},
		"no JSON":            {issuer.Default.SignText(`{"alg":"ES256"}`, `x`), oidc.ErrToken},
		"a signature padded": {good + "==", oidc.ErrToken},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, oidc.File(tokenFile(t, c.text)))
			wantFailure(t, p, c.cause)
			kesttest.TestProviderNotReady(t, p)
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path  string
		cause error
	}{"missing": {filepath.Join(dir, "none"), os.ErrNotExist}, "a folder": {dir, nil}, "a pipe": {pipe, nil}, "a link to itself": {loop, nil}} {
		t.Run(name, func(t *testing.T) { wantFailure(t, open(t, oidc.File(c.path)), c.cause) })
	}
}

// A file that comes later is found without a restart.
func TestALateFile(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	path := filepath.Join(t.TempDir(), "token")
	p := open(t, oidc.File(path), oidc.WithClock(clock.now))
	wantFailure(t, p, os.ErrNotExist)
	write(t, path, issuer.Sign(claims()))
	clock.pass(time.Second)
	if id := identity(t, p); id.WorkloadID != workload {
		t.Error(id.WorkloadID)
	}
}

// Kubernetes writes a new folder and swaps the link to it.
func TestTheFileIsSwappedAsInKubernetes(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	dir := t.TempDir()
	publish := func(folder string, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, folder, "token"), text)
		if err := os.Symlink(folder, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	first, second := clock.now().Add(time.Minute).Unix(), clock.now().Add(2*time.Minute).Unix()
	publish("..2026_1", issuer.Sign(claims("exp", first)))
	if err := os.Symlink(filepath.Join("..data", "token"), filepath.Join(dir, "token")); err != nil {
		t.Fatal(err)
	}
	p := open(t, oidc.File(filepath.Join(dir, "token")), oidc.WithClock(clock.now))
	before := identity(t, p)
	publish("..2026_2", issuer.Sign(claims("exp", second)))
	if err := os.RemoveAll(filepath.Join(dir, "..2026_1")); err != nil {
		t.Fatal(err)
	}
	clock.pass(time.Second)
	after := identity(t, p)
	if before.NotAfter.Unix() != first || after.NotAfter.Unix() != second || after.Key != before.Key {
		t.Errorf("until %v, then until %v", before.NotAfter, after.NotAfter)
	}
}

// While the last good token holds, a bad one in its place does no harm, and
// when it has ended nothing is signed.
func TestABadReplacement(t *testing.T) {
	issuer := issuertest.New(t)
	for name, text := range map[string]string{
		"half a token": issuer.Sign(claims())[:80], "empty": "", "an expired one": issuer.Sign(claims("exp", 1)),
		"a stranger's": issuertest.NewKey(t, "ES256", "k1").Sign(nil, claims("exp", 4102444800)),
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			path := tokenFile(t, issuer.Sign(claims("exp", clock.now().Add(time.Minute).Unix())))
			p := open(t, oidc.File(path), oidc.WithClock(clock.now), oidc.WithKeys(jwks(t, issuer)))
			id := identity(t, p)
			write(t, path, text)
			for range 3 {
				clock.pass(15 * time.Second)
				if again := identity(t, p); !again.NotAfter.Equal(id.NotAfter) {
					t.Errorf("until %v", again.NotAfter)
				}
			}
			clock.pass(15 * time.Second)
			wantFailure(t, p, nil)
			write(t, path, issuer.Sign(claims("exp", clock.now().Add(time.Hour).Unix())))
			clock.pass(time.Second)
			if again := identity(t, p); again.Key != id.Key {
				t.Error("another key")
			}
		})
	}
}

func TestATokenThatEndsIsNotUsed(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	p := open(t, oidc.File(tokenFile(t, issuer.Sign(claims("exp", clock.now().Add(time.Minute).Unix())))), oidc.WithClock(clock.now))
	identity(t, p)
	clock.pass(time.Minute)
	wantFailure(t, p, oidc.ErrExpired)
}

func TestVariable(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	text, there := "", false
	env := func(name string) (string, bool) {
		if name != "KEST_OIDC_TOKEN" {
			t.Errorf("%s was asked for", name)
		}
		return text, there
	}
	p := open(t, oidc.Variable("KEST_OIDC_TOKEN", env), oidc.WithClock(clock.now))
	wantFailure(t, p, nil)
	text, there = issuer.Sign(claims()), true
	clock.pass(time.Second)
	if id := identity(t, p); id.WorkloadID != workload {
		t.Error(id.WorkloadID)
	}
	text = issuer.Sign(issuertest.Claims("refunds"))
	clock.pass(time.Second)
	if id := identity(t, p); id.WorkloadID != issuertest.Name+"#refunds" {
		t.Error(id.WorkloadID)
	}
}

func jwks(t *testing.T, issuer *issuertest.Issuer) *keys.JWKS {
	t.Helper()
	set, err := keys.OpenJWKS(issuer.JWKS(), keys.RetryAfter(time.Millisecond, 10*time.Millisecond), keys.AskAgainAfter(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	return set
}

func TestTheTokensSignature(t *testing.T) {
	issuer := issuertest.New(t)
	set := jwks(t, issuer)
	rs := issuertest.NewKey(t, "RS256", "k2")
	issuer.Publish(rs)
	stranger := issuertest.NewKey(t, "ES256", "k1")
	if id := identity(t, open(t, oidc.File(tokenFile(t, rs.Sign(nil, claims()))), oidc.WithKeys(set))); id.WorkloadID != workload {
		t.Error(id.WorkloadID)
	}
	for name, text := range map[string]string{
		"a stranger's":   stranger.Sign(nil, claims()),
		"an unknown kid": issuer.Default.Sign(map[string]any{"kid": "k9"}, claims()),
		"no kid":         issuer.Default.Sign(map[string]any{"kid": nil}, claims()),
		"another alg":    issuer.Default.Sign(map[string]any{"alg": "RS256"}, claims()),
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, open(t, oidc.File(tokenFile(t, text)), oidc.WithKeys(set)), oidc.ErrToken)
		})
	}
}

// Without the issuer's keys nobody can tell; they are asked again.
func TestTheIssuersKeysGoAwayAndComeBack(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	issuer.Stop()
	p := open(t, oidc.File(tokenFile(t, issuer.Sign(claims()))), oidc.WithKeys(jwks(t, issuer)), oidc.WithClock(clock.now))
	wantFailure(t, p, nil)
	issuer.Start(t)
	for range 1000 {
		clock.pass(time.Second)
		if id, err := p.Identity(t.Context()); err == nil {
			issuer.Stop()
			clock.pass(time.Minute)
			if again := identity(t, p); again.Key != id.Key { // the token is known
				t.Error("another key")
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it does not recover")
}

func TestConcurrentUse(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	path := tokenFile(t, issuer.Sign(claims()))
	p := open(t, oidc.File(path), oidc.WithClock(clock.now))
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 50 {
				if i == 0 {
					clock.pass(time.Second)
				}
				if id, err := p.Identity(t.Context()); err != nil || id.WorkloadID != workload {
					t.Errorf("%v", err)
				}
				_ = p.Issuer()
			}
		})
	}
	wait.Wait()
}
