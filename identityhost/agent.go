package identityhost

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/uuid7"
)

// Agent is the method table of DESIGN 6: it binds session keys to this
// workload, finds verified keys of others and keeps claims. It knows no
// transport: Handler serves it over HTTP, a Go host by functions. Its methods
// are safe for concurrent use, and each error of theirs is a *RequestError.
type Agent struct {
	provider kest.Provider
	keys     kest.KeySource
	cache    kest.Cache
	now      func() time.Time

	local       bool // bindings stay in this process
	ttl         time.Duration
	grace       time.Duration
	maxSessions int
	maxClaims   int64 // bytes

	rate    *bucket
	replays replays
	table   table
	claims  claimMeter
}

// AgentOption changes an Agent.
type AgentOption func(*Agent)

// The limits of an Agent.
const (
	DefaultSessionTTL  = time.Hour
	DefaultGrace       = 10 * time.Minute
	DefaultMaxSessions = 4096
	DefaultSessionRate = 50       // a second
	DefaultMaxClaims   = 64 << 20 // bytes
	MaxSessionTTL      = time.Hour
)

// WithSessionTTL sets how long a session key is used, at most MaxSessionTTL. A
// binding that this agent signs holds for just as long; one that the provider
// makes (kest.Binder) may hold for longer.
func WithSessionTTL(d time.Duration) AgentOption { return func(a *Agent) { a.ttl = d } }

// WithGrace sets how long a binding is kept after its end, for verifiers that
// accept entries a little later. It should exceed their grace.
func WithGrace(d time.Duration) AgentOption { return func(a *Agent) { a.grace = d } }

// WithMaxSessions limits the bindings that the agent keeps in memory, those in
// their grace included.
func WithMaxSessions(n int) AgentOption { return func(a *Agent) { a.maxSessions = n } }

// WithSessionRate limits how many keys are bound in a second; twice as many may
// come at once.
func WithSessionRate(perSecond int) AgentOption {
	return func(a *Agent) { a.rate = newBucket(perSecond) }
}

// WithMaxClaims limits the bytes of live claims put through this agent,
// whatever room the cache has, and their number: one for each KiB, 1024 at least.
func WithMaxClaims(bytes int64) AgentOption { return func(a *Agent) { a.maxClaims = bytes } }

// WithLocalBindings keeps bindings out of the cache: only who asks this agent
// finds them. It is for a cache that no other agent reads.
func WithLocalBindings() AgentOption { return func(a *Agent) { a.local = true } }

// WithClock replaces time.Now.
func WithClock(now func() time.Time) AgentOption { return func(a *Agent) { a.now = now } }

// NewAgent makes an agent for the workload of a provider. A provider that is a
// kest.Binder binds session keys itself; for any other the agent has a binding of
// form (a) signed. The key source vouches for what others bind, and what stands
// in the cache is verified by it anew each time. What the provider itself signs
// and binds for its own workload counts always, unless a chain stands behind its
// key: the key source judges that. The cache keeps claims, and bindings for
// agents that share it. Errors wrap kest.ErrConfiguration.
func NewAgent(provider kest.Provider, keys kest.KeySource, cache kest.Cache, options ...AgentOption) (*Agent, error) {
	if provider == nil || keys == nil || cache == nil {
		return nil, fmt.Errorf("identityhost: an agent needs a provider, a key source and a cache: %w", kest.ErrConfiguration)
	}
	a := &Agent{
		provider: provider, cache: cache, now: time.Now,
		ttl: DefaultSessionTTL, grace: DefaultGrace, maxSessions: DefaultMaxSessions, maxClaims: DefaultMaxClaims,
		rate: newBucket(DefaultSessionRate),
	}
	for _, o := range options {
		o(a)
	}
	if a.ttl < time.Second || a.ttl > MaxSessionTTL || a.grace < 0 || a.maxSessions <= 0 || a.rate.perSecond <= 0 || a.maxClaims <= 0 || a.now == nil {
		return nil, fmt.Errorf("identityhost: a limit of the agent is out of its range: %w", kest.ErrConfiguration)
	}
	a.keys = kest.KeySources{ownKeys{provider, &a.table, a.now, a.grace}, keys}
	return a, nil
}

// providerTimeout bounds what is asked of the provider and the key source.
const providerTimeout = 10 * time.Second

// Ready returns nil once the workload has an identity; a proxy in front of an
// agent that isn't ready refuses everything with 503.
func (a *Agent) Ready(ctx context.Context) error {
	_, err := a.identity(ctx)
	return err
}

// identity is the workload's, or an error of status 503.
func (a *Agent) identity(ctx context.Context) (*kest.Identity, error) {
	id, err := a.provider.Identity(ctx)
	if err != nil {
		return nil, unavailable("the workload has no identity yet", err)
	}
	if id == nil || id.WorkloadID == "" || id.Key.IsZero() {
		return nil, unavailable("the workload has no identity yet", nil)
	}
	if !id.NotAfter.IsZero() && !a.now().Before(id.NotAfter) {
		return nil, unavailable("the workload's identity has expired", nil)
	}
	return id, nil
}

// Maintain publishes live bindings again, which a cache may have lost by a
// restart, and forgets those that are over. It returns when the context ends.
func (a *Agent) Maintain(ctx context.Context) {
	for tick := time.NewTicker(maintainEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			a.publishAll(ctx)
		}
	}
}

// maintainEvery is less than the 30 s within which all must be well again.
const maintainEvery = 10 * time.Second

// newJTI names a binding.
func newJTI() (string, error) { return uuid7.NewV4(rand.Reader) }
