package aws_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
)

func open(t *testing.T, s *server, keyID string, options ...aws.Option) *aws.Provider {
	t.Helper()
	p, err := aws.Open(keyID, append([]aws.Option{aws.WithConfig(s.config())}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func identity(t *testing.T, p kest.Provider) *kest.Identity {
	t.Helper()
	id, err := p.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Each kind of key signs entries that verify, and KMS gets the whole signing
// input (CONTRACT 8), not a digest of it.
func TestKeysSign(t *testing.T) {
	for spec, want := range map[string][2]string{
		"ECC_NIST_P256":         {"ES256", "ECDSA_SHA_256"},
		"ECC_NIST_EDWARDS25519": {"EdDSA", "ED25519_SHA_512"},
		"RSA_2048":              {"RS256", "RSASSA_PKCS1_V1_5_SHA_256"},
		"RSA_3072":              {"RS256", "RSASSA_PKCS1_V1_5_SHA_256"},
		"RSA_4096":              {"RS256", "RSASSA_PKCS1_V1_5_SHA_256"},
	} {
		t.Run(spec, func(t *testing.T) {
			s := newServer(t)
			keyID := s.add(spec)
			p := open(t, s, keyID)
			kesttest.TestProvider(t, p)
			id := identity(t, p)
			if id.WorkloadID != workload || id.Key.Algorithm() != want[0] || id.BindingKeyID != keyARN(keyID) || !id.NotAfter.IsZero() || id.Binding != "" {
				t.Errorf("the identity is %s, %s, key %s, until %v", id.WorkloadID, id.Key.Algorithm(), id.BindingKeyID, id.NotAfter)
			}
			s.requests()
			evidence, err := id.SignEntry(context.Background(), &kest.Entry{}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			input := evidence[:strings.LastIndex(evidence, ".")]
			asked := s.requests()
			if len(asked) != 1 || string(asked[0].Message) != input || asked[0].MessageType != "RAW" ||
				asked[0].SigningAlgorithm != want[1] || asked[0].KeyID != keyARN(keyID) {
				t.Errorf("KMS was asked %+v for %s", asked, input)
			}
		})
	}
}

// The identity is fetched once, however many ask at once, and then never again.
func TestIdentityIsKept(t *testing.T) {
	s := newServer(t)
	p := open(t, s, s.add("ECC_NIST_P256"))
	if n := s.count("GetPublicKey") + s.count("GetCallerIdentity"); n != 0 {
		t.Errorf("Open made %d calls", n)
	}
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			id, err := p.Identity(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := id.Signer.Sign(context.Background(), []byte("input")); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if k, w := s.count("GetPublicKey"), s.count("GetCallerIdentity"); k != 1 || w != 1 {
		t.Errorf("%d calls for the key, %d for the id", k, w)
	}
}

// When KMS won't sign under the key again, the key is looked up anew: here the
// alias has moved on.
func TestIdentityIsFetchedAgainAfterARefusal(t *testing.T) {
	s := newServer(t)
	first, second := s.add("ECC_NIST_P256"), s.add("ECC_NIST_EDWARDS25519")
	s.alias("alias/orders", first)
	p := open(t, s, "alias/orders")
	id := identity(t, p)
	s.alias("alias/orders", second)
	if identity(t, p) != id || id.BindingKeyID != keyARN(first) {
		t.Error("the identity changed without an error")
	}
	s.set("Sign", refuse("DisabledException", http.StatusBadRequest))
	if _, err := id.Signer.Sign(context.Background(), []byte("input")); !errors.Is(err, kest.ErrConfiguration) {
		t.Fatalf("%v", err)
	}
	s.set("Sign", nil)
	if id = identity(t, p); id.BindingKeyID != keyARN(second) || id.Key.Algorithm() != "EdDSA" {
		t.Errorf("the key is %s", id.BindingKeyID)
	}
	kesttest.TestProvider(t, p)
}

// A key named by its ARN is asked in the ARN's region.
func TestRegionOfARN(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	s.change(keyID, func(k *kmsKey) {
		k.arn = strings.Replace(k.arn, region, "us-gov-west-1", 1)
		s.keys[k.arn] = k
	})
	for _, own := range []string{region, ""} {
		c := s.config()
		c.Region = own
		p, err := aws.Open(strings.Replace(keyARN(keyID), region, "us-gov-west-1", 1), aws.WithConfig(c))
		if err != nil {
			t.Fatal(err)
		}
		identity(t, p)
		if got := s.regionOf("GetPublicKey"); got != "us-gov-west-1" {
			t.Errorf("KMS was asked in %s", got)
		}
	}
}

// A binding holds the session key, the role's id and the key's ARN, and at
// most for an hour (IDENTITY.md).
func TestBind(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 500, time.UTC)
	for _, c := range []struct {
		spec    string
		ttl     time.Duration
		options []aws.Option
	}{
		{"ECC_NIST_P256", time.Hour, nil},
		{"RSA_2048", 10 * time.Minute, []aws.Option{aws.WithBindingTTL(10 * time.Minute)}},
		{"ECC_NIST_EDWARDS25519", time.Hour, []aws.Option{aws.WithBindingTTL(time.Hour)}},
	} {
		s := newServer(t)
		keyID := s.add(c.spec)
		p := open(t, s, keyID, append(c.options, aws.WithClock(func() time.Time { return now }))...)
		key := kesttest.NewProvider("session").Key()
		bound, err := p.Bind(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		until := now.Truncate(time.Second).Add(c.ttl)
		if bound.WorkloadID != workload || !bound.NotAfter.Equal(until) || bound.InlineJWK {
			t.Errorf("%s: bound to %s until %v", c.spec, bound.WorkloadID, bound.NotAfter)
		}
		m, err := jws.Parse(bound.Binding, kest.TypeBinding)
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.KeyID != keyARN(keyID) || !verifies(t, identity(t, p).Key, m) {
			t.Errorf("%s: kid %s, or the signature is wrong", c.spec, m.Header.KeyID)
		}
		claims, err := jcs.Parse(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		x := claims.Get("cnf").Get("jwk").Get("x").Str()
		if claims.Get("sub").Str() != workload || claims.Get("jti").Str() == "" || !strings.Contains(key.JWK(), `"`+x+`"`) ||
			claims.Get("exp").Float()-claims.Get("iat").Float() != c.ttl.Seconds() {
			t.Errorf("%s: the claims are %s", c.spec, m.Payload)
		}
	}
}

func verifies(t *testing.T, key kest.PublicKey, m jws.Message) bool {
	t.Helper()
	v, err := jcs.ParseString(key.JWK())
	if err != nil {
		t.Fatal(err)
	}
	public, err := jws.ParseJWK(v)
	if err != nil {
		t.Fatal(err)
	}
	return jws.VerifyAll([]jws.Check{{Key: public, Input: []byte(m.Input), Signature: m.Signature}})
}

func TestBindNeedsAKeyAndAnIdentity(t *testing.T) {
	s := newServer(t)
	p := open(t, s, s.add("ECC_NIST_P256"))
	if bound, err := p.Bind(context.Background(), kest.PublicKey{}); bound != nil || !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("without a key: %v", err)
	}
	s.set("GetCallerIdentity", refuseQuery("Throttling", http.StatusBadRequest))
	if bound, err := p.Bind(context.Background(), kesttest.NewProvider("session").Key()); bound != nil || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("without an identity: %v", err)
	}
}

// Session keys under a KMS key: KMS is asked once for many entries.
func TestSession(t *testing.T) {
	s := newServer(t)
	session := kest.NewSession(open(t, s, s.add("RSA_2048")), nil)
	kesttest.TestProvider(t, session)
	if id := identity(t, session); id.WorkloadID != workload || id.Binding == "" || s.count("Sign") != 1 {
		t.Errorf("%s with %d calls", id.WorkloadID, s.count("Sign"))
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		keyID  string
		option aws.Option
	}{
		"no key":            {"", aws.WithTimeout(time.Second)},
		"a line end":        {"alias/x\n", aws.WithTimeout(time.Second)},
		"a long key":        {strings.Repeat("x", 2049), aws.WithTimeout(time.Second)},
		"no time-out":       {"alias/x", aws.WithTimeout(0)},
		"no life":           {"alias/x", aws.WithBindingTTL(0)},
		"more than an hour": {"alias/x", aws.WithBindingTTL(time.Hour + time.Second)},
	} {
		if p, err := aws.Open(c.keyID, c.option); p != nil || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
		if k, err := aws.OpenKey(c.keyID, c.option); k != nil || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
