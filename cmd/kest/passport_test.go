package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
)

// The workloads of the tests; the seed of each is its last letter, 32 times.
const (
	edge  = "spiffe://t/edge"
	agent = "spiffe://t/agent"
)

func seedOf(workload string) []byte { return bytes.Repeat([]byte(workload[len(workload)-1:]), 32) }

func identity(t *testing.T, workload string) *kest.Identity {
	t.Helper()
	id, err := kest.SeedIdentity(workload, seedOf(workload))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// keysText is a KEYS file with both workloads.
func keysText(t *testing.T) string {
	return `{"` + edge + `": ` + identity(t, edge).Key.JWK() + `, "` + agent + `": [` + identity(t, agent).Key.JWK() + `]}`
}

const authorityYAML = "- {principal: \"spiffe://t/edge\", origins: [user_input], max_root_trust: 40}\n"

// passport is what two hops make: a root of the edge, an entry of the agent.
func passport(t *testing.T, hops ...kest.Hop) kest.Passport {
	t.Helper()
	if len(hops) == 0 {
		hops = []kest.Hop{
			{Operation: "ask", RootOrigin: "user_input", AddedTaints: []string{"unverified"}},
			{Operation: "plan", AddedTaints: []string{"llm"}},
		}
	}
	lineage := kest.EmptyLineage()
	for i, hop := range hops {
		id := identity(t, []string{edge, agent}[min(i, 1)])
		hop.Policies = []string{"any"}
		if err := hop.Validate(kest.Origins{}); err != nil {
			t.Fatal(err)
		}
		workshop := kest.Workshop{Random: strings.NewReader(strings.Repeat(string(rune('a'+i)), 64))}
		pending, err := workshop.Prepare(lineage, &hop, kest.Call{Operation: hop.Operation, Now: time.Now()}, id)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := workshop.Finish(context.Background(), pending, kest.AllowAll())
		if err != nil {
			t.Fatal(err)
		}
		lineage = signed.Lineage
	}
	return lineage.Passport()
}

// signed is a passport of one entry that the edge signed over any payload.
func signed(t *testing.T, change func(entry map[string]any)) kest.Passport {
	t.Helper()
	ev, err := kest.ParseEvidence(passport(t).Entries()[0], kest.SchemaStrict)
	if err != nil {
		t.Fatal(err)
	}
	entry := make(map[string]any)
	if err := json.Unmarshal(ev.Payload(), &entry); err != nil {
		t.Fatal(err)
	}
	change(entry)
	text, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := kest.Canonicalize(text)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(passport(t).Entries()[0], ".")
	input := head + "." + base64url(canonical)
	signature, err := identity(t, edge).Signer.Sign(context.Background(), []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return kest.NewPassport(input + "." + base64url(signature))
}

// forged is a passport whose second entry has another signature.
func forged(t *testing.T) kest.Passport {
	entries := passport(t).Entries()
	head, _, _ := cutLast(entries[1])
	_, tail, _ := cutLast(entries[0])
	return kest.NewPassport(entries[0], head+"."+tail)
}

func cutLast(compact string) (before, after string, found bool) {
	at := strings.LastIndexByte(compact, '.')
	return compact[:at], compact[at+1:], at >= 0
}

func entryID(t *testing.T, p kest.Passport, i int) string {
	t.Helper()
	ev, err := kest.ParseEvidence(p.Entries()[i], kest.SchemaLenient)
	if err != nil {
		t.Fatal(err)
	}
	return ev.Entry.EntryID
}

// baggageOf is the header that carries a passport.
func baggageOf(p kest.Passport) string {
	return baggage.Passport + "=" + url.PathEscape(p.String())
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
