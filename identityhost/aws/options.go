package aws

import (
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const (
	// DefaultTimeout bounds each call to AWS, with its one retry.
	DefaultTimeout = 5 * time.Second
	// MaxBindingTTL is the longest and the default life of a binding under a KMS
	// key (IDENTITY.md: exp − iat ≤ 1 h).
	MaxBindingTTL = time.Hour
)

// Option is a choice that Open and its like take.
type Option func(*settings)

type settings struct {
	config  *sdk.Config // nil: the environment's
	http    *awshttp.BuildableClient
	timeout time.Duration
	ttl     time.Duration
	now     func() time.Time
}

// WithConfig takes region, credentials, endpoint and HTTP client from the
// configuration of the AWS SDK instead of the environment, the shared files and
// the instance. Its retries and its logger are not used.
func WithConfig(config sdk.Config) Option {
	return func(s *settings) { s.config = &config }
}

// WithTimeout sets how long a call to AWS may take in all.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithBindingTTL sets how long a binding holds, at most MaxBindingTTL.
func WithBindingTTL(d time.Duration) Option { return func(s *settings) { s.ttl = d } }

// WithClock sets the clock that bindings are dated by; nil is time.Now.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.now = now } }

func newSettings(options []Option) (*settings, error) {
	s := &settings{http: awshttp.NewBuildableClient(), timeout: DefaultTimeout, ttl: MaxBindingTTL}
	for _, option := range options {
		option(s)
	}
	if s.now == nil {
		s.now = time.Now
	}
	switch {
	case s.timeout <= 0:
		return nil, configurationError("the time-out is not above zero")
	case s.ttl < time.Second || s.ttl > MaxBindingTTL:
		return nil, configurationError("a binding's life is not between 1 s and 1 h")
	}
	return s, nil
}
