package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kest.example/kest"
)

// verified is what verify --json prints, as DESIGN 7 gives it.
type verified struct {
	Verified   bool     `json:"verified"`
	Entries    int      `json:"entries"`
	TrustScore int      `json:"trust_score"`
	Taints     []string `json:"taints"`
	Faults     []refuse `json:"faults"`
	Error      *refuse  `json:"error"`
}

type refuse struct {
	Index     int    `json:"index"`
	EntryID   string `json:"entry_id"`
	Principal string `json:"principal"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
}

func TestVerify(t *testing.T) {
	p := passport(t)
	keys, authority := file(t, "keys.json", keysText(t)), file(t, "authority.yaml", authorityYAML)
	a := kestRun(t, "", "verify", "--keys", keys, "--authority", authority, file(t, "passport.json", p.String()))
	a.want(t, exitGood, "verified: 2 entries, trust 40, taints llm, unverified\n", "#0 ask  by "+edge, "#1 plan  by "+agent)
	if a.err != "" {
		t.Errorf("stderr %q", a.err)
	}
	a = kestRun(t, p.String()+"\n", "verify", "--keys", keys, "--authority", authority, "--json", "-")
	a.want(t, exitGood)
	r := decode[verified](t, a)
	if !r.Verified || r.Entries != 2 || r.TrustScore != 40 || !slices.Equal(r.Taints, []string{"llm", "unverified"}) || r.Error != nil || r.Faults != nil {
		t.Errorf("%+v", r)
	}
	if a.err != "" {
		t.Errorf("stderr %q", a.err)
	}
}

func TestVerifyAnEmptyPassport(t *testing.T) {
	a := kestRun(t, "[]", "verify", "--keys", file(t, "keys.json", keysText(t)), "--json", "-")
	a.want(t, exitGood, `"taints": []`)
	if r := decode[verified](t, a); !r.Verified || r.Entries != 0 {
		t.Errorf("%+v", r)
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	keys := file(t, "keys.json", keysText(t))
	bad := forged(t)
	a := kestRun(t, "", "verify", "--keys", keys, "--json", file(t, "passport.json", bad.String()))
	a.want(t, exitNo, `"taints": []`)
	r := decode[verified](t, a)
	if r.Verified || r.Entries != 2 || r.TrustScore != 0 || len(r.Taints) != 0 || r.Error == nil {
		t.Fatalf("%+v", r)
	}
	e := *r.Error
	if e.Message == "" || !strings.Contains(e.Message, "signature") {
		t.Errorf("message %q", e.Message)
	}
	e.Message = ""
	if want := (refuse{1, entryID(t, bad, 1), agent, "signature", ""}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	a = kestRun(t, "", "verify", "--keys", keys, file(t, "passport.json", bad.String()))
	a.want(t, exitNo, "NOT verified: entry 1", "signature")
	if strings.Contains(a.out, "#0") {
		t.Errorf("a lineage is drawn of what didn't verify: %s", a.out)
	}
}

// The exit code and the reason of every kind of refusal that a file can cause.
func TestVerifyReasons(t *testing.T) {
	both, onlyEdge := keysText(t), `{"`+edge+`": `+identity(t, edge).Key.JWK()+`}`
	good := passport(t)
	for name, c := range map[string]struct {
		keys, authority, passport, reason string
		index                             int
		flags                             []string
	}{
		"no key":              {onlyEdge, "", good.String(), "no_key", 1, nil},
		"a part is missing":   {both, "", kest.NewPassport(good.Entries()[1]).String(), "parents", 0, nil},
		"twice":               {both, "", kest.NewPassport(good.Entries()[0], good.Entries()[0]).String(), "duplicate", 1, nil},
		"no JWS":              {both, "", `["x"]`, "malformed", 0, nil},
		"not granted":         {both, "[]", good.String(), "authority", 0, nil},
		"less tainted":        {both, "", signed(t, func(e map[string]any) { e["taints"] = []string{} }).String(), "taints", 0, nil},
		"too much trust":      {both, "", signed(t, func(e map[string]any) { e["trust_score"] = 41 }).String(), "trust", 0, nil},
		"out of range":        {both, "", signed(t, func(e map[string]any) { e["trust_score"] = 101 }).String(), "schema", 0, nil},
		"strict schema":       {both, "", signed(t, func(e map[string]any) { delete(e, "runtime") }).String(), "schema", 0, []string{"--schema", "strict"}},
		"more taints, exact":  {both, "", signed(t, func(e map[string]any) { e["taints"] = []string{"more", "unverified"} }).String(), "taints", 0, []string{"--semantics", "exact"}},
		"two roots in a line": {both, "", twoRoots(t).String(), "parents", 1, []string{"--strict-chain"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"verify", "--json", "--keys", file(t, "keys.json", c.keys)}, c.flags...)
			if c.authority != "" {
				args = append(args, "--authority", file(t, "authority.json", c.authority))
			}
			a := kestRun(t, c.passport, append(args, "-")...)
			a.want(t, exitNo)
			r := decode[verified](t, a)
			if r.Verified || r.Error == nil || r.Error.Reason != c.reason || r.Error.Index != c.index {
				t.Errorf("%+v of %s", r.Error, a.out)
			}
			if len(c.flags) > 0 {
				kestRun(t, c.passport, "verify", "--keys", args[3], "-").want(t, exitGood)
			}
		})
	}
}

// twoRoots is a valid DAG that is no line.
func twoRoots(t *testing.T) kest.Passport {
	other := signed(t, func(e map[string]any) { e["entry_id"] = "019d6e05-7ead-7000-952a-cdbb3e7f0c5f" })
	return kest.Merge(passport(t, kest.Hop{Operation: "ask", RootOrigin: "user_input"}), other)
}

func TestVerifyReportsOnRequest(t *testing.T) {
	bad := signed(t, func(e map[string]any) { e["taints"] = []string{} })
	keys := file(t, "keys.json", keysText(t))
	a := kestRun(t, bad.String(), "verify", "--keys", keys, "--semantics", "report", "--json", "-")
	a.want(t, exitGood)
	r := decode[verified](t, a)
	if !r.Verified || len(r.Faults) != 1 || r.Faults[0].Reason != "taints" || r.Faults[0].Index != 0 || r.Faults[0].Principal != edge {
		t.Errorf("%+v", r)
	}
	kestRun(t, bad.String(), "verify", "--keys", keys, "--semantics", "report", "-").want(t, exitGood, "verified: 1 entries", "reported: entry 0")
}

// Without an authority claims are taken, and the user is told.
func TestVerifySaysThatClaimsAreTaken(t *testing.T) {
	keys := file(t, "keys.json", keysText(t))
	for _, args := range [][]string{{"verify", "--keys", keys, "-"}, {"verify", "--json", "--keys", keys, "-"}} {
		a := kestRun(t, passport(t).String(), args...)
		a.want(t, exitGood)
		if strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "--authority") {
			t.Errorf("stderr %q", a.err)
		}
	}
}

func TestVerifyReadsYAMLAndJSON(t *testing.T) {
	p := passport(t).String()
	jwk := identity(t, edge).Key.JWK()
	for name, keys := range map[string]string{"JSON": keysText(t), "YAML": "# keys\n" + edge + ": " + jwk + "\n" + agent + ":\n  - " + identity(t, agent).Key.JWK() + "\n"} {
		for _, authority := range []string{authorityYAML, `[{"principal": "spiffe://t/*", "origins": ["user_input"], "max_root_trust": 40}]`} {
			a := kestRun(t, p, "verify", "--keys", file(t, "keys", keys), "--authority", file(t, "authority", authority), "-")
			a.want(t, exitGood, "verified: 2 entries")
			if a.err != "" {
				t.Errorf("%s: %q", name, a.err)
			}
		}
	}
}

func TestVerifyRefusesWhatItCannotRead(t *testing.T) {
	keys, good := file(t, "keys.json", keysText(t)), file(t, "passport.json", passport(t).String())
	authority := file(t, "authority.yaml", authorityYAML)
	for name, args := range map[string][]string{
		"no passport file":          {"--keys", keys, "--authority", authority, "no/such/file"},
		"no keys file":              {"--keys", "no/such/file", "--authority", authority, good},
		"no authority file":         {"--keys", keys, "--authority", "no/such/file", good},
		"a passport that is none":   {"--keys", keys, "--authority", authority, file(t, "p", `{"a": 1}`)},
		"a passport of numbers":     {"--keys", keys, "--authority", authority, file(t, "p", `[1]`)},
		"a passport cut off":        {"--keys", keys, "--authority", authority, file(t, "p", `["a`)},
		"an empty file":             {"--keys", keys, "--authority", authority, file(t, "p", "")},
		"keys that are none":        {"--keys", file(t, "k", `[]`), "--authority", authority, good},
		"keys with a private part":  {"--keys", file(t, "k", `{"a": {"kty": "OKP", "crv": "Ed25519", "x": "", "d": ""}}`), "--authority", authority, good},
		"an authority that is none": {"--keys", keys, "--authority", file(t, "a", `{"a": 1}`), good},
		"an unknown grant":          {"--keys", keys, "--authority", file(t, "a", `[{"principal": "a", "may": "all"}]`), good},
		"an unknown origin":         {"--keys", keys, "--authority", file(t, "a", `[{"principal": "a", "origins": ["heaven"]}]`), good},
	} {
		t.Run(name, func(t *testing.T) {
			kestRun(t, "", append([]string{"verify"}, args...)...).refused(t, "")
		})
	}
}

