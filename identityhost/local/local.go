// Package local is the identity of last resort: a key in memory that nobody
// vouches for, for development (CONTRACT 8).
package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/uuid7"
)

// DefaultWorkload is the workload's id where KEST_WORKLOAD gives none.
const DefaultWorkload = "spiffe://kest.internal/local-workload"

// BindingTTL is how long a binding of a session key holds.
const BindingTTL = time.Hour

// Provider is a kest.Provider and a kest.Binder whose Ed25519 key lives as long
// as this process. It is safe for concurrent use.
type Provider struct{ inner kest.Provider }

var (
	_ kest.Provider = (*Provider)(nil)
	_ kest.Binder   = (*Provider)(nil)
)

// Open makes the identity of a workload; "" is DefaultWorkload. It warns.
func Open(workload string) (*Provider, error) {
	if workload == "" {
		workload = DefaultWorkload
	}
	inner, err := kest.InsecureLocalProvider(workload)
	if err != nil {
		return nil, err
	}
	return &Provider{inner}, nil
}

// Identity implements kest.Provider. The identity doesn't end.
func (p *Provider) Identity(ctx context.Context) (*kest.Identity, error) {
	return p.inner.Identity(ctx)
}

// Bind implements kest.Binder, by a binding of form (a) whose kid is the
// thumbprint of this provider's key.
func (p *Provider) Bind(ctx context.Context, key kest.PublicKey) (*kest.Bound, error) {
	id, err := p.inner.Identity(ctx)
	if err != nil {
		return nil, err
	}
	jti, err := uuid7.NewV4(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("local: randomness: %w: %w", kest.ErrUnavailable, err)
	}
	return id.BindKey(ctx, key, jti, time.Now(), BindingTTL)
}

// String hides the key from logs.
func (*Provider) String() string { return "local.Provider" }

// GoString hides the key from logs.
func (p *Provider) GoString() string { return p.String() }

// Format hides the key from logs.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }
