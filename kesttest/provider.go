package kesttest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"kest.example/kest"
)

// Provider is a kest.Provider with a key that follows from the workload's id,
// so that a test's keys are the same in every run. Anybody can make it.
type Provider struct {
	identity *kest.Identity

	mu      sync.Mutex
	failure error
	asked   int
}

var _ kest.Provider = (*Provider)(nil)

// NewProvider makes a provider that is ready. It panics without a workload id.
func NewProvider(workload string) *Provider {
	seed := sha256.Sum256([]byte("kesttest " + workload))
	identity, err := kest.SeedIdentity(workload, seed[:])
	if err != nil {
		panic("kesttest: " + err.Error())
	}
	return &Provider{identity: identity}
}

// NotReady makes a provider that has no identity yet. SetError(nil) makes it ready.
func NotReady(workload string) *Provider {
	p := NewProvider(workload)
	p.SetError(fmt.Errorf("kesttest: no identity yet: %w", kest.ErrUnavailable))
	return p
}

// SetError has Identity fail from now on, or work again where err is nil.
func (p *Provider) SetError(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

// Identity implements kest.Provider.
func (p *Provider) Identity(context.Context) (*kest.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.failure != nil {
		return nil, p.failure
	}
	return p.identity, nil
}

// Asked returns how often Identity was called.
func (p *Provider) Asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// Key returns the public key, whether the provider is ready or not.
func (p *Provider) Key() kest.PublicKey { return p.identity.Key }

// Workload returns the workload's id.
func (p *Provider) Workload() string { return p.identity.WorkloadID }

// StaticKeys returns the keys of providers as a source.
func StaticKeys(providers ...*Provider) kest.StaticKeys {
	keys := make(kest.StaticKeys, len(providers))
	for _, p := range providers {
		keys[p.Workload()] = append(keys[p.Workload()], p.Key())
	}
	return keys
}
