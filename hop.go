package kest

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/uuid7"
)

// Hop describes one operation as configuration sees it: what its entries say
// and which policies they need.
type Hop struct {
	Operation      string
	Policies       []string // of the function tier
	ShadowPolicies []string
	RootOrigin     string // "" refuses a call without a passport
	SourceType     string // the hop's own, where there is a passport; default internal
	AddedTaints    []string
	RemovedTaints  []string
	TrustOverride  *int // 0 to 100; nil is none
	Classification string

	plan *Plan // what it always evaluates, where no deviation can change that
}

// Resource is what an operation acts upon.
type Resource struct {
	ID         string
	Attributes []byte // one JSON object, or nil
}

// Validate fills in defaults and refuses what contradicts itself.
func (h *Hop) Validate(origins Origins) error {
	if h.Operation == "" {
		return &MemberError{"operation", "is empty"}
	}
	if h.SourceType == "" {
		h.SourceType = defaultSource
	}
	for _, o := range [...]struct{ member, name string }{{"root.origin", h.RootOrigin}, {"source_type", h.SourceType}} {
		if _, known := origins.Score(o.name); !known && o.name != "" {
			return &MemberError{o.member, "the origin " + strconv.Quote(o.name) + " is unknown"}
		}
	}
	if h.TrustOverride != nil && (*h.TrustOverride < 0 || *h.TrustOverride > 100) {
		return &MemberError{"trust_override", "is not from 0 to 100"}
	}
	for _, l := range [...]struct {
		member string
		labels []string
	}{{"added_taints", h.AddedTaints}, {"removed_taints", h.RemovedTaints}} {
		if slices.Contains(l.labels, "") {
			return &MemberError{l.member, "has an empty label"}
		}
	}
	h.AddedTaints, h.RemovedTaints = labelSet(h.AddedTaints), labelSet(h.RemovedTaints)
	if err := validatePolicyNames("policies", h.Policies); err != nil {
		return err
	}
	if err := validatePolicyNames("shadow_policies", h.ShadowPolicies); err != nil {
		return err
	}
	return h.classify()
}

// classify settles the classification (CONTRACT 5): an override or a removal makes a sanitizer.
func (h *Hop) classify() error {
	sanitizes := h.TrustOverride != nil || len(h.RemovedTaints) > 0
	switch h.Classification {
	case "":
		h.Classification = ClassSystem
		if sanitizes {
			h.Classification = ClassSanitizer
		}
	case ClassSanitizer:
	case ClassSystem, ClassData, ClassCritic, ClassSnapshot:
		if sanitizes {
			return &MemberError{"classification", strconv.Quote(h.Classification) +
				" contradicts trust_override or removed_taints, which make a sanitizer"}
		}
	default:
		return &MemberError{"classification", strconv.Quote(h.Classification) + " is unknown"}
	}
	return nil
}

// DefaultClasses is the classification map of CONTRACT 5, for Workshop.Classes.
func DefaultClasses() map[string]string {
	return map[string]string{ClassData: "contains_data", ClassCritic: "requires_review", ClassSanitizer: "sanitized"}
}

// Workshop is what making entries needs besides a lineage: the same in a
// filter and in process.
type Workshop struct {
	Policies PolicyConfig
	Origins  Origins
	Trust    TrustEvaluator
	Classes  map[string]string // taint that a classification adds; nil adds none
	Digest   string            // environment kest.config: hex SHA-256 of configuration, policies and build
	Random   io.Reader
	Shadow   func(policy string, d Decision, err error) // told what shadow policies say; may be nil
}

// Call is one invocation of a hop.
type Call struct {
	Operation   string // where it differs from the hop's, as with a path pattern's names
	Actor       Actor
	ActChain    []string // of a token with act (RFC 8693 section 4.1), the outermost first
	Resource    Resource
	Attributes  *jcs.Value // of the subject, from configuration
	TraceID     string     // 32 hex digits, or ""
	Traceparent string     // in process only
	InputHash   string
	Now         time.Time
}

