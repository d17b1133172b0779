package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/draw"
	"kest.example/kest/plugin"
)

type verifyCmd struct {
	Keys        string `required:"" placeholder:"FILE" help:"Keys, JSON or YAML: {\"<principal>\": JWK or [JWK, …]}."`
	Authority   string `placeholder:"FILE" help:"Who may claim what, JSON or YAML: [{principal, origins, remove_taints, max_override, max_root_trust}]. Without it claims are taken."`
	Semantics   string `enum:"enforce,exact,report" default:"enforce" help:"How far entries must mean what they claim: ${enum}."`
	Schema      string `enum:"lenient,strict" default:"lenient" help:"How closely entries must follow the schema: ${enum}."`
	StrictChain bool   `help:"Accept only a line, in which each entry's one parent is its predecessor."`
	JSON        bool   `name:"json" help:"Print the result as JSON."`
	Passport    string `arg:"" help:"The passport, a JSON array of compact JWS; - is standard input."`
}

func (verifyCmd) Help() string {
	return "Example:\n  kest verify --keys keys.json --authority authority.yaml passport.json\n\n" +
		"Exits 0 when it verifies, 1 when it doesn't, naming the lowest faulty entry."
}

// result is what verify --json prints (DESIGN 7).
type result struct {
	Verified   bool     `json:"verified"`
	Entries    int      `json:"entries"`
	TrustScore int      `json:"trust_score"`
	Taints     []string `json:"taints"`
	Faults     []*fault `json:"faults,omitempty"`
	Error      *fault   `json:"error,omitempty"`
}

type fault struct {
	Index     int    `json:"index"`
	EntryID   string `json:"entry_id"`
	Principal string `json:"principal"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
}

func newFault(e *kest.VerificationError) *fault {
	return &fault{e.Index, e.EntryID, e.Principal, string(e.Reason), e.Error()}
}

// Run verifies one passport.
func (v *verifyCmd) Run(c console) error {
	verifier, err := v.verifier(c)
	if err != nil {
		return err
	}
	text, err := c.read(v.Passport)
	if err != nil {
		return err
	}
	passport, err := kest.ParsePassport(string(text))
	if err != nil {
		if v.JSON {
			v.print(c, result{Taints: []string{}, Error: newFault(kest.AsVerificationError(err))})
		}
		return fmt.Errorf("%s: %w", v.Passport, err)
	}
	lineage, err := verifier.Verify(context.Background(), passport)
	if err != nil {
		f := kest.AsVerificationError(err)
		if f == nil {
			return err
		}
		v.print(c, result{Entries: passport.Len(), Taints: []string{}, Error: newFault(f)})
		return errNo
	}
	r := result{Verified: true, Entries: lineage.Len(), TrustScore: lineage.Trust(), Taints: append([]string{}, lineage.Taints()...)}
	for _, f := range lineage.Faults() {
		r.Faults = append(r.Faults, newFault(f))
	}
	v.print(c, r)
	if !v.JSON {
		fmt.Fprint(c.out, draw.Lineage(lineage))
	}
	return nil
}

func (v *verifyCmd) verifier(c console) (*kest.Verifier, error) {
	text, err := c.readDocument(v.Keys)
	if err != nil {
		return nil, err
	}
	keys, err := kest.ParseStaticKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Keys, err)
	}
	options := []kest.VerifierOption{kest.WithLowestFault(), kest.ForAudit()}
	var authority kest.Authority
	if v.Authority == "" {
		fmt.Fprintln(c.err, "kest: no --authority: what entries claim of origins, taints and overrides is taken as it is")
		slog.SetDefault(slog.New(slog.DiscardHandler)) // on which the library would say it again
		options = append(options, kest.InsecureTrustAllClaims())
	} else {
		text, err := c.readDocument(v.Authority)
		if err != nil {
			return nil, err
		}
		if authority, err = plugin.ParseAuthority(text); err != nil {
			return nil, fmt.Errorf("%s: %w", v.Authority, err)
		}
	}
	switch v.Semantics {
	case "exact":
		options = append(options, kest.WithSemantics(kest.SemanticsExact))
	case "report":
		options = append(options, kest.WithSemantics(kest.SemanticsReport))
	}
	if v.Schema == "strict" {
		options = append(options, kest.WithSchema(kest.SchemaStrict))
	}
	if v.StrictChain {
		options = append(options, kest.WithStrictChain())
	}
	return kest.NewVerifier(keys, authority, options...)
}

func (v *verifyCmd) print(c console, r result) {
	switch {
	case v.JSON:
		writeJSON(c, r)
	case r.Verified:
		taints := "none"
		if len(r.Taints) > 0 {
			taints = draw.Visible(strings.Join(r.Taints, ", "))
		}
		fmt.Fprintf(c.out, "verified: %d entries, trust %d, taints %s\n", r.Entries, r.TrustScore, taints)
		for _, f := range r.Faults {
			fmt.Fprintln(c.out, "reported:", draw.Visible(f.Message))
		}
	default:
		fmt.Fprintf(c.out, "NOT verified: %s\n", draw.Visible(r.Error.Message))
	}
}

func writeJSON(c console, v any) {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		fmt.Fprintln(c.err, "kest:", err)
	}
}

// writeLine writes one value as one line.
func writeLine(c console, v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
