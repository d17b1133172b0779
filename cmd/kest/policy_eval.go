package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/draw"
	"kest.example/kest/internal/uuid7"
	"kest.example/kest/plugin"
)

type policyEvalCmd struct {
	Config    string `required:"" placeholder:"FILE" help:"The filter's configuration, YAML or JSON."`
	Operation string `required:"" placeholder:"OP" help:"The operation, as the routes name it."`
	regoSource
	Now     time.Time         `placeholder:"RFC3339" format:"2006-01-02T15:04:05Z07:00" help:"The time of the entry; default is the context's, or now."`
	Target  map[string]string `placeholder:"NAME=URL" help:"Where an engine's cluster is. A remote policy without one denies."`
	JSONL   bool              `name:"jsonl" help:"The input is JSON Lines: a context a line, a result a line."`
	JSON    bool              `name:"json" help:"Print the result as JSON."`
	Context string            `arg:"" help:"A context as policies see it, or a recorded passport (a JSON array); - is standard input."`
}

func (policyEvalCmd) Help() string {
	return "Example:\n  kest policy eval --config filter.yaml --rego policies --operation orders.refund context.json\n\n" +
		"A passport is verified with the configuration's keys and authority first. Exits 0 when all policies allow, 1 when one\n" +
		"denies; with --jsonl 0 when all contexts were evaluated."
}

// evaluated is what policy eval --json prints (DESIGN 7).
type evaluated struct {
	Allow      bool           `json:"allow"`
	DecisionID string         `json:"decision_id"`
	Policies   []evaluatedRow `json:"policies"`
}

type evaluatedRow struct {
	Name   string `json:"name"`
	Tier   string `json:"tier"`
	Engine string `json:"engine"`
	Allow  bool   `json:"allow"`
	Reason string `json:"reason"`
	Digest string `json:"digest"`
}

// evaluator asks what one operation's route asks.
type evaluator struct {
	config    *plugin.Config
	route     *plugin.Route
	operation string
	engines   *kest.EngineSet
	now       time.Time
	shadow    func(policy string, d kest.Decision, err error)
}

// Run evaluates one context, or one a line.
func (p *policyEvalCmd) Run(c console) error {
	e, err := p.evaluator(c)
	if err != nil {
		return err
	}
	text, err := c.read(p.Context)
	if err != nil {
		return err
	}
	if p.JSONL {
		return p.lines(c, e, text)
	}
	result, err := e.evaluate(text)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Context, err)
	}
	if p.JSON {
		writeJSON(c, result)
	} else {
		result.print(c)
	}
	if !result.Allow {
		return errNo
	}
	return nil
}

func (p *policyEvalCmd) evaluator(c console) (*evaluator, error) {
	text, err := c.readDocument(p.Config)
	if err != nil {
		return nil, err
	}
	config, err := plugin.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Config, err)
	}
	route := config.RouteOf(p.Operation)
	if route == nil {
		return nil, fmt.Errorf("%s: no route has the operation %q", p.Config, p.Operation)
	}
	rego, err := p.open()
	if err != nil {
		return nil, err
	}
	engines, err := enginesOf(config, rego, p.Target)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Config, err)
	}
	known := func(name string) bool { return engines.Kind(name) != "" }
	if err := config.CheckPolicies(known); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Config, err)
	}
	return &evaluator{
		config: config, route: route, operation: p.Operation, engines: engines, now: p.Now,
		shadow: func(policy string, d kest.Decision, err error) {
			verdict := "allows"
			if !d.Allow || err != nil {
				verdict = "denies"
			}
			fmt.Fprintln(c.err, "kest: shadow policy", policy, verdict)
		},
	}, nil
}

