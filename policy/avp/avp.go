// Package avp asks Amazon Verified Permissions with IsAuthorized (CONTRACT 6).
//
// The principal is Workload::"id", the action Action::"policy name", the
// resource Resource::"id" or Resource::"*". The service evaluates all policies
// of its store, whichever is asked: each must name its action.
package avp

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/verifiedpermissions"
	"github.com/aws/aws-sdk-go-v2/service/verifiedpermissions/types"
	"github.com/aws/smithy-go/logging"

	"kest.example/kest"
	"kest.example/kest/internal/answer"
)

// Engine implements kest.Engine and kest.RemoteEngine. A question has one budget
// of time from its start to the last byte of its answer, in which its credentials
// are found too. Nothing is asked twice, no redirect is followed, and an answer
// has at most kest.MaxAnswer bytes. It is safe for concurrent use.
type Engine struct {
	client  *verifiedpermissions.Client
	store   string
	timeout time.Duration
}

// Option is a choice that New takes.
type Option func(*Engine)

// WithTimeout sets how long a policy may take; the default is
// kest.EvaluationTimeout. A hook gives no tier more than that.
func WithTimeout(d time.Duration) Option { return func(e *Engine) { e.timeout = d } }

// New makes an engine of a policy store: its id, or policy-store-alias/NAME. Of
// the SDK's configuration it needs a region and credentials; its retries and its
// logger are not used. It asks nobody yet. The error wraps kest.ErrConfiguration.
func New(config aws.Config, store string, options ...Option) (*Engine, error) {
	e := &Engine{store: store, timeout: kest.EvaluationTimeout}
	for _, option := range options {
		option(e)
	}
	switch {
	case store == "":
		return nil, configurationError("a policy store is needed")
	case config.Region == "":
		return nil, configurationError("the configuration has no region")
	case config.Credentials == nil:
		return nil, configurationError("the configuration has no credentials")
	case e.timeout <= 0:
		return nil, configurationError("the time-out is not above zero")
	}
	config = config.Copy()
	config.HTTPClient = listener{direct(config.HTTPClient)}
	config.Retryer, config.RetryMaxAttempts = func() aws.Retryer { return aws.NopRetryer{} }, 0
	config.ClientLogMode, config.Logger = 0, logging.Nop{} // the SDK can log requests with their tokens
	e.client = verifiedpermissions.NewFromConfig(config)
	return e, nil
}

func configurationError(detail string) error {
	return fmt.Errorf("avp: %s: %w", detail, kest.ErrConfiguration)
}

// Remote implements kest.RemoteEngine: all policies are asked over the network.
func (*Engine) Remote(string) bool { return true }

// Evaluate implements kest.Engine. Where no answer came that decides, the error
// is an *Error, which wraps kest.ErrUnavailable. What is no policy name, and a
// context that Cedar can't hold, are a *kest.MemberError.
func (e *Engine) Evaluate(ctx context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	input, err := e.question(policy, c)
	if err != nil {
		return kest.Decision{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	var got heard
	_, err = e.client.IsAuthorized(context.WithValue(ctx, heardKey{}, &got), input)
	if got.status != 200 {
		return kest.Decision{}, failed(policy, got.status, err)
	}
	return decision(policy, got.body)
}

// decision reads the answer itself: the SDK takes repeated names, and whatever
// stands behind the answer.
func decision(policy string, body []byte) (kest.Decision, error) {
	v, err := answer.Parse(200, body)
	if err != nil {
		return kest.Decision{}, &Error{Policy: policy, Status: 200, Detail: err.Error()}
	}
	errors := v.Get("errors")
	return answer.Cedar(v.Get("decision"), string(types.DecisionAllow), answer.Words(v.Get("determiningPolicies"), "policyId"),
		errors, answer.Words(errors, "errorDescription")), nil
}

// Timeout implements kest.PatientEngine.
func (e *Engine) Timeout(string) time.Duration { return e.timeout }