// A machine that asked for JSON gets it also where the passport doesn't parse.
func TestVerifyMalformedAsJSON(t *testing.T) {
	a := kestRun(t, `["cut`, "verify", "--json", "--keys", file(t, "keys.json", keysText(t)), "-")
	a.want(t, exitMisuse)
	if r := decode[verified](t, a); r.Verified || r.Error == nil || r.Error.Reason != "malformed" || r.Error.Index != -1 {
		t.Errorf("%+v", r)
	}
}

// testVector is what the command needs of a file of test/vectors/verify.
type testVector struct {
	Expect struct {
		Verified   bool     `json:"verified"`
		Reason     string   `json:"reason"`
		Index      int      `json:"index"`
		Entries    int      `json:"entries"`
		TrustScore int      `json:"trust_score"`
		Taints     []string `json:"taints"`
	} `json:"expect"`
	Options struct {
		Semantics   string          `json:"semantics"`
		Schema      string          `json:"schema"`
		StrictChain bool            `json:"strict_chain"`
		Now         json.RawMessage `json:"now"`
	} `json:"options"`
	Authority json.RawMessage `json:"authority"`
	Keys      json.RawMessage `json:"keys"`
	Passport  string          `json:"passport"`
}

// Every vector, as the command line of another implementation would be tested
// with it: those that fix no clock.
func TestVerifyVectors(t *testing.T) {
	paths, err := filepath.Glob("../../test/vectors/verify/*.json")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d vectors, %v", len(paths), err)
	}
	asked := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var v testVector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if v.Options.Now == nil {
			asked++
			t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), v.check)
		}
	}
	if asked < 100 {
		t.Errorf("only %d vectors asked", asked)
	}
}

