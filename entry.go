package kest

import "kest.example/kest/internal/jcs"

// Classifications of an entry (F-AE-06). An entry that raises trust or removes
// a taint is a sanitizer.
const (
	ClassSystem    = "system"
	ClassData      = "data"
	ClassCritic    = "critic"
	ClassSnapshot  = "snapshot"
	ClassSanitizer = "sanitizer"
)

// Names of labels in an entry.
const (
	LabelPrincipal    = "principal"     // workload id of the signer
	LabelTraceID      = "trace_id"      // 32 lower-case hex digits (W3C Trace Context)
	LabelIdentity     = "kest.identity" // JSON text {agent, task, user}
	LabelAct          = "kest.act"      // JSON text of a token's chain of actors, the outermost first
	LabelOIDCIssuer   = "oidc.iss"
	LabelOIDCSubject  = "oidc.sub"
	LabelSourceType   = "kest.source_type"   // origin of a root, the hop's own source otherwise
	LabelResourceID   = "kest.resource_id"   //
	LabelResourceAttr = "kest.resource_attr" // JSON text of the attribute map (F-IC-04)
)

// rootParent is the one parent id of a root.
const rootParent = "0"

// Runtime names the library that made an entry.
type Runtime struct{ Name, Version string }

// Entry is one audit record of one hop (F-AE-01 to F-AE-13).
type Entry struct {
	SchemaVersion  string
	Runtime        Runtime
	EntryID        string // UUID v7, lower case
	Operation      string
	Classification string
	TrustScore     int      // 0 to 100
	ParentIDs      []string // {"0"} for a root, else SHA-256 of each parent's evidence in lower-case hex
	AddedTaints    []string
	RemovedTaints  []string
	Taints         []string
	Labels         map[string]string // scalars other than strings are read as their JSON text
	PolicyContext  PolicyContext
	Environment    map[string]string
	OTelContext    map[string]string
	Metadata       []byte // canonical JSON; nil is null
	ContentHash    string // lower-case hex SHA-256, or ""
	InputHash      string // lower-case hex SHA-256, or ""
	TimestampMS    int64  // epoch milliseconds; 0 when the entry has none
}

// PolicyContext lists what one hook evaluated, by tier, and what it left out.
type PolicyContext struct {
	Enterprise, Platform, Application, Function []string
	Deviations                                  []AppliedDeviation
}

// AppliedDeviation is a policy that deployment configuration took out of a tier.
type AppliedDeviation struct {
	Policy   string
	Tier     Tier
	Reason   string // "" is null
	Approver string // "" is null
}

// IsRoot reports whether the entry has no parents.
func (e *Entry) IsRoot() bool { return len(e.ParentIDs) == 1 && e.ParentIDs[0] == rootParent }

// Principal returns the workload id that the entry names as its signer.
func (e *Entry) Principal() string { return e.Labels[LabelPrincipal] }

// Canonical returns the entry's RFC 8785 form with every member (CONTRACT 1),
// which is what is signed. Taints are written sorted and without repeats.
func (e *Entry) Canonical() []byte { return e.appendCanonical(make([]byte, 0, 1024)) }

func (e *Entry) appendCanonical(b []byte) []byte {
	b = appendLabels(append(b, `{"added_taints":`...), e.AddedTaints)
	b = jcs.AppendString(append(b, `,"classification":`...), e.Classification)
	b = jcs.AppendString(append(b, `,"content_hash":`...), e.ContentHash)
	b = jcs.AppendString(append(b, `,"entry_id":`...), e.EntryID)
	b = appendMap(append(b, `,"environment":`...), e.Environment)
	b = jcs.AppendString(append(b, `,"input_hash":`...), e.InputHash)
	b = appendMap(append(b, `,"labels":`...), e.Labels)
	b = append(b, `,"metadata":`...)
	if e.Metadata == nil {
		b = append(b, "null"...)
	}
	b = append(b, e.Metadata...)
	b = jcs.AppendString(append(b, `,"operation":`...), e.Operation)
	b = appendMap(append(b, `,"otel_context":`...), e.OTelContext)
	b = appendStrings(append(b, `,"parent_ids":`...), e.ParentIDs)
	b = e.PolicyContext.appendCanonical(append(b, `,"policy_context":`...))
	b = appendLabels(append(b, `,"removed_taints":`...), e.RemovedTaints)
	b = jcs.AppendString(append(b, `,"runtime":{"name":`...), e.Runtime.Name)
	b = jcs.AppendString(append(b, `,"version":`...), e.Runtime.Version)
	b = jcs.AppendString(append(b, `},"schema_version":`...), e.SchemaVersion)
	b = appendLabels(append(b, `,"taints":`...), e.Taints)
	b = jcs.AppendNumber(append(b, `,"timestamp_ms":`...), float64(e.TimestampMS))
	b = jcs.AppendNumber(append(b, `,"trust_score":`...), float64(e.TrustScore))
	return append(b, '}')
}

func (p *PolicyContext) appendCanonical(b []byte) []byte {
	b = appendStrings(append(b, `{"app_policies":`...), p.Application)
	b = append(b, `,"deviations":[`...)
	for i, d := range p.Deviations {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOptional(append(b, `{"approver":`...), d.Approver)
		b = jcs.AppendString(append(b, `,"policy":`...), d.Policy)
		b = appendOptional(append(b, `,"reason":`...), d.Reason)
		b = jcs.AppendString(append(b, `,"tier":`...), string(d.Tier))
		b = append(b, '}')
	}
	b = appendStrings(append(b, `],"enterprise_policies":`...), p.Enterprise)
	b = appendStrings(append(b, `,"function_policies":`...), p.Function)
	b = appendStrings(append(b, `,"platform_policies":`...), p.Platform)
	return append(b, '}')
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return jcs.AppendString(b, s)
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = jcs.AppendString(b, s)
	}
	return append(b, ']')
}

// appendLabels writes a set of taints: sorted by code point, without repeats.
func appendLabels(b []byte, list []string) []byte { return appendStrings(b, labelSet(list)) }

func appendMap(b []byte, m map[string]string) []byte {
	b = append(b, '{')
	for i, name := range sortedNames(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(jcs.AppendString(b, name), ':')
		b = jcs.AppendString(b, m[name])
	}
	return append(b, '}')
}

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	jcs.SortNames(names)
	return names
}

// Canonicalize returns the RFC 8785 form of one JSON value, read strictly
// (I-JSON, RFC 7493). The error says at which byte the text is no such value.
func Canonicalize(text []byte) ([]byte, error) {
	v, err := jcs.Parse(text)
	if err != nil {
		return nil, err
	}
	return jcs.Append(make([]byte, 0, len(text)), v), nil
}
