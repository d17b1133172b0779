package plugin

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/uuid7"
)

// Exchange is one request on its way through the filter.
type Exchange struct {
	f      *Filter
	target target
	route  *Route
	peer   func() (id string, ok bool)
	claims func(path ...string) (text string, ok bool)

	baggage     []string
	traceparent string
	traceID     string
	madeTrace   bool

	incoming *baggage.Incoming
	lineage  *kest.Lineage
	signed   *kest.Signed

	pending    *kest.Pending
	evaluation *kest.Evaluation
	identity   *kest.Identity
	actor      kest.Actor
	act        []string              // the token's chain of actors, the outermost first
	kept       *keptTrace            // what egress may find
	fetched    int                   // how often keys were fetched
	waits      time.Time             // since when for a key to sign with
	resume     func(CallResult) Step // what goes on after a call
}

// Begin takes a request in. When the Step is CallOut, the driver makes the
// call and goes on with Resume.
func (f *Filter) Begin(r *Request) (*Exchange, Step) {
	x := &Exchange{f: f, peer: r.Peer, claims: r.Claims}
	return x, x.begin(r)
}

// Resume goes on after a call.
func (x *Exchange) Resume(result CallResult) Step {
	next := x.resume
	if next == nil {
		return x.refuse(503, "", "an answer to no call")
	}
	x.resume = nil
	return next(result)
}

// Signed returns what was signed, or nil where nothing was.
func (x *Exchange) Signed() *kest.Signed { return x.signed }

// maxHost is more than a DNS name has (RFC 1035 section 2.3.4).
const maxHost = 255

func (x *Exchange) begin(r *Request) Step {
	x.read(r.Headers)
	segments, err := splitPath(x.target.path)
	if err != nil {
		return x.refuse(400, "path", err.Error())
	}
	if len(x.target.host) > maxHost {
		return x.refuse(400, "host", "the authority is longer than a host name can be")
	}
	x.target.segments = segments
	c := x.f.config
	if c.Egress {
		return x.egress()
	}
	if x.route = c.route(&x.target); x.route == nil {
		return x.refuse(403, "route", "no route for "+x.target.method+" "+x.target.path)
	}
	if c.User != nil && c.User.Required && !x.hasToken() {
		return x.refuse(401, "token", "no verified token came with the request")
	}
	if x.traceID = traceID(x.traceparent); x.traceID == "" {
		x.madeTrace = true
		if x.traceparent, x.traceID, err = x.f.newTraceparent(); err != nil {
			return x.refuse(503, "random", err.Error())
		}
	}
	x.incoming, err = baggage.Parse(x.baggage, baggage.ReadOptions{
		MaxBytes: c.Lineage.Limits.Bytes, Entries: c.Lineage.Limits.Entries, Python: c.Propagation.Python, Strip: c.Edge.StripIncoming,
	})
	if err != nil {
		return x.failed(err)
	}
	if x.incoming.Claim != "" {
		return x.fetchClaim()
	}
	return x.verify()
}

func (x *Exchange) read(headers []Header) {
	traces := 0
	for _, h := range headers {
		switch h.Name {
		case ":method":
			x.target.method = h.Value
		case ":path":
			x.target.path, _, _ = strings.Cut(h.Value, "?")
		case ":authority":
			x.target.host = cleanHost(h.Value)
		case "baggage":
			x.baggage = append(x.baggage, h.Value)
		case "traceparent":
			traces++
			x.traceparent = h.Value
		}
	}
	if traces > 1 {
		x.traceparent = "" // none that all would read (Trace Context section 3.2)
	}
}

func (x *Exchange) fetchClaim() Step {
	id := x.incoming.Claim
	if result, ok := x.f.foreign(hostcall.ClaimGet, []byte(id)); ok {
		return x.claimed(result)
	}
	if x.f.config.Propagation.ClaimCluster == "" {
		return x.refuse(503, "claim", "a claim check came and no claim store is configured")
	}
	x.resume = func(result CallResult) Step {
		switch result.Status {
		case 200:
			return x.claimed(result.Body)
		case 404:
			return x.refuse(403, "claim", "the claim "+id+" is not in the store")
		}
		return x.refuse(503, "claim", "the claim store answered "+strconv.Itoa(result.Status))
	}
	return Step{Kind: CallOut, Call: x.f.config.withToken(x.f.config.Propagation.claimGet(id, x.traceparent))}
}

// claimed goes on with a claim's body; the host says by an empty one that it has none.
func (x *Exchange) claimed(body []byte) Step {
	if len(body) == 0 {
		return x.refuse(403, "claim", "the claim is not in the store")
	}
	if err := x.incoming.Resolve(body); err != nil {
		return x.failed(err)
	}
	return x.verify()
}