// Pending is an entry that is made but neither signed nor allowed.
type Pending struct {
	Plan    *Plan
	Context *Context
	Entry   *Entry

	lineage  *Lineage
	identity *Identity
	now      time.Time
}

// Prepare makes the entry and the context of one call: trust, then taints,
// then the entry (CONTRACT 7). A lineage without entries needs a granted root,
// else the error is ErrNoRoot.
func (w *Workshop) Prepare(l *Lineage, h *Hop, c Call, identity *Identity) (*Pending, error) {
	if l.Len() == 0 && h.RootOrigin == "" {
		return nil, ErrNoRoot
	}
	operation := h.Operation
	if c.Operation != "" {
		operation = c.Operation
	}
	plan, err := w.plan(h, operation, c.Now)
	if err != nil {
		return nil, err
	}
	id, err := uuid7.New(c.Now, w.Random)
	if err != nil {
		return nil, unavailable("randomness", err)
	}
	e := &Entry{
		SchemaVersion: SchemaVersion, Runtime: Runtime{runtimeName, Version},
		EntryID: id, Operation: operation, Classification: h.Classification,
		ParentIDs: l.Leaves(), AddedTaints: h.AddedTaints, RemovedTaints: h.RemovedTaints,
		PolicyContext: plan.Context, InputHash: c.InputHash, TimestampMS: c.Now.UnixMilli(),
	}
	if taint := w.Classes[h.Classification]; taint != "" {
		e.AddedTaints = labelSet(append(slices.Clone(h.AddedTaints), taint))
	}
	e.Taints = Taints(l.leafTaints(), e.AddedTaints, e.RemovedTaints)
	if l.Len() == 0 {
		e.ParentIDs = []string{rootParent}
	}
	source := w.trust(e, l, h)
	if err := e.label(identity, source, c); err != nil {
		return nil, err
	}
	if w.Digest != "" {
		e.Environment = map[string]string{"kest.config": w.Digest}
	}
	if c.Traceparent != "" {
		e.OTelContext = map[string]string{"traceparent": c.Traceparent}
	}
	p := &Pending{Plan: plan, Entry: e, lineage: l, identity: identity, now: c.Now}
	return p, p.context(source, c)
}

// Ready prepares a valid hop for many calls: it settles now what no call can
// change. The error is Plan's.
func (w *Workshop) Ready(h *Hop, now time.Time) error {
	plan, err := w.Policies.Plan(h.Operation, h.Policies, h.ShadowPolicies, now)
	if err == nil && w.Policies.fixed() {
		h.plan = plan
	}
	return err
}

func (w *Workshop) plan(h *Hop, operation string, now time.Time) (*Plan, error) {
	if h.plan != nil {
		return h.plan, nil
	}
	return w.Policies.Plan(operation, h.Policies, h.ShadowPolicies, now)
}

// trust sets the entry's score (CONTRACT 4) and returns its source type.
func (w *Workshop) trust(e *Entry, l *Lineage, h *Hop) (source string) {
	if source = h.SourceType; e.IsRoot() {
		source = h.RootOrigin
		e.TrustScore = w.Origins.root(source)
	} else {
		parents := make([]int, len(l.leaves))
		for i, r := range l.leaves {
			parents[i] = r.entry.TrustScore
		}
		e.TrustScore = min(clamp(w.evaluator().Calculate(w.Origins.self(source), parents)), lowest(parents))
	}
	if h.TrustOverride != nil {
		e.TrustScore = clamp(*h.TrustOverride)
	}
	return source
}

func (w *Workshop) evaluator() TrustEvaluator {
	if w.Trust == nil {
		return DefaultTrust{}
	}
	return w.Trust
}

