// Package identityhost serves identity, keys, signing and claims to filters: as
// host functions kest.* of a Go host.
package identityhost

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/ed25519"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jws"
	"kest.example/kest/plugin/proxywasm"
)

// Function is one host function; it has the form of host.Function.
type Function = func(ctx context.Context, argument []byte) ([]byte, proxywasm.Status)

// Service is the method table behind the host functions. It is safe for
// concurrent use.
type Service struct {
	cache   kest.Cache // nil keeps no claims
	public  memo[*jws.PublicKey]
	private memo[*ed25519.PrivateKey]
}

// New makes a service; a nil cache has no claims.
func New(cache kest.Cache) *Service { return &Service{cache: cache} }

// Functions returns the host functions by name.
func (s *Service) Functions() map[string]Function {
	functions := map[string]Function{
		hostcall.Verify: s.verify, hostcall.Sign: s.sign, hostcall.SignES256: s.signES256,
		hostcall.Digest: sum,
	}
	if s.cache != nil {
		functions[hostcall.ClaimPut], functions[hostcall.ClaimGet] = s.claimPut, s.claimGet
	}
	return functions
}

// verify checks a batch of signatures at native speed: the layout is
// hostcall.AppendCheck's, the answer one byte, 1 when all are good. An argument
// that is no such layout, or a key that is none, is BadArgument.
func (s *Service) verify(_ context.Context, argument []byte) ([]byte, proxywasm.Status) {
	checks, err := hostcall.ParseChecks(argument, func(jwk string) (*jws.PublicKey, error) {
		return s.public.get(jwk, hostcall.ParseKey)
	})
	if err != nil {
		return nil, proxywasm.BadArgument
	}
	if jws.VerifyAll(checks) {
		return []byte{1}, proxywasm.OK
	}
	return []byte{0}, proxywasm.OK
}

// sign makes an Ed25519 signature with the seed that the guest holds anyway:
// this process can read its memory.
func (s *Service) sign(_ context.Context, argument []byte) ([]byte, proxywasm.Status) {
	if len(argument) < hostcall.SeedSize {
		return nil, proxywasm.BadArgument
	}
	key, err := s.private.get(string(argument[:hostcall.SeedSize]), func(seed string) (*ed25519.PrivateKey, error) {
		return ed25519.NewPrivateKey([]byte(seed))
	})
	if err != nil {
		return nil, proxywasm.BadArgument
	}
	return key.Sign(argument[hostcall.SeedSize:]), proxywasm.OK
}

// sum is SHA-256 at native speed.
func sum(_ context.Context, text []byte) ([]byte, proxywasm.Status) {
	s := sha256.Sum256(text)
	return s[:], proxywasm.OK
}

// claimPut stores a claim; a UUID that is taken or a cache that is full is InternalFailure.
func (s *Service) claimPut(ctx context.Context, argument []byte) ([]byte, proxywasm.Status) {
	id, body, seconds, err := hostcall.ParseClaim(argument)
	if err != nil {
		return nil, proxywasm.BadArgument
	}
	if err := s.cache.Put(ctx, kest.ClaimKey(id), body, time.Duration(seconds)*time.Second); err != nil {
		return nil, proxywasm.InternalFailure
	}
	return nil, proxywasm.OK
}

// claimGet returns a claim's body, an empty one where there is none.
func (s *Service) claimGet(ctx context.Context, argument []byte) ([]byte, proxywasm.Status) {
	body, err := s.cache.Get(ctx, kest.ClaimKey(string(argument)))
	switch {
	case errors.Is(err, kest.ErrNotFound):
		return nil, proxywasm.OK
	case err != nil:
		return nil, proxywasm.InternalFailure
	}
	return body, proxywasm.OK
}

// memo remembers what is costly to parse, at most maxMemo of it.
type memo[T any] struct {
	mu    sync.Mutex
	known map[string]T
}

const maxMemo = 1024

func (m *memo[T]) get(name string, parse func(string) (T, error)) (T, error) {
	m.mu.Lock()
	v, ok := m.known[name]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := parse(name)
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMemo {
		m.known = make(map[string]T)
	}
	m.known[name] = v
	return v, nil
}