func (x *Exchange) verify() Step {
	var options []kest.VerifyOption
	if x.peer != nil && x.incoming.Passport.Len() > 0 {
		id, ok := x.peer()
		if !ok {
			return x.refuse(503, "peer", "the proxy can't tell who the connection's peer is")
		}
		options = append(options, kest.FromPeer(id))
	}
	ctx := context.Background()
	var lacking *missing
	if x.f.agentKeys != nil {
		lacking = &missing{}
		ctx = context.WithValue(ctx, missingKey{}, lacking)
	}
	lineage, err := x.f.verifier.Verify(ctx, x.incoming.Passport, options...)
	switch {
	case lacking != nil && errors.Is(err, kest.ErrKeyPending) && x.fetched < maxFetches:
		return x.fetchKeys(lacking.list)
	case err != nil:
		return x.failed(err)
	}
	if err := x.incoming.CheckTip(lineage); err != nil {
		return x.failed(err)
	}
	for _, fault := range lineage.Faults() {
		x.f.log(LevelWarn, "let pass by configuration: "+fault.Error())
	}
	x.lineage = lineage
	if x.f.config.Egress {
		return x.onward()
	}
	if lineage.Len() == 0 && x.route.Hop.RootOrigin == "" {
		return x.failed(kest.ErrNoRoot)
	}
	if x.f.env.VerifyOnly {
		return x.passOn()
	}
	return x.decide()
}

// maxFetches is how often keys are fetched for one request: one that is asked
// for and forgotten again in the meantime is no longer waited for.
const maxFetches = 3

// fetchKeys holds the request until the agent has told the keys that it lacks.
func (x *Exchange) fetchKeys(list []kest.KeyRequest) Step {
	x.fetched++
	open, ask := x.f.agentKeys.await(x, list)
	step := x.f.background.keep(x, &hold{open: open, until: x.f.env.Now().Add(2 * agentTimeout), next: x.verify})
	for _, k := range ask {
		x.f.agentKeys.ask(k)
	}
	return step
}

// signsWith finds the identity to sign with, or holds the request until there is one.
func (x *Exchange) signsWith() (step Step, held bool) {
	if x.f.session == nil {
		x.identity = x.f.identity
		return Step{}, false
	}
	now := x.f.env.Now()
	if x.identity = x.f.session.identity(now); x.identity != nil {
		return Step{}, false
	}
	if x.waits.IsZero() {
		x.waits = now
	}
	until := x.waits.Add(bindingWait)
	if never := x.f.session.never(); never != "" {
		return x.refuse(503, "identity", never), true
	}
	if !now.Before(until) {
		return x.refuse(503, "identity", "no session key was bound in time"), true
	}
	step = x.f.background.keep(x, &hold{open: 1, until: until, next: x.decide})
	x.f.session.wait(x)
	return step, true
}

func (x *Exchange) decide() Step {
	if step, held := x.signsWith(); held {
		return step
	}
	x.findActor()
	call := kest.Call{
		Operation: x.route.expand(x.route.Hop.Operation, &x.target), Actor: x.actor,
		Resource:   kest.Resource{ID: x.route.expand(x.route.ResourceID, &x.target), Attributes: x.route.Attributes},
		Attributes: x.f.config.SubjectAttributes(x.actor), TraceID: x.traceID, Now: x.f.env.Now(), ActChain: x.act,
	}
	pending, err := x.f.workshop.Prepare(x.lineage, &x.route.Hop, call, x.identity)
	if err != nil {
		return x.failed(err)
	}
	x.pending, x.evaluation = pending, pending.Plan.Begin(pending.Context)
	return x.askTiers()
}

// write makes the one baggage header that goes on, and stores a claim first
// where the passport fits in none.
func (x *Exchange) write() Step {
	p := &x.f.config.Propagation
	header, claim, err := x.incoming.Write(baggage.Outgoing{
		// Without kest.jwt: a token goes on only where that is switched on (CONTRACT 9).
		Lineage: x.signed.Lineage, Actor: x.actorOnward(), Scope: x.incoming.Scope,
	}, baggage.WriteOptions{
		MaxBytes: p.MaxBytes, Compress: p.Compress, Deflate: x.f.deflater(), Claims: x.f.hasClaim || p.ClaimCluster != "", Random: x.f.env.Random,
	})
	if err != nil {
		return x.failed(err)
	}
	if !x.hostAllowed() {
		return x.finish(x.incoming.Others())
	}
	if err := x.keepTrace(); err != nil {
		return x.failed(err)
	}
	if claim == nil {
		return x.finish(header)
	}
	return x.storeClaim(claim, header)
}

func (x *Exchange) storeClaim(claim *baggage.Claim, header string) Step {
	p := &x.f.config.Propagation
	seconds := uint32(p.ttlSeconds()) //nolint:gosec // bounded by time.Duration over a second
	if seconds == 0 {
		seconds = uint32(kest.ClaimTTL.Seconds())
	}
	if x.f.hasClaim {
		if _, ok := x.f.foreign(hostcall.ClaimPut, hostcall.AppendClaim(nil, claim.ID, claim.Body, seconds)); ok {
			return x.finish(header)
		}
		return x.refuse(503, "claim", "the host did not store the claim")
	}
	x.resume = func(result CallResult) Step {
		if result.Status != 204 && result.Status != 200 && result.Status != 201 {
			return x.refuse(503, "claim", "the claim store answered "+strconv.Itoa(result.Status))
		}
		return x.finish(header)
	}
	return Step{Kind: CallOut, Call: x.f.config.withToken(p.claimPut(claim.ID, claim.Body, x.traceparent))}
}

