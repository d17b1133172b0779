package kest

import (
	"context"
	"errors"
	"time"
)

// Semantics says how far entries must mean what they claim (CONTRACT 3.6).
type Semantics int

const (
	// SemanticsEnforce lets an entry be more careful than its parents, never less.
	SemanticsEnforce Semantics = iota
	// SemanticsExact also wants taints to equal the computed set (F-TT-04).
	SemanticsExact
	// SemanticsReport lists faults in Lineage.Faults and goes on.
	SemanticsReport
)

// Limits bound the work that one passport can cause (CONTRACT 3.1).
type Limits struct {
	Bytes       int // of the passport's wire form
	EntryBytes  int // of one entry
	Entries     int
	UnknownKeys int // distinct keys whose lookup takes work
}

// DefaultLimits are the limits of a verifier that isn't told otherwise. A
// proxy takes ProxyEntries entries at most.
func DefaultLimits() Limits {
	return Limits{Bytes: 1 << 20, EntryBytes: 64 << 10, Entries: 256, UnknownKeys: 8}
}

// ProxyEntries is how many entries a proxy accepts by default.
const ProxyEntries = 32

const (
	defaultSkew  = 30 * time.Second
	defaultGrace = 5 * time.Minute
)

// Verifier turns passports into lineages. It is safe for concurrent use.
type Verifier struct {
	keys       KeySource
	authority  Authority
	trustAll   bool
	limits     Limits
	schema     Schema
	semantics  Semantics
	strict     bool
	origins    Origins
	grace      time.Duration
	atRuntime  bool
	locate     bool
	peerReport bool
	signatures SignatureVerifier
	cache      *signatureCache
	now        func() time.Time
}

// VerifierOption changes one choice of a Verifier.
type VerifierOption func(*Verifier)

// WithLimits replaces the limits.
func WithLimits(l Limits) VerifierOption { return func(v *Verifier) { v.limits = l } }

// WithSchema chooses how closely entries must follow what this library writes.
func WithSchema(s Schema) VerifierOption { return func(v *Verifier) { v.schema = s } }

// WithSemantics chooses how far entries must mean what they claim.
func WithSemantics(s Semantics) VerifierOption { return func(v *Verifier) { v.semantics = s } }

// WithStrictChain accepts only a line: each entry's one parent is its predecessor (F-PA-04).
func WithStrictChain() VerifierOption { return func(v *Verifier) { v.strict = true } }

// WithOrigins adds registered origins.
func WithOrigins(o Origins) VerifierOption { return func(v *Verifier) { v.origins = o } }

// WithGrace sets for how long after its end a key still counts at run time (default 5 minutes).
func WithGrace(d time.Duration) VerifierOption { return func(v *Verifier) { v.grace = d } }

// WithClock replaces the clock, for tests and replays.
func WithClock(now func() time.Time) VerifierOption { return func(v *Verifier) { v.now = now } }

// WithSignatureVerifier hands signatures to another implementation, such as a guest's host.
func WithSignatureVerifier(s SignatureVerifier) VerifierOption {
	return func(v *Verifier) { v.signatures = s }
}

// WithSignatureCache sets how many good signatures are remembered (default 4096; 0 remembers none).
func WithSignatureCache(entries int) VerifierOption {
	return func(v *Verifier) { v.cache = newSignatureCache(entries) }
}

// WithLowestFault makes errors name the lowest faulty entry, at whatever cost.
// Without it a forged passport is refused as cheaply as can be, and a bad
// signature may be named less exactly.
func WithLowestFault() VerifierOption { return func(v *Verifier) { v.locate = true } }

// ForAudit judges keys as of each entry's time only, not as of now.
func ForAudit() VerifierOption { return func(v *Verifier) { v.atRuntime = false } }

// WithPeerReport lists a peer that is not the signer of every leaf as a fault
// instead of refusing it.
func WithPeerReport() VerifierOption { return func(v *Verifier) { v.peerReport = true } }

// InsecureTrustAllClaims takes what entries claim about origins, taints and
// overrides without asking who may claim it. It warns.
func InsecureTrustAllClaims() VerifierOption { return func(v *Verifier) { v.trustAll = true } }

// NewVerifier makes a verifier that takes keys from the source and holds
// claims against the authority. A nil authority is an error that wraps
// ErrConfiguration, unless InsecureTrustAllClaims is given.
func NewVerifier(keys KeySource, authority Authority, options ...VerifierOption) (*Verifier, error) {
	v := &Verifier{
		keys: keys, authority: authority, limits: DefaultLimits(),
		grace: defaultGrace, atRuntime: true, signatures: inProcess{},
		cache: newSignatureCache(4096), now: time.Now,
	}
	for _, o := range options {
		o(v)
	}
	switch {
	case keys == nil:
		return nil, configurationError("a verifier needs a source of keys")
	case authority == nil && !v.trustAll:
		return nil, configurationError("a verifier needs an authority list, or InsecureTrustAllClaims")
	case authority != nil && v.trustAll:
		return nil, configurationError("an authority list and InsecureTrustAllClaims exclude each other")
	case v.limits.Bytes <= 0 || v.limits.EntryBytes <= 0 || v.limits.Entries <= 0 || v.limits.UnknownKeys <= 0:
		return nil, configurationError("every limit of a verifier must be positive")
	}
	if v.trustAll {
		warn("insecure: what entries claim of origins, taints and overrides is taken as it is")
	}
	return v, nil
}

