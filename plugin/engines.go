package plugin

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"kest.example/kest"
)

// RegoEngine is the Rego that is compiled into a guest, or that runs beside it.
type RegoEngine interface {
	LocalEngine
	Names() []string
}

// engine decides one policy: in this process, or by a call.
type engine struct {
	kind   string
	local  LocalEngine
	remote *RemoteConfig
}

// makeEngines finds the engine of each policy, and the local ones' digests.
func (f *Filter) makeEngines() (digests map[string]string, err error) {
	c := f.config
	f.engines, digests = make(map[string]engine), make(map[string]string)
	if err := f.makeCedar(digests); err != nil {
		return nil, err
	}
	if err := f.makeRego(digests); err != nil {
		return nil, err
	}
	for _, r := range c.Remote {
		for _, name := range r.Names {
			f.engines[name] = engine{kind: r.Kind, remote: r}
		}
	}
	return digests, nil
}

func (f *Filter) makeCedar(digests map[string]string) error {
	c := f.config
	if len(c.Cedar) > 0 && f.env.Cedar == nil {
		return &ConfigError{"policies.cedar", "this build has no Cedar"}
	}
	if f.env.Cedar == nil {
		return nil
	}
	cedar, err := f.env.Cedar(c.Cedar)
	if err != nil {
		return &ConfigError{"policies.cedar", err.Error()}
	}
	for name := range c.Cedar {
		f.engines[name] = engine{kind: kest.KindCedar, local: cedar}
		digests[name], _ = cedar.Digest(name)
	}
	return nil
}

func (f *Filter) makeRego(digests map[string]string) error {
	c := f.config
	if len(c.Rego) == 0 {
		return nil
	}
	if f.env.Rego == nil {
		return &ConfigError{"policies.rego", "this build has no Rego"}
	}
	rego, err := f.env.Rego(f.foreign)
	if err != nil {
		return &ConfigError{"policies.rego", err.Error()}
	}
	for i, name := range c.Rego {
		digest, known := rego.Digest(name)
		if !known {
			return &ConfigError{"policies.rego.names[" + strconv.Itoa(i) + "]", "policy " + strconv.Quote(name) +
				" is not in this module: build one that has it with kest policy build"}
		}
		f.engines[name], digests[name] = engine{kind: kest.KindRego, local: rego}, digest
	}
	return nil
}

// isDefined reports whether some engine decides a policy.
func (f *Filter) isDefined(name string) bool {
	_, ok := f.engines[name]
	return ok
}

// question is a tier's policies while they are asked: some by calls that are
// under way.
type question struct {
	mu      sync.Mutex
	answers []kest.Answer
	over    bool // nobody waits any more
}

func (q *question) put(i int, a kest.Answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.over {
		q.answers[i] = a
	}
}

func (q *question) end() []kest.Answer {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	return q.answers
}

// lateError is an engine that didn't answer in time.
type lateError struct{}

func (lateError) Error() string { return "the policy engine was late" }

func (lateError) Unwrap() error { return kest.ErrUnavailable }

// askTiers asks the policies tier by tier, and signs when all allow. It holds
// the request while remote engines are asked.
func (x *Exchange) askTiers() Step {
	for {
		t, c, more := x.evaluation.Next()
		if !more {
			return x.sign()
		}
		if open := x.f.remotes(t.Policies); open > 0 {
			return x.askRemote(t.Policies, c, open)
		}
		if err := x.evaluation.Decide(x.askLocal(t.Policies, c)); err != nil {
			return x.denied(err)
		}
	}
}

// askLocal asks as far as policies allow.
func (x *Exchange) askLocal(policies []string, c *kest.Context) []kest.Answer {
	answers := make([]kest.Answer, 0, len(policies))
	for _, name := range policies {
		a := x.f.askOne(name, c)
		if answers = append(answers, a); a.Err != nil || !a.Allow {
			break
		}
	}
	return answers
}

func (f *Filter) askOne(name string, c *kest.Context) kest.Answer {
	e := f.engines[name]
	if e.local == nil {
		return kest.Answer{Err: errNoEngine}
	}
	d, err := e.local.Evaluate(context.Background(), name, c)
	return kest.Answer{Decision: d, Err: err}
}

