package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
)

// object is a JSON object. The vectors are made without the library that they
// test: encoding/json sorts names as RFC 8785 does where all are ASCII.
type object = map[string]any

func canonical(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// epoch is the time of every entry: 2026-11-25T12:00:00Z.
const epoch = 1795608000000

// entry is an entry that is being made, with the workload that will sign it.
type entry struct {
	by      *workload
	members object
}

// maker numbers the entries of one vector, so that each has its own entry_id.
type maker struct{ n int }

func (m *maker) id() string {
	m.n++
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", epoch>>16, epoch&0xffff, m.n)
}

// entry makes one with every member, as CONTRACT 1 wants it produced.
func (m *maker) entry(by *workload, operation string, trust int, parents ...string) *entry {
	if len(parents) == 0 {
		parents = []string{"0"}
	}
	return &entry{by, object{
		"schema_version": "0.3.0", "runtime": object{"name": "kest-go", "version": "0.1.0"},
		"entry_id": m.id(), "operation": operation, "classification": "system", "trust_score": trust,
		"parent_ids": parents, "added_taints": []string{}, "removed_taints": []string{}, "taints": []string{},
		"labels": object{
			"principal": by.id, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
			"kest.identity":    `{"agent":null,"task":null,"user":null}`,
			"kest.source_type": "internal",
		},
		"policy_context": object{
			"enterprise_policies": []string{}, "platform_policies": []string{}, "app_policies": []string{},
			"function_policies": []string{"any"}, "deviations": []any{},
		},
		"environment": object{}, "otel_context": object{}, "metadata": nil,
		"content_hash": "", "input_hash": "", "timestamp_ms": epoch,
	}}
}

// root makes a root of an origin.
func (m *maker) root(by *workload, origin string, trust int) *entry {
	return m.entry(by, "ask", trust).label("kest.source_type", origin)
}

// small makes an entry of the members alone that the lenient schema needs.
func (m *maker) small(by *workload, trust int, parents ...string) *entry {
	e := m.entry(by, "op", trust, parents...)
	for _, name := range optionalMembers {
		delete(e.members, name)
	}
	e.members["labels"] = object{"principal": by.id}
	e.members["policy_context"] = object{"deviations": []any{}}
	return e
}

var optionalMembers = []string{
	"runtime", "classification", "environment", "otel_context", "metadata", "content_hash", "input_hash", "timestamp_ms",
}

// set changes a member; nothing deletes it.
func (e *entry) set(name string, value any) *entry {
	e.members = change(e.members, name, value)
	return e
}

// label changes a label.
func (e *entry) label(name string, value any) *entry {
	labels, _ := e.members["labels"].(object)
	return e.set("labels", change(labels, name, value))
}

// policy changes a member of policy_context.
func (e *entry) policy(name string, value any) *entry {
	context, _ := e.members["policy_context"].(object)
	return e.set("policy_context", change(context, name, value))
}

// taint sets the three lists of taints.
func (e *entry) taint(taints, added, removed []string) *entry {
	for name, list := range map[string][]string{"taints": taints, "added_taints": added, "removed_taints": removed} {
		if list == nil {
			list = []string{}
		}
		e.set(name, list)
	}
	return e
}

// sanitize makes the entry a sanitizer.
func (e *entry) sanitize() *entry { return e.set("classification", "sanitizer") }

// absent is the value of a member that is left out.
type absent struct{}

func change(in object, name string, value any) object {
	out := maps.Clone(in)
	if out == nil {
		out = object{}
	}
	out[name] = value
	if _, gone := value.(absent); gone {
		delete(out, name)
	}
	return out
}

func (e *entry) payload() []byte { return canonical(e.members) }

// sign writes the compact JWS as CONTRACT 2 says.
func (e *entry) sign() string { return signText(e.by, e.by.header(), string(e.payload())) }

func (w *workload) header() string { return w.headerWith("typ", "JWS") }

// headerWith is the usual header with one member changed.
func (w *workload) headerWith(name string, value any) string {
	return string(canonical(change(object{"alg": w.alg, "kid": w.kid, "typ": "JWS"}, name, value)))
}

// signText signs any texts as header and payload.
func signText(by *workload, header, payload string) string {
	return signSegments(by, encode([]byte(header)), encode([]byte(payload)))
}

// signSegments signs two segments as they stand, however they are encoded.
func signSegments(by *workload, header, payload string) string {
	input := header + "." + payload
	return input + "." + encode(by.sign([]byte(input)))
}

// hash names an entry in the parent_ids of others.
func hash(compact string) string {
	sum := sha256.Sum256([]byte(compact))
	return hex.EncodeToString(sum[:])
}

// passport is the wire form.
func passport(compact ...string) string {
	if compact == nil {
		compact = []string{}
	}
	return string(canonical(compact))
}
