package main

import (
	"encoding/json"
	"strings"
	"testing"

	"kest.example/kest"
)

func TestInspectSaysThatNothingIsVerified(t *testing.T) {
	for name, p := range map[string]kest.Passport{"good": passport(t), "forged": forged(t), "a part of it": kest.NewPassport(passport(t).Entries()[1])} {
		for _, args := range [][]string{{"inspect", "-"}, {"inspect", "--json", "-"}, {"inspect", file(t, "passport.json", p.String())}} {
			a := kestRun(t, p.String(), args...)
			a.want(t, exitGood, "plan", agent)
			if strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "NOT VERIFIED") {
				t.Errorf("%s: stderr %q", name, a.err)
			}
		}
	}
}

func TestInspectDraws(t *testing.T) {
	kestRun(t, passport(t).String(), "inspect", "-").want(t, exitGood,
		"#0 ask  by spiffe://t/edge  trust 40  taints unverified  origin user_input\n"+
			"└─ #1 plan  by spiffe://t/agent  trust 40  taints llm, unverified\n")
	kestRun(t, "[]", "inspect", "-").want(t, exitGood)
}

func TestInspectJSON(t *testing.T) {
	p := passport(t)
	type decoded struct {
		Hash  string     `json:"hash"`
		Alg   string     `json:"alg"`
		KeyID string     `json:"kid"`
		Entry kest.Entry `json:"-"`
		Raw   json.RawMessage
	}
	var list []map[string]json.RawMessage
	a := kestRun(t, p.String(), "inspect", "--json", "-")
	if err := json.Unmarshal([]byte(a.out), &list); err != nil || len(list) != 2 {
		t.Fatalf("%v in %s", err, a.out)
	}
	for i, m := range list {
		var d decoded
		for name, to := range map[string]any{"hash": &d.Hash, "alg": &d.Alg, "kid": &d.KeyID, "entry": &d.Raw} {
			if err := json.Unmarshal(m[name], to); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		workload := []string{edge, agent}[i]
		if len(m) != 4 || d.Hash != kest.Hash(p.Entries()[i]) || d.Alg != "EdDSA" || d.KeyID != identity(t, workload).Key.Thumbprint() {
			t.Errorf("entry %d: %s", i, m)
		}
		var entry struct {
			ID string `json:"entry_id"`
		}
		if err := json.Unmarshal(d.Raw, &entry); err != nil || entry.ID != entryID(t, p, i) {
			t.Errorf("entry %d: %s", i, d.Raw)
		}
	}
	if a := kestRun(t, "[]", "inspect", "--json", "-"); a.code != exitGood || strings.TrimSpace(a.out) != "[]" {
		t.Errorf("no entries: %+v", a)
	}
}

func TestInspectOneEntry(t *testing.T) {
	kestRun(t, passport(t).Entries()[0]+"\n", "inspect", "-").want(t, exitGood, "#0 ask")
}

// What a stranger wrote must not move the terminal's cursor or look like another line.
func TestInspectShowsControlCharacters(t *testing.T) {
	p := signed(t, func(e map[string]any) {
		e["operation"] = "ask\n#1 approve  by spiffe://t/boss\x1b[2J\u202e\u009b"
		e["classification"] = "data"
		e["taints"] = []string{"unverified", "x\r\n"}
		e["labels"].(map[string]any)["kest.source_type"] = "a\x1b]0;b\a"
	})
	for _, args := range [][]string{
		{"inspect", "-"}, {"verify", "--semantics", "report", "--keys", file(t, "keys.json", keysText(t)), "-"},
	} {
		a := kestRun(t, p.String(), args...)
		if strings.ContainsAny(a.out+a.err, "\x1b\r\a\u202e\u009b") || strings.Contains(a.out, "\n#1") {
			t.Errorf("%s: %q, %q", args[0], a.out, a.err)
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	for name, in := range map[string]string{"nothing": "", "a word": "x", "an object": "{}", "numbers": "[1]", "cut off": `["a`, "no JWS": `["x.y.z"]`} {
		t.Run(name, func(t *testing.T) { kestRun(t, in, "inspect", "-").refused(t, "-: ") })
	}
}
