package local_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/local"
	"kest.example/kest/internal/secretscan"
	"kest.example/kest/kesttest"
	"kest.example/kest/keys"
)

// open opens a provider and returns what it logged.
func open(t *testing.T, workload string) (*local.Provider, string) {
	t.Helper()
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	p, err := local.Open(workload)
	if err != nil {
		t.Fatal(err)
	}
	return p, log.String()
}

func TestIdentity(t *testing.T) {
	for workload, want := range map[string]string{"": "spiffe://kest.internal/local-workload", "spiffe://example.org/mine": "spiffe://example.org/mine"} {
		p, log := open(t, workload)
		kesttest.TestProvider(t, p)
		id, err := p.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if id.WorkloadID != want || id.Key.Algorithm() != "EdDSA" || !id.NotAfter.IsZero() {
			t.Errorf("%+v", id)
		}
		if !strings.Contains(log, "level=WARN") || !strings.Contains(log, want) {
			t.Errorf("no warning: %q", log)
		}
		other, _ := open(t, workload)
		if second, err := other.Identity(t.Context()); err != nil || second.Key.Thumbprint() == id.Key.Thumbprint() {
			t.Errorf("two providers share a key: %v", err)
		}
	}
}

// A verifier that lists the provider's key takes the session keys that it binds.
func TestBind(t *testing.T) {
	p, _ := open(t, "")
	id, err := p.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	session, err := kest.SeedIdentity("session", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	bound, err := p.Bind(t.Context(), session.Key)
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Until(bound.NotAfter)
	if bound.WorkloadID != local.DefaultWorkload || bound.InlineJWK || hour > time.Hour || hour < 59*time.Minute {
		t.Errorf("%+v", bound)
	}
	v := keys.NewVerifier(keys.WithSigners(keys.Signer{Principals: []kest.Pattern{local.DefaultWorkload}, Keys: []kest.PublicKey{id.Key}}))
	key, err := v.Binding(t.Context(), local.DefaultWorkload, bound.Binding, kest.PublicKey{})
	if err != nil || key.Public.Thumbprint() != session.Key.Thumbprint() {
		t.Errorf("a verifier refuses the binding: %v", err)
	}
	second, err := p.Bind(t.Context(), session.Key)
	if err != nil || second.Binding == bound.Binding {
		t.Errorf("two bindings have one name: %v", err)
	}
}

func TestNothingShowsTheKey(t *testing.T) {
	p, log := open(t, "")
	id, err := p.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	scan := secretscan.New()
	scan.AddKeyID(id.Key.Thumbprint())
	for _, f := range scan.Scan("what shows", []byte(log+secretscan.Printed(p, id, *id, id.Signer))) {
		t.Error(f)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if got := fmt.Sprintf(verb, p); got != "local.Provider" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