var errNoEngine = errors.New("the policy belongs to no engine")

// remotes counts the policies that are asked by calls.
func (f *Filter) remotes(policies []string) (n int) {
	for _, name := range policies {
		if f.engines[name].remote != nil {
			n++
		}
	}
	return n
}

// lateness is how much longer than its time-out an engine's call is waited for:
// the proxy ends it, and this is for one that doesn't.
const lateness = 250 * time.Millisecond

// askRemote asks all policies of a tier, and holds the request until the
// remote engines have answered.
func (x *Exchange) askRemote(policies []string, c *kest.Context, open int) Step {
	q := &question{answers: make([]kest.Answer, len(policies))}
	wait := time.Duration(0)
	for i, name := range policies {
		if r := x.f.engines[name].remote; r != nil {
			q.answers[i].Err = lateError{}
			wait = max(wait, r.Timeout)
		}
	}
	step := x.f.background.keep(x, &hold{open: open, until: x.f.env.Now().Add(wait + lateness), next: func() Step {
		if err := x.evaluation.Decide(q.end()); err != nil {
			return x.denied(err)
		}
		return x.askTiers()
	}})
	for i, name := range policies {
		if r := x.f.engines[name].remote; r != nil {
			x.f.ask(r, name, c, x.traceparent, func(a kest.Answer) {
				q.put(i, a)
				x.f.background.ended([]*Exchange{x})
			})
		} else {
			q.put(i, x.f.askOne(name, c))
		}
	}
	return step
}

// ask asks a remote engine for one policy, in the background.
func (f *Filter) ask(r *RemoteConfig, name string, c *kest.Context, traceparent string, done func(kest.Answer)) {
	question, err := r.Codec.Question(name, c)
	if err != nil {
		done(kest.Answer{Err: err})
		return
	}
	headers := []Header{
		{":method", question.Method},
		{":path", question.Path},
		{":authority", r.Authority},
		{"content-type", "application/json"},
		{"accept", "application/json"},
	}
	if traceparent != "" {
		headers = append(headers, Header{"traceparent", traceparent})
	}
	f.background.enqueue(&Task{
		Call: Call{Cluster: r.Cluster, Headers: headers, Body: question.Body, Timeout: r.Timeout},
		done: func(result CallResult) {
			if result.Status == 0 {
				done(kest.Answer{Err: &unavailableError{"the engine at " + r.Cluster + " did not answer, or not in time"}})
				return
			}
			d, err := r.Codec.Answer(name, result.Status, result.Body)
			done(kest.Answer{Decision: d, Err: err})
		},
	})
}

// maxShadows bounds the shadow policies that are being asked by calls.
const maxShadows = 64

// askShadows asks the shadow policies: the request doesn't wait for remote ones.
func (x *Exchange) askShadows() {
	plan := x.pending.Plan
	if len(plan.Shadow) == 0 {
		return
	}
	f, c := x.f, plan.ShadowContext(x.pending.Context)
	for _, name := range plan.Shadow {
		r := f.engines[name].remote
		switch {
		case r == nil:
			a := f.askOne(name, c)
			f.logShadow(name, a.Decision, a.Err)
		case f.shadows.Add(1) > maxShadows:
			f.shadows.Add(-1)
			f.log(LevelWarn, "shadow policy "+strconv.Quote(name)+" was not asked: too many are")
		default:
			f.ask(r, name, c, x.traceparent, func(a kest.Answer) {
				f.shadows.Add(-1)
				f.logShadow(name, a.Decision, a.Err)
			})
		}
	}
}

// denied ends a request that a policy refused, with a signed record of it.
func (x *Exchange) denied(err error) Step {
	x.askShadows()
	return x.failed(x.pending.Deny(context.Background(), err))
}

// sign makes the entry of a request that all policies allowed.
func (x *Exchange) sign() Step {
	x.askShadows()
	signed, err := x.pending.Sign(context.Background(), x.evaluation.Decisions())
	if err != nil {
		return x.failed(err)
	}
	x.signed = signed
	return x.write()
}