// lines evaluates JSON Lines. All are read before the first is answered, so that
// a broken one leaves no half of a result.
func (p *policyEvalCmd) lines(c console, e *evaluator, text []byte) error {
	var results []*evaluated
	for i, line := range bytes.Split(text, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		result, err := e.evaluate(line)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", p.Context, i+1, err)
		}
		results = append(results, result)
	}
	for _, r := range results {
		if err := writeLine(c, r); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluator) evaluate(text []byte) (*evaluated, error) {
	about, err := e.contextOf(text)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if ms := about.Environment.TimestampMS; ms != 0 {
		now = time.UnixMilli(ms)
	}
	if !e.now.IsZero() {
		now = e.now
	}
	about.Environment.TimestampMS = now.UnixMilli()
	plan, err := e.config.Policies.Plan(e.operation, e.route.Hop.Policies, e.route.Hop.ShadowPolicies, now)
	if err != nil {
		return nil, err
	}
	about.Environment.ActiveDeviations = nil
	for _, d := range plan.Context.Deviations {
		about.Environment.ActiveDeviations = append(about.Environment.ActiveDeviations, d.Policy)
	}
	id, err := uuid7.New(now, rand.Reader)
	if err != nil {
		return nil, err
	}
	decisions, denial := plan.Evaluate(context.Background(), e.engines, about, e.shadow)
	result := &evaluated{Allow: denial == nil, DecisionID: id, Policies: []evaluatedRow{}}
	for _, d := range decisions {
		digest, _ := e.engines.Digest(d.Policy)
		result.Policies = append(result.Policies, evaluatedRow{
			Name: d.Policy, Tier: string(d.Tier), Engine: e.engines.Kind(d.Policy), Allow: d.Allow, Reason: d.Reason, Digest: digest,
		})
	}
	return result, nil
}

// contextOf reads a context, or makes the one that a hop behind a recorded
// passport would be decided on.
func (e *evaluator) contextOf(text []byte) (*kest.Context, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte{'['}) {
		return kest.ParseContext(text)
	}
	passport, err := kest.ParsePassport(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	lineage, err := e.verify(passport)
	if err != nil {
		return nil, err
	}
	now := e.now
	if now.IsZero() {
		now = time.Now()
	}
	actor := kest.Actor{}
	if tips := lineage.Tips(); len(tips) > 0 {
		actor = kest.ProvenActor(tips[0].Actor(), lineage)
	}
	seed := make([]byte, 32) // nothing is signed: only who the workload is counts
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	identity, err := kest.SeedIdentity(e.config.Workload, seed)
	if err != nil {
		return nil, err
	}
	workshop := kest.Workshop{Policies: e.config.Policies, Random: rand.Reader}
	pending, err := workshop.Prepare(lineage, &e.route.Hop, kest.Call{
		Operation: e.operation, Actor: actor, Attributes: e.config.SubjectAttributes(actor), Now: now,
		Resource: kest.Resource{Attributes: e.route.Attributes},
	}, identity)
	if err != nil {
		return nil, err
	}
	return pending.Context, nil
}

func (e *evaluator) verify(p kest.Passport) (*kest.Lineage, error) {
	options := []kest.VerifierOption{
		kest.WithLowestFault(), kest.ForAudit(), kest.WithSemantics(e.config.Lineage.Semantics), kest.WithSchema(e.config.Lineage.Schema),
		kest.WithLimits(e.config.Lineage.Limits),
	}
	if e.config.Lineage.StrictChain {
		options = append(options, kest.WithStrictChain())
	}
	if e.config.TrustAllClaims {
		slog.SetDefault(slog.New(slog.DiscardHandler)) // the configuration says so itself
		options = append(options, kest.InsecureTrustAllClaims())
	}
	verifier, err := kest.NewVerifier(e.config.Keys, e.config.Authority, options...)
	if err != nil {
		return nil, err
	}
	return verifier.Verify(context.Background(), p)
}

func (r *evaluated) print(c console) {
	verdict := map[bool]string{true: "allow", false: "deny"}
	fmt.Fprintf(c.out, "%s  decision %s\n", verdict[r.Allow], r.DecisionID)
	for _, p := range r.Policies {
		fmt.Fprintf(c.out, "  %-11s %-11s %-5s %s: %s\n", p.Tier, p.Engine, verdict[p.Allow], p.Name, draw.Visible(p.Reason))
	}
}