// VerifyOption changes one verification.
type VerifyOption func(*verification)

// FromPeer names the SPIFFE id that the connection's peer proved by mTLS. If
// it is known as a signer, every leaf must be that peer's (CONTRACT 3.9).
func FromPeer(id string) VerifyOption { return func(r *verification) { r.peer = id } }

// Verify checks a passport by every rule of CONTRACT 2 and 3. The error is a
// *VerificationError, or wraps ErrUnavailable where keys could not be had. The
// empty passport gives an empty lineage.
func (v *Verifier) Verify(ctx context.Context, p Passport, options ...VerifyOption) (*Lineage, error) {
	if p.Len() == 0 {
		return EmptyLineage(), nil
	}
	run := verification{v: v, ctx: ctx, now: v.now()}
	for _, o := range options {
		o(&run)
	}
	return run.verify(p)
}

// verification is the state of one run over one passport.
type verification struct {
	v    *Verifier
	ctx  context.Context
	now  time.Time
	peer string

	entries []checked
	faults  []*VerificationError // reported, not refused
}

// checked is one entry on its way to being verified.
type checked struct {
	ev         *Evidence
	parents    []int // indexes; none for a root
	leaf       bool
	depth      int
	candidates []Key
	key        Key // the candidate that verified
	good       bool
}

func (r *verification) verify(p Passport) (*Lineage, error) {
	if fault := r.limits(p); fault != nil {
		return nil, fault
	}
	// The first three steps need no cryptography. In order to name the lowest
	// faulty entry, the signatures before a fault are asked all the same.
	fault := r.structure(p)
	if fault == nil || r.v.locate {
		signatureFault, err := r.keysAndSignatures()
		if err != nil {
			return nil, err
		}
		fault = lower(signatureFault, fault)
	}
	if fault == nil || r.v.locate {
		fault = lower(fault, r.claims())
	}
	if fault != nil {
		return nil, fault
	}
	if fault := r.peerRule(); fault != nil {
		return nil, fault
	}
	return newLineage(p, r.entries, r.faults), nil
}

// lower returns the fault at the lower entry; of two at the same one, the first.
func lower(a, b *VerificationError) *VerificationError {
	switch {
	case a == nil:
		return b
	case b == nil || a.Index <= b.Index:
		return a
	}
	return b
}

func (r *verification) limits(p Passport) *VerificationError {
	l := r.v.limits
	refuse := func(index int, detail string) *VerificationError {
		return &VerificationError{Index: index, Reason: ReasonLimit, Detail: detail}
	}
	if p.Len() > l.Entries {
		return refuse(-1, "too many entries")
	}
	if p.bytes()+3*p.Len()+1 > l.Bytes {
		return refuse(-1, "too many bytes")
	}
	for i, e := range p.Entries() {
		if len(e) > l.EntryBytes {
			return refuse(i, "the entry is too long")
		}
	}
	return nil
}

// structure parses the entries and links them to their parents, until the first fault.
func (r *verification) structure(p Passport) *VerificationError {
	hashes := make(map[string]int, p.Len())
	ids := make(map[string]bool, p.Len())
	r.entries = make([]checked, 0, p.Len())
	for i, compact := range p.Entries() {
		ev, fault := parseEvidence(compact, r.v.schema, i)
		if fault != nil {
			return fault
		}
		if _, again := hashes[ev.Hash]; again {
			return ev.fault(i, ReasonDuplicate, "the entry stands there twice")
		}
		if ids[ev.Entry.EntryID] {
			return ev.fault(i, ReasonDuplicate, "its entry_id stands there twice")
		}
		c := checked{ev: ev, leaf: true}
		if detail := r.link(&c, hashes); detail != "" {
			return ev.fault(i, ReasonParents, detail)
		}
		hashes[ev.Hash], ids[ev.Entry.EntryID] = i, true
		r.entries = append(r.entries, c)
	}
	return nil
}

