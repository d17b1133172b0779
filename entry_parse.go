package kest

import (
	"bytes"
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
	v, err := jcs.Parse(payload)
	if err != nil {
		return nil, err
	}
	if v.Kind() != jcs.Object {
		return nil, &detailError{"the payload is " + v.Kind().String() + ", not an object", nil}
	}
	e := &Entry{Classification: ClassSystem}
	var r entryReader
	r.collect(v)
	r.read(e)
	if r.err == nil && schema == SchemaStrict {
		r.strict(e, payload)
	}
	if r.err != nil {
		return nil, r.err
	}
	return e, nil
}

// schemaError names the member of an entry that breaks the schema.
type schemaError struct{ member, detail string }

func (e *schemaError) Error() string {
	if e.member == "" {
		return e.detail
	}
	return e.member + " " + e.detail
}

// entryReader reads members and keeps the first error.
type entryReader struct {
	members [len(entryMembers)]*jcs.Value // nil where there is none
	err     error
}

// entryMembers are the names that count, in canonical order.
var entryMembers = [...]string{
	"added_taints", "classification", "content_hash", "entry_id", "environment", "input_hash", "labels", "metadata",
	"operation", "otel_context", "parent_ids", "policy_context", "removed_taints", "runtime", "schema_version",
	"taints", "timestamp_ms", "trust_score",
}

var noMember = new(jcs.Value)

// collect finds the members. In canonical text each is where the last one
// ended, so that the search is one step.
func (r *entryReader) collect(v *jcs.Value) {
	at := 0
	items := v.Items()
	for i := range items {
		for n := range entryMembers {
			if k := (at + n) % len(entryMembers); entryMembers[k] == items[i].Name {
				r.members[k], at = &items[i].Value, k+1
				break
			}
		}
	}
	for i := range r.members {
		if r.members[i] == nil {
			r.members[i] = noMember
		}
	}
}

// get returns a member of entryMembers; of kind Invalid when it is absent.
func (r *entryReader) get(name string) *jcs.Value {
	for i := range entryMembers {
		if entryMembers[i] == name {
			return r.members[i]
		}
	}
	return noMember
}

func (r *entryReader) fail(member, detail string) {
	if r.err == nil {
		r.err = &schemaError{member, detail}
	}
}

func (r *entryReader) read(e *Entry) {
	r.required(e)
	r.optional(e)
	r.labels(e)
	e.PolicyContext = r.policyContext()
}

func (r *entryReader) required(e *Entry) {
	e.SchemaVersion = r.text("schema_version", true)
	if e.SchemaVersion != SchemaVersion {
		r.fail("schema_version", "is not "+SchemaVersion)
	}
	if e.EntryID = r.text("entry_id", true); !uuid7.Valid(e.EntryID) {
		r.fail("entry_id", "is no UUID v7 in lower case")
	}
	if e.Operation = r.text("operation", true); e.Operation == "" {
		r.fail("operation", "is empty")
	}
	score, ok := r.get("trust_score").Int()
	if !ok || score < 0 || score > 100 {
		r.fail("trust_score", "is no integer from 0 to 100")
	}
	e.TrustScore = int(score)
	e.ParentIDs = r.strings(r.get("parent_ids"), "parent_ids", true)
	e.Taints = r.taints("taints")
	e.AddedTaints = r.taints("added_taints")
	e.RemovedTaints = r.taints("removed_taints")
}

func (r *entryReader) optional(e *Entry) {
	if v := r.get("classification"); v.Kind() != jcs.Invalid {
		e.Classification = v.Str()
		if e.Classification == "" || e.Classification != strings.ToLower(e.Classification) {
			r.fail("classification", "is no word in lower case")
		}
	}
	e.ContentHash = r.hash("content_hash")
	e.InputHash = r.hash("input_hash")
	if v := r.get("timestamp_ms"); v.Kind() != jcs.Invalid {
		ms, ok := v.Int()
		if !ok || ms < 0 {
			r.fail("timestamp_ms", "is no count of milliseconds")
		}
		e.TimestampMS = ms
	}
	if v := r.object("runtime"); v.Kind() == jcs.Object {
		e.Runtime = Runtime{Name: v.Get("name").Str(), Version: v.Get("version").Str()}
	}
	e.Environment = r.scalars("environment", false)
	e.OTelContext = r.scalars("otel_context", false)
	if v := r.get("metadata"); v.Kind() != jcs.Invalid && v.Kind() != jcs.Null {
		e.Metadata = jcs.Append(nil, v)
	}
}

func (r *entryReader) labels(e *Entry) {
	e.Labels = r.scalars("labels", true)
	labels := r.get("labels")
	if labels.Get(LabelPrincipal).Str() == "" {
		r.fail("labels.principal", "is no text")
	}
	if v := labels.Get(LabelTraceID); v.Kind() != jcs.Invalid && !isHex(v.Str(), 32) {
		r.fail("labels.trace_id", "is not 32 hex digits")
	}
}

