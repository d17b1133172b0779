// Package detect finds out what gives this workload its identity, in the order
// of CONTRACT 8, and says why not the others.
package detect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/identityhost/spire"
)

// Kinds of providers, in the order in which they are considered.
const (
	SPIRE     = "spire"
	AgentCore = "agentcore"
	KMS       = "kms"
	OIDC      = "oidc"
	Local     = "local"

	// Auto takes the first that is there.
	Auto = "auto"
)

// Kinds returns what Open takes as its kind.
func Kinds() []string { return []string{Auto, SPIRE, KMS, AgentCore, OIDC, Local} }

// Provider is an identity that signs itself and binds session keys.
type Provider interface {
	kest.Provider
	kest.Binder
}

// Considered says what became of one kind of provider.
type Considered struct {
	Provider string `json:"provider"`
	Taken    bool   `json:"taken"`
	Reason   string `json:"reason"`
}

// Opened is the provider that was taken.
type Opened struct {
	Kind       string
	Provider   Provider
	Considered []Considered // all five, in order, one of them taken

	close func() error
}

// Close ends the provider.
func (o *Opened) Close() error {
	if o.close == nil {
		return nil
	}
	return o.close()
}

// Await returns the identity, and waits until ctx ends for a provider that
// connects in the background. The error is an *Error.
func (o *Opened) Await(ctx context.Context) (*kest.Identity, error) {
	for {
		var updated <-chan struct{}
		if p, ok := o.Provider.(kest.Updater); ok {
			updated = p.Updated()
		}
		id, err := o.Provider.Identity(ctx)
		if err == nil {
			return id, nil
		}
		if updated == nil {
			return nil, &Error{o.Kind, err}
		}
		select {
		case <-updated:
		case <-ctx.Done():
			return nil, &Error{o.Kind, err}
		}
	}
}

// Error says that a provider was taken and fails: no other one takes its place.
type Error struct {
	Provider string // its kind
	Err      error
}

func (e *Error) Error() string {
	return "the identity " + e.Provider + " was taken and can't be used: " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Option is a choice that Open takes.
type Option func(*search)

// Probe has Open ask whether the Workload API is there, as a command does that
// shows the choice once. One that is set and dead is then passed over. Without
// it, what serves takes it and is not ready until it comes: SPIRE may be late,
// and a proxy must not start as another workload.
func Probe() Option { return func(s *search) { s.probe = true } }

// WithSPIRE passes options on to spire.Open, such as spire.OnBundles.
func WithSPIRE(opts ...spire.Option) Option {
	return func(s *search) { s.spire = append(s.spire, opts...) }
}

// WithAWS passes options on to what is opened in AWS.
func WithAWS(opts ...aws.Option) Option {
	return func(s *search) { s.aws = append(s.aws, opts...) }
}

// search is one call of Open.
type search struct {
	kind  string
	env   func(string) (string, bool)
	probe bool
	spire []spire.Option
	aws   []aws.Option
}

// value returns a variable; an empty one counts as not set.
func (s *search) value(name string) string {
	text, _ := s.env(name)
	return text
}

// Open takes a provider of a kind: Auto, or one of the others, which then is
// taken whether its variables are there or not. env finds a variable, such as
// os.LookupEnv.
//
// A provider that isn't there, since its variable is unset or its file missing,
// is passed over. One that is there and can't be used is an *Error and never the
// next one's turn. Providers open lazily: see Await. An unknown kind wraps
// kest.ErrConfiguration. Close ends what was opened.
func Open(ctx context.Context, kind string, env func(string) (string, bool), opts ...Option) (*Opened, error) {
	s := &search{kind: kind, env: env}
	for _, opt := range opts {
		opt(s)
	}
	if !slices.Contains(Kinds(), kind) {
		return nil, fmt.Errorf("detect: the identity is none of %s: %w", strings.Join(Kinds(), ", "), kest.ErrConfiguration)
	}
	o := &Opened{}
	for i := range candidates {
		c := &candidates[i]
		note := passedOver(o.Kind, kind, c.kind)
		if note == "" {
			var err error
			if note, err = o.consider(ctx, c, s); err != nil {
				return nil, &Error{c.kind, err}
			}
		}
		o.Considered = append(o.Considered, Considered{c.kind, o.Kind == c.kind, note})
	}
	return o, nil
}

// consider opens the candidate where it is there, and says why or why not.
func (o *Opened) consider(ctx context.Context, c *candidate, s *search) (note string, err error) {
	there, note, err := c.find(ctx, s)
	switch {
	case err != nil:
		return "", err
	case s.kind == c.kind:
		note = "it was asked for"
	case !there:
		return note, nil
	}
	p, end, err := c.open(s)
	if err != nil {
		return "", err
	}
	o.Kind, o.Provider, o.close = c.kind, p, end
	if d, ok := p.(interface{ Describe() string }); ok {
		note += "; " + d.Describe()
	}
	return note, nil
}

// passedOver says why a kind is not even looked at.
func passedOver(taken, asked, kind string) string {
	switch {
	case asked != Auto && asked != kind:
		return asked + " was asked for"
	case taken != "":
		return taken + " comes before it"
	}
	return ""
}
