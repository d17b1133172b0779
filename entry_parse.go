package kest

import (
	"strings"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/uuid7"
)

// Schema says how closely an entry must follow what this library writes.
type Schema int

const (
	// SchemaLenient accepts the entries of other implementations (CONTRACT 1).
	SchemaLenient Schema = iota
	// SchemaStrict wants every member as produced here, in canonical bytes.
	SchemaStrict
)

// ParseEntry reads an entry's JSON and checks it against the schema. It checks
// no signature. The error wraps the cause, and no half entry comes with it.
func ParseEntry(payload []byte, schema Schema) (*Entry, error) {
	return parseEntry(string(payload), schema)
}

func parseEntry(payload string, schema Schema) (*Entry, error) {
	r := entryReader{s: *jcs.NewScanner(payload), e: &Entry{Classification: ClassSystem}}
	kind := r.s.Kind()
	if kind == jcs.Object {
		r.s.Object(1, r.member)
	} else {
		r.s.Value()
	}
	if err := r.s.End(); err != nil {
		return nil, err
	}
	if kind != jcs.Object {
		return nil, &detailError{"the payload is " + kind.String() + ", not an object", nil}
	}
	r.required()
	if r.err == nil && schema == SchemaStrict {
		r.strict(payload)
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.e, nil
}

// schemaError names the member of an entry that breaks the schema.
type schemaError struct{ member, detail string }

func (e *schemaError) Error() string {
	if e.member == "" {
		return e.detail
	}
	return e.member + " " + e.detail
}

// entryReader reads members as they come and keeps the first error. This is the
// hottest parser of all: it makes no tree.
type entryReader struct {
	s    jcs.Scanner
	e    *Entry
	seen uint32 // bits of the required members that were there
	err  error
}

// Bits of the members that an entry can't do without.
const (
	seenSchema = 1 << iota
	seenID
	seenOperation
	seenTrust
	seenParents
	seenTaints
	seenAdded
	seenRemoved
	seenLabels
	seenPolicies
)

var requiredMembers = [...]string{
	"schema_version", "entry_id", "operation", "trust_score", "parent_ids", "taints", "added_taints", "removed_taints",
	"labels", "policy_context",
}

func (r *entryReader) fail(member, detail string) {
	if r.err == nil {
		r.err = &schemaError{member, detail}
	}
}

func (r *entryReader) required() {
	for i, name := range requiredMembers {
		if r.seen&(1<<i) == 0 {
			r.fail(name, "is missing")
		}
	}
}

func (r *entryReader) member(name string) {
	e := r.e
	switch name {
	case "added_taints":
		e.AddedTaints = r.taints(name, seenAdded)
	case "classification":
		r.classification()
	case "content_hash":
		e.ContentHash = r.hash(name)
	case "entry_id":
		r.seen |= seenID
		if e.EntryID = r.text(name); !uuid7.Valid(e.EntryID) {
			r.fail(name, "is no UUID v7 in lower case")
		}
	case "environment":
		e.Environment = r.scalars(name, false)
	case "input_hash":
		e.InputHash = r.hash(name)
	case "labels":
		r.labels()
	case "metadata":
		if v := r.s.Value(); v.Kind() != jcs.Null {
			e.Metadata = appendValue(v)
		}
	case "operation":
		r.seen |= seenOperation
		if e.Operation = r.text(name); e.Operation == "" {
			r.fail(name, "is empty")
		}
	case "otel_context":
		e.OTelContext = r.scalars(name, false)
	case "parent_ids":
		r.seen |= seenParents
		e.ParentIDs = r.strings(name)
	default:
		r.laterMember(name)
	}
}

// laterMember goes on with the second half of the alphabet.
func (r *entryReader) laterMember(name string) {
	e := r.e
	switch name {
	case "policy_context":
		r.policyContext()
	case "removed_taints":
		e.RemovedTaints = r.taints(name, seenRemoved)
	case "runtime":
		r.runtime()
	case "schema_version":
		r.seen |= seenSchema
		if e.SchemaVersion = r.text(name); e.SchemaVersion != SchemaVersion {
			r.fail(name, "is not "+SchemaVersion)
		}
	case "taints":
		e.Taints = r.taints(name, seenTaints)
	case "timestamp_ms":
		e.TimestampMS = r.integer(name, 1<<53, "is no count of milliseconds")
	case "trust_score":
		r.seen |= seenTrust
		e.TrustScore = int(r.integer(name, 100, "is no integer from 0 to 100"))
	default:
		r.s.Value() // unknown members are ignored, but must be JSON
	}
}

// want reports whether the next value is of a kind; another one is read and refused.
func (r *entryReader) want(name string, kind jcs.Kind) bool {
	have := r.s.Kind()
	if have == kind {
		return true
	}
	r.s.Value()
	r.fail(name, "is "+have.String()+", not "+kind.String())
	return false
}

func (r *entryReader) text(name string) string {
	if !r.want(name, jcs.String) {
		return ""
	}
	return r.s.String()
}

func (r *entryReader) integer(name string, highest int64, detail string) int64 {
	if !r.want(name, jcs.Number) {
		return 0
	}
	f := r.s.Number()
	i := int64(f)
	if f < 0 || f > float64(highest) || f != float64(i) {
		r.fail(name, detail)
		return 0
	}
	return i
}

// hash reads a member that is a lower-case hex SHA-256 or "".
func (r *entryReader) hash(name string) string {
	s := r.text(name)
	if s != "" && !isLowerHex(s, 64) {
		r.fail(name, "is no SHA-256 in lower-case hex")
	}
	return s
}

func (r *entryReader) classification() {
	c := r.text("classification")
	if c == "" || c != strings.ToLower(c) {
		r.fail("classification", "is no word in lower case")
	}
	r.e.Classification = c
}

func (r *entryReader) strings(name string) (list []string) {
	if !r.want(name, jcs.Array) {
		return nil
	}
	r.s.Array(2, func() {
		if r.s.Kind() == jcs.String {
			list = append(list, r.s.String())
			return
		}
		r.s.Value()
		r.fail(name, "is no list of strings")
	})
	return list
}

func (r *entryReader) taints(name string, bit uint32) []string {
	r.seen |= bit
	list := r.strings(name)
	for _, s := range list {
		if s == "" {
			r.fail(name, "has an empty label")
		}
	}
	return list
}

// scalars reads an object. Labels may hold any scalar (CONTRACT 1); what is in
// environment and otel_context is the writer's, so deeper values pass there too.
func (r *entryReader) scalars(name string, labels bool) (m map[string]string) {
	if !r.want(name, jcs.Object) {
		return nil
	}
	r.s.Object(2, func(label string) {
		if m == nil {
			m = make(map[string]string)
		}
		switch kind := r.s.Kind(); {
		case kind == jcs.String:
			m[label] = r.s.String()
			return
		case labels && (kind == jcs.Array || kind == jcs.Object):
			r.fail(name+"."+label, "is no scalar")
		case labels && (label == LabelPrincipal || label == LabelTraceID):
			r.fail(name+"."+label, "is no string")
		}
		m[label] = string(appendValue(r.s.Value()))
	})
	return m
}

func (r *entryReader) labels() {
	r.seen |= seenLabels
	r.e.Labels = r.scalars("labels", true)
	if r.e.Labels[LabelPrincipal] == "" {
		r.fail("labels.principal", "is missing or empty")
	}
	if trace, ok := r.e.Labels[LabelTraceID]; ok && !isHex(trace, 32) {
		r.fail("labels.trace_id", "is not 32 hex digits")
	}
}

func (r *entryReader) runtime() {
	if !r.want("runtime", jcs.Object) {
		return
	}
	r.s.Object(2, func(name string) {
		to := new(string)
		switch name {
		case "name":
			to = &r.e.Runtime.Name
		case "version":
			to = &r.e.Runtime.Version
		}
		if v := r.s.Value(); v.Kind() == jcs.String {
			*to = v.Str()
		}
	})
}

func (r *entryReader) policyContext() {
	r.seen |= seenPolicies
	if !r.want("policy_context", jcs.Object) {
		return
	}
	p := &r.e.PolicyContext
	hasDeviations := false
	r.s.Object(2, func(name string) {
		switch name {
		case "enterprise_policies":
			p.Enterprise = r.strings(name)
		case "platform_policies":
			p.Platform = r.strings(name)
		case "app_policies":
			p.Application = r.strings(name)
		case "function_policies":
			p.Function = r.strings(name)
		case "deviations":
			hasDeviations = true
			p.Deviations = r.deviations()
		default:
			r.s.Value()
		}
	})
	if !hasDeviations {
		r.fail("policy_context.deviations", "is missing")
	}
}

func (r *entryReader) deviations() (list []AppliedDeviation) {
	const member = "policy_context.deviations"
	if !r.want(member, jcs.Array) {
		return nil
	}
	r.s.Array(3, func() {
		v := r.s.Value()
		d := AppliedDeviation{
			Policy: v.Get("policy").Str(), Tier: Tier(v.Get("tier").Str()),
			Reason: r.orNull(v.Get("reason")), Approver: r.orNull(v.Get("approver")),
		}
		switch {
		case d.Tier != TierEnterprise && d.Tier != TierPlatform && d.Tier != TierApplication:
			r.fail(member, "names no tier that can be deviated from")
		case d.Policy == "":
			r.fail(member, "names no policy")
		}
		list = append(list, d)
	})
	return list
}

func (r *entryReader) orNull(v *jcs.Value) string {
	if k := v.Kind(); k != jcs.String && k != jcs.Null && k != jcs.Invalid {
		r.fail("policy_context.deviations", "has a reason or approver that is no string")
	}
	return v.Str()
}

// strict wants the very bytes that this library would have written.
func (r *entryReader) strict(payload string) {
	e := r.e
	switch e.Classification {
	case ClassSystem, ClassData, ClassCritic, ClassSnapshot, ClassSanitizer:
	default:
		r.fail("classification", "is unknown")
	}
	if trace := e.Labels[LabelTraceID]; trace != "" && !isLowerHex(trace, 32) {
		r.fail("labels.trace_id", "is not in lower case")
	}
	if r.err == nil && string(e.Canonical()) != payload {
		r.fail("", "the payload is not the canonical form with every member")
	}
}

func isHex(s string, n int) bool { return isLowerHex(s, n) || isLowerHex(strings.ToLower(s), n) }

func isLowerHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