func (v *testVector) check(t *testing.T) {
	args := []string{"verify", "--json", "--keys", file(t, "keys.json", string(v.Keys)), "--semantics", v.Options.Semantics, "--schema", v.Options.Schema}
	if v.Options.StrictChain {
		args = append(args, "--strict-chain")
	}
	if string(v.Authority) != "null" {
		args = append(args, "--authority", file(t, "authority.json", string(v.Authority)))
	}
	a := kestRun(t, v.Passport, append(args, "-")...)
	r := decode[verified](t, a)
	code := exitGood
	switch {
	case !v.Expect.Verified && v.Expect.Index < 0 && v.Expect.Reason == "malformed":
		code = exitMisuse // the text is no passport
	case !v.Expect.Verified:
		code = exitNo
	}
	a.want(t, code)
	if r.Verified != v.Expect.Verified || r.Entries != v.Expect.Entries || r.TrustScore != v.Expect.TrustScore || !slices.Equal(r.Taints, v.Expect.Taints) {
		t.Errorf("%+v, want %+v", r, v.Expect)
	}
	if (r.Error != nil) == v.Expect.Verified || r.Error != nil && (r.Error.Reason != v.Expect.Reason || r.Error.Index != v.Expect.Index) {
		t.Errorf("error %+v, want %+v", r.Error, v.Expect)
	}
	inspected := kestRun(t, v.Passport, "inspect", "-")
	if inspected.code == exitNo || inspected.code == exitGood && v.Expect.Entries > 0 && !strings.Contains(inspected.out, "#0 ") {
		t.Errorf("inspect: %+v", inspected)
	}
}
