// Package remote asks policy engines over HTTP: OPA, Cedar Agent, or whatever a
// kest.PolicyCodec speaks (CONTRACT 6; POLICY.md, "Remote engines").
package remote

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"kest.example/kest"
	"kest.example/kest/policy/cedaragent"
	"kest.example/kest/policy/opa"
)

// Where engines are asked if nothing else is said, and the variables that say
// something else (CONTRACT 6).
const (
	DefaultOPA         = "http://localhost:8181"
	DefaultCedarAgent  = "http://localhost:8180"
	OPAVariable        = "KEST_OPA_URL"
	CedarAgentVariable = "KEST_CEDAR_URL"
)

// Engine implements kest.Engine and kest.RemoteEngine. A question has one budget
// of time from its start to the last byte of its answer. Nothing is asked twice,
// no redirect is followed, and an answer has at most kest.MaxAnswer bytes. It is
// safe for concurrent use.
type Engine struct {
	codec         kest.PolicyCodec
	address       string
	base          string
	client        http.Client
	timeout       time.Duration
	authorization string
}

// New makes an engine at an address: an http or https URL without credentials,
// query and fragment, or unix:PATH of a socket. It asks nobody yet. The error
// wraps kest.ErrConfiguration.
func New(codec kest.PolicyCodec, address string, options ...Option) (*Engine, error) {
	e := &Engine{codec: codec, address: address, timeout: kest.EvaluationTimeout}
	e.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	base, transport, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	e.base, e.client.Transport = base, transport
	for _, option := range options {
		option(e)
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// OPA is an OPA server at an address; "" is what KEST_OPA_URL says, else
// DefaultOPA. A nil codec is that of opa.New("", "").
func OPA(address string, codec *opa.Codec, options ...Option) (*Engine, error) {
	if codec == nil {
		var err error
		if codec, err = opa.New("", ""); err != nil {
			return nil, err
		}
	}
	return New(codec, firstOf(address, os.Getenv(OPAVariable), DefaultOPA), options...)
}

// CedarAgent is a Cedar Agent at an address; "" is what KEST_CEDAR_URL says, else
// DefaultCedarAgent. A nil codec is that of cedaragent.New("", "").
func CedarAgent(address string, codec *cedaragent.Codec, options ...Option) (*Engine, error) {
	if codec == nil {
		var err error
		if codec, err = cedaragent.New("", ""); err != nil {
			return nil, err
		}
	}
	return New(codec, firstOf(address, os.Getenv(CedarAgentVariable), DefaultCedarAgent), options...)
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// Remote implements kest.RemoteEngine: all policies are asked over the network.
func (*Engine) Remote(string) bool { return true }

// Evaluate implements kest.Engine. Where no answer came that decides, the error
// is an *Error, which wraps kest.ErrUnavailable; where the codec has no question
// for the context, it is the codec's.
func (e *Engine) Evaluate(ctx context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	question, err := e.codec.Question(policy, c)
	if err != nil {
		return kest.Decision{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	status, body, err := e.ask(ctx, question)
	if err != nil {
		return kest.Decision{}, e.failed(policy, detailOf(err), err)
	}
	d, err := e.codec.Answer(policy, status, body)
	if err != nil {
		return kest.Decision{}, e.failed(policy, err.Error(), err)
	}
	return d, nil
}

func (e *Engine) ask(ctx context.Context, q kest.Question) (status int, body []byte, err error) {
	// The body can be read again: net/http sends anew what met a connection that
	// the server had closed, and then only if not a byte of it was written.
	request, err := http.NewRequestWithContext(ctx, q.Method, e.base+q.Path, bytes.NewReader(q.Body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if e.authorization != "" {
		request.Header.Set("Authorization", e.authorization)
	}
	if traceparent := traceparentOf(ctx); traceparent != "" {
		request.Header.Set("Traceparent", traceparent)
	}
	response, err := e.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, kest.MaxAnswer+1))
	if err == nil && len(body) > kest.MaxAnswer {
		err = errTooLong
	}
	return response.StatusCode, body, err
}

// Timeout implements kest.PatientEngine.
func (e *Engine) Timeout(string) time.Duration { return e.timeout }