func (e *Entry) label(identity *Identity, source string, c Call) error {
	e.Labels = map[string]string{
		LabelPrincipal: identity.WorkloadID, LabelSourceType: source, LabelIdentity: c.Actor.label(),
	}
	if c.TraceID != "" {
		e.Labels[LabelTraceID] = c.TraceID
	}
	if len(c.ActChain) > 1 {
		e.Labels[LabelAct] = string(appendStrings(nil, c.ActChain))
	}
	if issuer, subject, ok := strings.Cut(identity.WorkloadID, "#"); ok && strings.Contains(issuer, "://") {
		e.Labels[LabelOIDCIssuer], e.Labels[LabelOIDCSubject] = issuer, subject
	}
	if c.Resource.ID != "" {
		e.Labels[LabelResourceID] = c.Resource.ID
	}
	if len(c.Resource.Attributes) > 0 {
		v, err := jcs.Parse(c.Resource.Attributes)
		if err != nil || v.Kind() != jcs.Object {
			return &detailError{"the resource's attributes are no JSON object", err}
		}
		if v.Len() > 0 {
			e.Labels[LabelResourceAttr] = string(appendValue(v))
		}
	}
	return nil
}

func (p *Pending) context(source string, c Call) error {
	e := p.Entry
	var attributes *jcs.Value
	if text := e.Labels[LabelResourceAttr]; text != "" {
		v, err := jcs.ParseString(text)
		if err != nil {
			return &detailError{"the resource's attributes", err}
		}
		attributes = v
	}
	deviations := make([]string, len(p.Plan.Context.Deviations))
	for i, d := range p.Plan.Context.Deviations {
		deviations[i] = d.Policy
	}
	p.Context = &Context{
		Subject: Subject{
			Workload: e.Principal(), Actor: c.Actor, TrustScore: e.TrustScore, Taints: e.Taints, Attributes: c.Attributes,
		},
		Object: Object{ID: c.Resource.ID, Attributes: attributes},
		Environment: PolicyEnvironment{
			IsRoot: e.IsRoot(), SourceType: source, ParentHash: strings.Join(e.ParentIDs, ","),
			ActiveDeviations: deviations, Operation: e.Operation, Classification: e.Classification,
			TimestampMS: e.TimestampMS,
		},
		Lineage: p.lineage, entryID: e.EntryID,
	}
	return nil
}

// Signed is an allowed call: its evidence and the lineage with it.
type Signed struct {
	Evidence string
	Hash     string
	Entry    *Entry
	Lineage  *Lineage
	Policies []NamedDecision
}

// Finish asks the policies and then signs; nothing is signed that they denied,
// but the record of the denial: the *DenialError's Record.
func (w *Workshop) Finish(ctx context.Context, p *Pending, engine Engine) (*Signed, error) {
	decisions, err := p.Plan.Evaluate(ctx, engine, p.Context, w.Shadow)
	if err != nil {
		return nil, p.Deny(ctx, err)
	}
	return p.Sign(ctx, decisions)
}

// Sign makes the evidence of a call that its policies allowed.
func (p *Pending) Sign(ctx context.Context, decisions []NamedDecision) (*Signed, error) {
	evidence, err := p.identity.SignEntry(ctx, p.Entry, p.now)
	if err != nil {
		return nil, err
	}
	hash := Hash(evidence)
	return &Signed{
		Evidence: evidence, Hash: hash, Entry: p.Entry,
		Lineage: p.lineage.extend(p.Entry, evidence, hash), Policies: decisions,
	}, nil
}

// ProvenActor keeps of what baggage says only what every parent's signer said
// too (CONTRACT 7, identity is proven); the rest is empty.
func ProvenActor(claimed Actor, l *Lineage) Actor {
	if len(l.leaves) == 0 {
		return Actor{}
	}
	for _, r := range l.leaves {
		signed := r.entry.Actor()
		if claimed.User != signed.User {
			claimed.User = ""
		}
		if claimed.Agent != signed.Agent {
			claimed.Agent = ""
		}
		if claimed.Task != signed.Task {
			claimed.Task = ""
		}
	}
	return claimed
}

// EmptyLineage is the lineage of a request without a passport.
func EmptyLineage() *Lineage { return &Lineage{} }
