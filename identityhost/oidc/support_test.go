package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"kest.example/kest"
	"kest.example/kest/identityhost/oidc"
	"kest.example/kest/internal/issuertest"
)

const workload = issuertest.Name + "#orders"

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func claims(changes ...any) map[string]any { return issuertest.Claims("orders", changes...) }

// tokenFile is a file with a token.
func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, text)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, source oidc.Source, opts ...oidc.Option) *oidc.Provider {
	t.Helper()
	p, err := oidc.Open(source, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func identity(t *testing.T, p kest.Provider) *kest.Identity {
	t.Helper()
	id, err := p.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wantFailure wants no identity and no binding, for a cause.
func wantFailure(t *testing.T, p *oidc.Provider, cause error) {
	t.Helper()
	id, err := p.Identity(t.Context())
	if id != nil || !errors.Is(err, kest.ErrUnavailable) || cause != nil && !errors.Is(err, cause) {
		t.Errorf("Identity: %v, want %v", err, cause)
	}
	bound, err := p.Bind(t.Context(), sessionKey(t).Key)
	if bound != nil || !errors.Is(err, kest.ErrUnavailable) || cause != nil && !errors.Is(err, cause) {
		t.Errorf("Bind: %v, want %v", err, cause)
	}
}

// sessionKey is a key to bind.
func sessionKey(t *testing.T) *kest.Identity {
	t.Helper()
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	id, err := kest.SeedIdentity("session", seed)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// kmsKey is a P-256 key as KMS has them.
type kmsKey struct {
	private *ecdsa.PrivateKey
	public  kest.PublicKey
}

const keyARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func newKMSKey(t *testing.T) *kmsKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: &private.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	public, err := kest.ParsePublicKey(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return &kmsKey{private, public}
}

func (k *kmsKey) Sign(_ context.Context, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

func (k *kmsKey) lookUp(context.Context) (kest.PublicKey, kest.Signer, string, error) {
	return k.public, k, keyARN, nil
}