func (r *entryReader) text(name string, required bool) string {
	v := r.get(name)
	if v.Kind() != jcs.String && (required || v.Kind() != jcs.Invalid) {
		r.fail(name, "is "+v.Kind().String()+", not a string")
	}
	return v.Str()
}

// hash reads a member that is a lower-case hex SHA-256 or "".
func (r *entryReader) hash(name string) string {
	s := r.text(name, false)
	if s != "" && !isLowerHex(s, 64) {
		r.fail(name, "is no SHA-256 in lower-case hex")
	}
	return s
}

func (r *entryReader) object(name string) *jcs.Value {
	v := r.get(name)
	if v.Kind() != jcs.Object && v.Kind() != jcs.Invalid {
		r.fail(name, "is "+v.Kind().String()+", not an object")
	}
	return v
}

func (r *entryReader) strings(v *jcs.Value, name string, required bool) []string {
	if v.Kind() == jcs.Invalid && !required {
		return nil
	}
	list, ok := v.Strings()
	if !ok {
		r.fail(name, "is no list of strings")
	}
	return list
}

func (r *entryReader) taints(name string) []string {
	list := r.strings(r.get(name), name, true)
	for _, s := range list {
		if s == "" {
			r.fail(name, "has an empty label")
		}
	}
	return list
}

// scalars reads an object. Labels may hold any scalar (CONTRACT 1); what is in
// environment and otel_context is the writer's, so deeper values pass there too.
func (r *entryReader) scalars(name string, labels bool) map[string]string {
	v := r.object(name)
	if v.Kind() != jcs.Object {
		if labels {
			r.fail(name, "is missing")
		}
		return nil
	}
	m := make(map[string]string, v.Len())
	for i := range v.Items() {
		item := &v.Items()[i]
		switch k := item.Value.Kind(); {
		case k == jcs.String:
			m[item.Name] = item.Value.Str()
		case labels && (k == jcs.Array || k == jcs.Object):
			r.fail(name+"."+item.Name, "is no scalar")
		default:
			m[item.Name] = string(jcs.Append(nil, &item.Value))
		}
	}
	return m
}

func (r *entryReader) policyContext() PolicyContext {
	v := r.get("policy_context")
	if v.Kind() != jcs.Object {
		r.fail("policy_context", "is "+v.Kind().String()+", not an object")
		return PolicyContext{}
	}
	return PolicyContext{
		Enterprise:  r.strings(v.Get("enterprise_policies"), "enterprise_policies", false),
		Platform:    r.strings(v.Get("platform_policies"), "platform_policies", false),
		Application: r.strings(v.Get("app_policies"), "app_policies", false),
		Function:    r.strings(v.Get("function_policies"), "function_policies", false),
		Deviations:  r.deviations(v.Get("deviations")),
	}
}

func (r *entryReader) deviations(v *jcs.Value) []AppliedDeviation {
	if v.Kind() != jcs.Array {
		r.fail("policy_context.deviations", "is "+v.Kind().String()+", not an array")
		return nil
	}
	list := make([]AppliedDeviation, 0, v.Len())
	for i := range v.Items() {
		d := &v.Items()[i].Value
		list = append(list, AppliedDeviation{
			Policy: d.Get("policy").Str(), Tier: Tier(d.Get("tier").Str()),
			Reason: r.orNull(d.Get("reason")), Approver: r.orNull(d.Get("approver")),
		})
		if t := list[len(list)-1].Tier; t != TierEnterprise && t != TierPlatform && t != TierApplication {
			r.fail("policy_context.deviations", "names no tier that can be deviated from")
		}
		if list[len(list)-1].Policy == "" {
			r.fail("policy_context.deviations", "names no policy")
		}
	}
	return list
}

func (r *entryReader) orNull(v *jcs.Value) string {
	if k := v.Kind(); k != jcs.String && k != jcs.Null && k != jcs.Invalid {
		r.fail("policy_context.deviations", "has a reason or approver that is no string")
	}
	return v.Str()
}

// strict wants the very bytes that this library would have written.
func (r *entryReader) strict(e *Entry, payload []byte) {
	switch e.Classification {
	case ClassSystem, ClassData, ClassCritic, ClassSnapshot, ClassSanitizer:
	default:
		r.fail("classification", "is unknown")
	}
	if trace := e.Labels[LabelTraceID]; trace != "" && !isLowerHex(trace, 32) {
		r.fail("labels.trace_id", "is not in lower case")
	}
	if r.err == nil && !bytes.Equal(e.Canonical(), payload) {
		r.fail("", "the payload is not the canonical form with every member")
	}
}

func isHex(s string, n int) bool { return isLowerHex(strings.ToLower(s), n) }

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