// link finds an entry's parents among those before it (F-PA-04, [ours] a DAG).
func (r *verification) link(c *checked, before map[string]int) (detail string) {
	i := len(r.entries)
	ids := c.ev.Entry.ParentIDs
	if len(ids) == 0 {
		return "it names no parents"
	}
	if r.v.strict && (i == 0) != c.ev.Entry.IsRoot() {
		return "the chain is no line"
	}
	if c.ev.Entry.IsRoot() {
		c.depth = 1
		return ""
	}
	for _, id := range ids {
		at, ok := before[id]
		switch {
		case !ok:
			return "a parent is not among the entries before it"
		case r.v.strict && (len(ids) > 1 || at != i-1):
			return "the chain is no line"
		}
		for _, other := range c.parents {
			if other == at {
				return "it names a parent twice"
			}
		}
		c.parents = append(c.parents, at)
		c.depth = max(c.depth, r.entries[at].depth+1)
	}
	for _, at := range c.parents {
		r.entries[at].leaf = false
	}
	return ""
}

// claims asks for meaning, authority and time, entry by entry (CONTRACT 3.6 to 3.8).
func (r *verification) claims() *VerificationError {
	for i := range r.entries {
		c := &r.entries[i]
		if !c.good {
			return nil // a fault before this one is known already
		}
		if fault := r.meaning(i, c); fault != nil {
			if r.v.semantics != SemanticsReport {
				return fault
			}
			r.faults = append(r.faults, fault)
		}
		if !r.v.trustAll {
			if detail := r.v.authority.check(c.ev.Entry, r.floor(c), r.v.origins); detail != "" {
				return c.ev.fault(i, ReasonAuthority, detail)
			}
		}
		if detail := r.time(c); detail != "" {
			return c.ev.fault(i, ReasonExpired, detail)
		}
	}
	return nil
}

// floor returns the least trust among an entry's parents.
func (r *verification) floor(c *checked) int {
	low := 100
	for _, at := range c.parents {
		low = min(low, r.entries[at].ev.Entry.TrustScore)
	}
	return low
}

func (r *verification) meaning(i int, c *checked) *VerificationError {
	e := c.ev.Entry
	sanitizer := e.Classification == ClassSanitizer
	parents := make([][]string, len(c.parents))
	for n, at := range c.parents {
		parents[n] = r.entries[at].ev.Entry.Taints
	}
	want := Taints(parents, e.AddedTaints, e.RemovedTaints)
	if label, lacks := missing(want, e.Taints); lacks {
		return c.ev.fault(i, ReasonTaints, "the taint "+label+" is missing")
	}
	if len(e.RemovedTaints) > 0 && !sanitizer {
		return c.ev.fault(i, ReasonTaints, "taints are removed by an entry that is no sanitizer")
	}
	if r.v.semantics == SemanticsExact {
		if label, more := missing(labelSet(e.Taints), want); more {
			return c.ev.fault(i, ReasonTaints, "the taint "+label+" comes from nowhere")
		}
	}
	switch {
	case sanitizer:
		return nil
	case !e.IsRoot() && e.TrustScore > r.floor(c):
		return c.ev.fault(i, ReasonTrust, "its trust is above its parents'")
	case e.IsRoot():
		if source := e.Labels[LabelSourceType]; source != "" && e.TrustScore > r.v.origins.root(source) {
			return c.ev.fault(i, ReasonTrust, "a root of origin "+source+" may not have so much trust")
		}
	}
	return nil
}

// time holds the key's validity against the entry's time, and against now.
func (r *verification) time(c *checked) (detail string) {
	k := c.key
	at := r.now
	if ms := c.ev.Entry.TimestampMS; ms != 0 {
		at = time.UnixMilli(ms)
	}
	switch {
	case !k.NotBefore.IsZero() && at.Add(defaultSkew).Before(k.NotBefore):
		return "its key was not yet valid"
	case !k.NotAfter.IsZero() && at.Add(-defaultSkew).After(k.NotAfter):
		return "its key was no longer valid"
	case !r.v.atRuntime:
		return ""
	case k.Revoked:
		return "its key is revoked"
	case !k.NotAfter.IsZero() && r.now.Add(-r.v.grace).After(k.NotAfter):
		return "its key has expired for longer than the grace allows"
	}
	return ""
}

// peerRule wants every leaf signed by a peer that is known as a signer (CONTRACT 3.9).
func (r *verification) peerRule() *VerificationError {
	if r.peer == "" || !r.knowsSigner(r.peer) {
		return nil
	}
	for i := range r.entries {
		c := &r.entries[i]
		if !c.leaf || c.ev.Entry.Principal() == r.peer {
			continue
		}
		fault := c.ev.fault(i, ReasonPeer, "the leaf is not signed by the peer "+r.peer)
		if !r.v.peerReport {
			return fault
		}
		r.faults = append(r.faults, fault)
	}
	return nil
}

func (r *verification) knowsSigner(id string) bool {
	if r.v.authority.knows(id) {
		return true
	}
	keys, err := r.v.keys.Keys(r.ctx, KeyRequest{Principal: id})
	return err != nil || len(keys) > 0 // who can't be told apart counts as known
}

// AsVerificationError returns the *VerificationError in err, or nil.
func AsVerificationError(err error) *VerificationError {
	fault, _ := errors.AsType[*VerificationError](err)
	return fault
}