// actorOnward is what the next hop may be told: what a token proves, else what
// came in, which that hop will hold against the parents' signatures again.
func (x *Exchange) actorOnward() kest.Actor {
	if x.hasToken() {
		return x.actor
	}
	return x.incoming.Actor
}

func (x *Exchange) hostAllowed() bool {
	allowed := x.f.config.Edge.AllowHosts
	if allowed == nil {
		return true
	}
	for _, p := range allowed {
		if p.Match(x.target.host) {
			return true
		}
	}
	return false
}

// passOn ends a verification without a decision; only an edge changes the baggage.
func (x *Exchange) passOn() Step {
	step := Step{Kind: Continue, Verdict: x.verdict("")}
	if x.f.config.Edge.StripIncoming || !x.hostAllowed() {
		step.Edits = append(step.Edits, Edit{Name: "baggage", Value: x.incoming.Others()})
	}
	return x.withTrace(step)
}

func (x *Exchange) finish(header string) Step {
	decisionID := ""
	if x.signed != nil {
		decisionID = x.signed.Entry.EntryID
	}
	edits := append(make([]Edit, 0, 2), Edit{"baggage", header})
	return x.withTrace(Step{Kind: Continue, Edits: edits, Verdict: x.verdict(decisionID)})
}

func (x *Exchange) withTrace(step Step) Step {
	if x.madeTrace {
		step.Edits = append(step.Edits, Edit{"traceparent", x.traceparent})
	}
	return step
}

// verdict is what access logs may say of a request that goes on.
func (x *Exchange) verdict(decisionID string) string {
	l := x.lineage
	if x.signed != nil {
		l = x.signed.Lineage
	}
	b := append(make([]byte, 0, 256), `{"allowed":true`...)
	if decisionID != "" {
		b = jcs.AppendString(append(b, `,"decision_id":`...), decisionID)
	}
	b = strconv.AppendInt(append(b, `,"entries":`...), int64(l.Len()), 10)
	b = append(b, `,"taints":[`...)
	for i, t := range l.Taints() {
		if i > 0 {
			b = append(b, ',')
		}
		b = jcs.AppendString(b, t)
	}
	b = jcs.AppendString(append(b, `],"trace_id":`...), x.traceID)
	b = strconv.AppendInt(append(b, `,"trust_score":`...), int64(l.Trust()), 10)
	return string(append(b, '}'))
}

// failed finds the status of an error (CONTRACT 7).
func (x *Exchange) failed(err error) Step {
	if denial, ok := errors.AsType[*kest.DenialError](err); ok {
		status := 403
		if errors.Is(denial.Err, kest.ErrUnavailable) {
			status = 503
		}
		step := x.answer(status, denial.DecisionID, "policy", denial.Error())
		x.logRecord(denial)
		return step
	}
	if carried, ok := errors.AsType[*baggage.Error](err); ok {
		return x.refuse(int(carried.Kind), "baggage", err.Error())
	}
	switch {
	case kest.AsVerificationError(err) != nil:
		return x.refuse(403, string(kest.AsVerificationError(err).Reason), err.Error())
	case errors.Is(err, kest.ErrNoRoot):
		return x.refuse(403, "root", err.Error())
	}
	return x.refuse(503, "unavailable", err.Error())
}

// logRecord keeps the signed record of a denial where the log is kept.
func (x *Exchange) logRecord(denial *kest.DenialError) {
	if denial.RecordErr != nil {
		x.f.log(LevelWarn, "no record of the denial "+denial.DecisionID+" could be signed: "+denial.RecordErr.Error())
		return
	}
	x.f.log(LevelInfo, "denial="+denial.DecisionID+" record="+denial.Record)
}

// refuse answers under a decision id of its own.
func (x *Exchange) refuse(status int, reason, detail string) Step {
	id, err := uuid7.New(x.f.env.Now(), x.f.env.Random)
	if err != nil {
		id = "unavailable"
	}
	return x.answer(status, id, reason, detail)
}

func (x *Exchange) answer(status int, id, reason, detail string) Step {
	step := refusal(status, id)
	operation := x.target.method + " " + x.target.path
	if x.route != nil {
		operation = x.route.expand(x.route.Hop.Operation, &x.target)
	}
	x.f.log(LevelWarn, "refused "+strconv.Itoa(step.Response.Status)+" "+reason+" decision="+id+
		" operation="+strconv.Quote(operation)+" workload="+strconv.Quote(x.f.config.Workload)+": "+detail)
	step.Verdict = string(jcs.AppendObject(nil,
		jcs.Member{Name: "allowed", Value: jcs.BoolValue(false)},
		jcs.Member{Name: "decision_id", Value: jcs.StringValue(id)},
		jcs.Member{Name: "reason", Value: jcs.StringValue(reason)},
		jcs.Member{Name: "trace_id", Value: jcs.StringValue(x.traceID)},
	))
	return step
}
