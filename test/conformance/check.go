package conformance

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kest.example/kest"
)

// Check holds what a surface saw against what the case expects, and against
// what holds of every answer (CONTRACT 7) and everything written (CONTRACT 9).
func Check(t *testing.T, c Case, r Result) {
	t.Helper()
	if r.Earlier && c.Expect.Status != 200 {
		if r.Upstream != nil {
			t.Error("the upstream was visited")
		}
		return
	}
	if r.Status != c.Expect.Status {
		t.Errorf("status %d, want %d (contract %s): %s", r.Status, c.Expect.Status, c.Contract, r.Body)
		return
	}
	if r.GRPC >= 0 && r.GRPC != c.Expect.GRPC {
		t.Errorf("gRPC status %d, want %d", r.GRPC, c.Expect.GRPC)
	}
	if c.Expect.Status != 200 {
		checkRefusal(t, c, r)
		return
	}
	if r.Upstream == nil {
		t.Fatal("the upstream was not visited")
	}
	checkTrace(t, c, r)
	if c.Expect.Unchanged {
		if have, want := values(r.Upstream, "baggage"), values(c.Request.Headers, "baggage"); !slices.Equal(have, want) {
			t.Errorf("the baggage changed to %q from %q", have, want)
		}
		return
	}
	members := checkHeader(t, r)
	checkMembers(t, c, members)
	if c.Guest == GuestPolicy && (len(c.Expect.Entry) > 0 || c.Expect.Entries > 0) {
		checkEntry(t, c, readPassport(t, c, r, members))
	}
}

var uuid7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// checkRefusal: the upstream is not visited, and the client sees the decision
// id and the status, nothing else.
func checkRefusal(t *testing.T, c Case, r Result) {
	t.Helper()
	if r.Upstream != nil {
		t.Error("the upstream was visited")
	}
	if have := values(r.Header, "content-type"); !slices.Equal(have, []string{"application/problem+json"}) {
		t.Errorf("content-type %q", have)
	}
	if c.Request.Method == "HEAD" {
		return // an answer without a body
	}
	var body map[string]any
	if err := json.Unmarshal(r.Body, &body); err != nil {
		t.Fatalf("the body %q: %v", r.Body, err)
	}
	id, _ := body["decision_id"].(string)
	if !uuid7.MatchString(id) {
		t.Errorf("decision_id %q", id)
	}
	if body["status"] != float64(r.Status) {
		t.Errorf("status %v in the body of a %d", body["status"], r.Status)
	}
	for name := range body {
		if !slices.Contains([]string{"decision_id", "status", "title", "type"}, name) {
			t.Errorf("the client is told %s: %v", name, body[name])
		}
	}
}

var traceparent = regexp.MustCompile(`^(?:00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}|(?:0[1-9a-f]|[1-9a-f][0-9a-e])-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)$`)

// traceID is the trace id of exactly one good traceparent, or "".
func traceID(headers []Header) string {
	list := values(headers, "traceparent")
	if len(list) != 1 {
		return ""
	}
	m := traceparent.FindStringSubmatch(list[0])
	if m == nil || strings.Trim(m[1]+m[2], "0") == "" || strings.Contains(list[0], "-0000000000000000-") {
		return ""
	}
	return m[1] + m[2]
}

// checkTrace: the upstream sees one traceparent, the request's where it had a good one.
func checkTrace(t *testing.T, c Case, r Result) {
	t.Helper()
	have, want := traceID(r.Upstream), traceID(c.Request.Headers)
	if have == "" || want != "" && have != want {
		t.Errorf("traceparent %q went on, %q came", values(r.Upstream, "traceparent"), values(c.Request.Headers, "traceparent"))
	}
}

// member is one list-member of a baggage header as it stands there.
type member struct{ name, value string }

