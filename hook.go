package kest

import (
	"context"
	"crypto/rand"
	"io"
	"sync"
	"time"
)

// Hook decides and signs in process. Make one for a process and use it for
// all operations; it is safe for concurrent use.
type Hook struct {
	provider Provider
	engine   Engine
	workshop Workshop
	now      func() time.Time
	onSigned func(context.Context, *Signed)
}

// HookOption changes one choice of a Hook.
type HookOption func(*Hook)

// WithPolicies sets the policies of the higher tiers and their deviations.
func WithPolicies(c PolicyConfig) HookOption { return func(h *Hook) { h.workshop.Policies = c } }

// WithHookClock replaces the clock, for tests.
func WithHookClock(now func() time.Time) HookOption { return func(h *Hook) { h.now = now } }

// WithRandom replaces the source of entry ids, for tests.
func WithRandom(r io.Reader) HookOption { return func(h *Hook) { h.workshop.Random = r } }

// WithTrustEvaluator replaces min(parents) × self / 100.
func WithTrustEvaluator(t TrustEvaluator) HookOption {
	return func(h *Hook) { h.workshop.Trust = t }
}

// WithHookOrigins adds registered origins.
func WithHookOrigins(o Origins) HookOption { return func(h *Hook) { h.workshop.Origins = o } }

// WithConfigDigest sets environment kest.config of all entries.
func WithConfigDigest(digest string) HookOption { return func(h *Hook) { h.workshop.Digest = digest } }

// WithShadowSink is told what shadow policies say.
func WithShadowSink(f func(policy string, d Decision, err error)) HookOption {
	return func(h *Hook) { h.workshop.Shadow = f }
}

// WithSignedSink is told of every entry that was signed, after its operation.
func WithSignedSink(f func(context.Context, *Signed)) HookOption {
	return func(h *Hook) { h.onSigned = f }
}

// NewHook makes a hook of an identity and an engine.
func NewHook(provider Provider, engine Engine, options ...HookOption) (*Hook, error) {
	h := &Hook{provider: provider, engine: engine, now: time.Now, workshop: Workshop{Random: rand.Reader}}
	for _, o := range options {
		o(h)
	}
	if provider == nil || engine == nil {
		return nil, configurationError("a hook needs a provider and an engine")
	}
	return h, h.workshop.Policies.Validate()
}

// Operation is a hop that was checked against a hook.
type Operation struct {
	hook *Hook
	hop  Hop
}

// Operation checks a hop: its policies must not be empty over all tiers.
func (h *Hook) Operation(hop Hop) (*Operation, error) {
	if err := hop.Validate(h.workshop.Origins); err != nil {
		return nil, err
	}
	if err := h.workshop.Ready(&hop, h.now()); err != nil {
		return nil, err
	}
	return &Operation{hook: h, hop: hop}, nil
}

// CallOption sets one thing of one invocation; it beats baggage and configuration.
type CallOption func(*Call)

// OnBehalfOf sets user, agent and task.
func OnBehalfOf(a Actor) CallOption { return func(c *Call) { c.Actor = a } }

// OnResource sets what is acted upon.
func OnResource(r Resource) CallOption { return func(c *Call) { c.Resource = r } }

// WithTraceparent sets the W3C trace context of the call.
func WithTraceparent(traceparent string) CallOption {
	return func(c *Call) {
		c.Traceparent = traceparent
		if len(traceparent) >= 35 {
			c.TraceID = traceparent[3:35]
		}
	}
}

// WithInputHash sets input_hash, the lower-case hex SHA-256 of the input.
func WithInputHash(hash string) CallOption { return func(c *Call) { c.InputHash = hash } }

// Do runs f if the policies allow it, in the fixed order of CONTRACT 7: the
// operation never runs unless its entry was allowed and signed, and every
// allowed invocation yields exactly one entry. The lineage comes from ctx
// (see WithLineage), and f's context carries it with the new entry. The error
// is f's, a *DenialError, ErrNoRoot, or wraps ErrUnavailable.
func (o *Operation) Do(ctx context.Context, f func(ctx context.Context) error, options ...CallOption) error {
	scope := scopeOf(ctx)
	lineage, claimed := scope.get()
	proven := ProvenActor(claimed, lineage)
	call := Call{Now: o.hook.now(), Actor: proven}
	for _, option := range options {
		option(&call)
	}
	if call.Actor != proven {
		claimed = call.Actor
	}
	signed, err := o.hook.decide(ctx, lineage, &o.hop, call)
	if err != nil {
		return err
	}
	inner := newScope(signed.Lineage, claimed) // what accessors return, proven or not (TC-12)
	err = f(context.WithValue(ctx, scopeKey{}, inner))
	after, _ := inner.get()
	scope.update(lineage, after)
	if o.hook.onSigned != nil {
		o.hook.onSigned(ctx, signed)
	}
	return err
}

func (h *Hook) decide(ctx context.Context, l *Lineage, hop *Hop, call Call) (*Signed, error) {
	identity, err := h.provider.Identity(ctx)
	if err != nil {
		return nil, unavailable("the identity", err)
	}
	pending, err := h.workshop.Prepare(l, hop, call, identity)
	if err != nil {
		return nil, err
	}
	if call.Traceparent != "" {
		ctx = ContextWithTraceparent(ctx, call.Traceparent)
	}
	return h.workshop.Finish(ctx, pending, h.engine)
}

// Verified wraps a function so that it runs only when the operation is allowed.
func Verified[In, Out any](o *Operation, f func(ctx context.Context, in In) (Out, error), options ...CallOption) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		var out Out
		err := o.Do(ctx, func(ctx context.Context) (err error) {
			out, err = f(ctx, in)
			return err
		}, options...)
		return out, err
	}
}

// scope holds the lineage of one operation while it runs: calls in sequence
// chain on, concurrent ones each start where it stood when they began.
type scope struct {
	mu      sync.Mutex
	lineage *Lineage
	actor   Actor
}

type scopeKey struct{}

func newScope(l *Lineage, a Actor) *scope { return &scope{lineage: l, actor: a} }

func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return newScope(EmptyLineage(), Actor{})
}

func (s *scope) get() (*Lineage, Actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lineage, s.actor
}

// update takes over what a call made of the lineage with which it began; where
// another call ended meanwhile, both branches count.
func (s *scope) update(before, after *Lineage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lineage == before {
		s.lineage = after
	} else {
		s.lineage = s.lineage.join(after)
	}
}

// WithLineage puts a verified lineage and what baggage says of the actor into
// the context, where hooks find them.
func WithLineage(ctx context.Context, l *Lineage, claimed Actor) context.Context {
	return context.WithValue(ctx, scopeKey{}, newScope(l, claimed))
}

// CurrentLineage returns the lineage as it stands in the context; never nil.
func CurrentLineage(ctx context.Context) *Lineage {
	l, _ := scopeOf(ctx).get()
	return l
}

// CurrentActor returns user, agent and task as the context has them (TC-12).
func CurrentActor(ctx context.Context) Actor {
	_, a := scopeOf(ctx).get()
	return a
}