// checkHeader: at most one header, within the bounds, kest.* first.
func checkHeader(t *testing.T, r Result) []member {
	t.Helper()
	headers := values(r.Upstream, "baggage")
	if len(headers) > 1 {
		t.Errorf("%d baggage headers went on", len(headers))
	}
	header := strings.Join(headers, ",")
	if header == "" {
		return nil
	}
	var members []member
	for text := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(text), "=")
		members = append(members, member{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	if len(header) > 8192 || len(members) > 180 {
		t.Errorf("the baggage has %d bytes and %d members", len(header), len(members))
	}
	carriers, others := 0, false
	for _, m := range members {
		if slices.Contains([]string{"kest.passport", "kest.passport_z", "kest.claim_check"}, m.name) {
			carriers++
			if n := len(m.name) + 1 + len(m.value); n > 4096 {
				t.Errorf("%s has %d bytes", m.name, n)
			}
		}
		switch known := strings.HasPrefix(m.name, "kest."); {
		case known && others:
			t.Errorf("%s stands behind other members", m.name)
		case !known:
			others = true
		}
	}
	if carriers > 1 {
		t.Errorf("%d carriers of a passport went on", carriers)
	}
	return members
}

func checkMembers(t *testing.T, c Case, members []member) {
	t.Helper()
	for name, want := range c.Expect.Baggage {
		i := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		switch {
		case want == nil && i >= 0:
			t.Errorf("the member %s went on as %q", name, members[i].value)
		case want != nil && i < 0:
			t.Errorf("the member %s did not go on", name)
		case want != nil && want != true && members[i].value != want:
			t.Errorf("the member %s went on as %q, want %q", name, members[i].value, want)
		}
	}
}

// readPassport reads the one carrier without this project's own code.
func readPassport(t *testing.T, c Case, r Result, members []member) []string {
	t.Helper()
	text, tips := "", ""
	for _, m := range members {
		value, err := url.PathUnescape(m.value)
		if err != nil && strings.HasPrefix(m.name, "kest.") {
			t.Fatalf("%s: %v", m.name, err)
		}
		switch m.name {
		case "kest.passport":
			text = value
		case "kest.passport_z":
			text = inflate(t, value)
		case "kest.claim_check":
			if _, before := c.Claims[value]; before {
				t.Error("the claim is one that was there before")
			}
			text = r.Claims[value]
		case "kest.chain_tip":
			tips = value
		}
	}
	var entries []string
	if err := json.Unmarshal([]byte(text), &entries); err != nil || len(entries) == 0 {
		t.Fatalf("no passport went on: %q: %v", text, err)
	}
	if want := kest.Hash(entries[len(entries)-1]); tips != want {
		t.Errorf("chain_tip %q, want %q", tips, want)
	}
	return entries
}

func inflate(t *testing.T, value string) string {
	t.Helper()
	stream, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkEntry: the passport that went on verifies by itself, ends in one new
// entry of this workload, and that entry says what the case expects.
func checkEntry(t *testing.T, c Case, entries []string) {
	t.Helper()
	if c.Expect.Entries != 0 && len(entries) != c.Expect.Entries {
		t.Errorf("a passport of %d entries went on, want %d", len(entries), c.Expect.Entries)
	}
	lineage, err := verifier(t, c).Verify(context.Background(), kest.NewPassport(entries...))
	if err != nil {
		t.Fatalf("the passport that went on does not verify: %v", err)
	}
	if leaves := lineage.Leaves(); len(leaves) != 1 || leaves[0] != kest.Hash(entries[len(entries)-1]) {
		t.Errorf("the new entry is not the one leaf of %v", leaves)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(entries[len(entries)-1], ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if canonical, err := kest.Canonicalize(payload); err != nil || !bytes.Equal(canonical, payload) {
		t.Errorf("the entry is not canonical: %s", payload)
	}
	var entry map[string]any
	if err := json.Unmarshal(payload, &entry); err != nil {
		t.Fatal(err)
	}
	checkProduced(t, entry)
	if differs := subset(c.Expect.Entry, entry, "entry"); differs != "" {
		t.Errorf("%s\nin %s", differs, payload)
	}
}

// produced are the members that every entry of ours has (CONTRACT 1).
var produced = []string{
	"schema_version", "runtime", "entry_id", "operation", "classification", "trust_score", "parent_ids", "added_taints",
	"removed_taints", "taints", "labels", "policy_context", "environment", "otel_context", "metadata", "content_hash",
	"input_hash", "timestamp_ms",
}

func checkProduced(t *testing.T, entry map[string]any) {
	t.Helper()
	for _, name := range produced {
		if _, ok := entry[name]; !ok {
			t.Errorf("the entry lacks %s", name)
		}
	}
	if len(entry) != len(produced) {
		t.Errorf("the entry has %d members, want %d", len(entry), len(produced))
	}
	environment, _ := entry["environment"].(map[string]any)
	if digest, _ := environment["kest.config"].(string); len(digest) != 64 || len(environment) != 1 {
		t.Errorf("environment %v, want kest.config alone", environment)
	}
}

// subset says where have differs from what want has; lists must be equal.
func subset(want, have any, at string) (differs string) {
	object, ok := want.(map[string]any)
	if !ok {
		if reflect.DeepEqual(want, have) {
			return ""
		}
		return at + " is " + text(have) + ", want " + text(want)
	}
	members, ok := have.(map[string]any)
	if !ok {
		return at + " is no object but " + text(have)
	}
	for name, value := range object {
		if _, ok := members[name]; !ok {
			return at + "." + name + " is missing"
		}
		if differs := subset(value, members[name], at+"."+name); differs != "" {
			return differs
		}
	}
	return ""
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// verifier knows the configuration's keys and the filter's own.
func verifier(t *testing.T, c Case) *kest.Verifier {
	t.Helper()
	var configuration struct {
		Workload string `json:"workload"`
		Identity struct {
			Seed string `json:"insecure_seed"`
		} `json:"identity"`
		Keys struct {
			Static []struct {
				Principal string          `json:"principal"`
				JWK       json.RawMessage `json:"jwk"`
			} `json:"static"`
		} `json:"keys"`
		Lineage struct {
			Semantics string `json:"semantics"`
		} `json:"lineage"`
	}
	if err := json.Unmarshal(c.Configuration, &configuration); err != nil {
		t.Fatal(err)
	}
	keys := kest.StaticKeys{}
	for _, k := range configuration.Keys.Static {
		key, err := kest.ParsePublicKey(k.JWK)
		if err != nil {
			t.Fatal(err)
		}
		keys[k.Principal] = append(keys[k.Principal], key)
	}
	seed, err := base64.RawURLEncoding.DecodeString(configuration.Identity.Seed)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := kest.SeedIdentity(configuration.Workload, seed)
	if err != nil {
		t.Fatal(err)
	}
	keys[identity.WorkloadID] = append(keys[identity.WorkloadID], identity.Key)
	options := []kest.VerifierOption{kest.InsecureTrustAllClaims()}
	if configuration.Lineage.Semantics == "report" {
		options = append(options, kest.WithSemantics(kest.SemanticsReport))
	}
	v, err := kest.NewVerifier(keys, nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// values returns a header's values, each as it came.
func values(headers []Header, name string) (list []string) {
	for _, h := range headers {
		if strings.EqualFold(h[0], name) {
			list = append(list, h[1])
		}
	}
	return list
}
