package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/draw"
)

type inspectCmd struct {
	JSON     bool   `name:"json" help:"Print every entry as JSON."`
	Passport string `arg:"" help:"A passport, or one compact JWS; - is standard input."`
}

func (inspectCmd) Help() string {
	return "Example:\n  kest inspect passport.json\n\nNothing is verified: what it prints may be forged. Use kest verify to know."
}

// inspected is one decoded entry.
type inspected struct {
	Hash      string          `json:"hash"`
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Entry     json.RawMessage `json:"entry"`
}

// Run decodes a passport.
func (i *inspectCmd) Run(c console) error {
	text, err := c.read(i.Passport)
	if err != nil {
		return err
	}
	passport := kest.NewPassport(strings.TrimSpace(string(text)))
	if strings.HasPrefix(strings.TrimSpace(string(text)), "[") {
		if passport, err = kest.ParsePassport(string(text)); err != nil {
			return fmt.Errorf("%s: %w", i.Passport, err)
		}
	}
	entries, hashes, list := []*kest.Entry{}, []string{}, []inspected{}
	for n, compact := range passport.Entries() {
		ev, err := kest.ParseEvidence(compact, kest.SchemaLenient)
		if err != nil {
			return fmt.Errorf("%s: entry %d: %w", i.Passport, n, err)
		}
		entries, hashes = append(entries, ev.Entry), append(hashes, ev.Hash)
		list = append(list, inspected{ev.Hash, ev.Algorithm(), ev.KeyID(), ev.Payload()})
	}
	fmt.Fprintln(c.err, "kest: NOT VERIFIED; anybody can have written what follows")
	if i.JSON {
		writeJSON(c, list)
		return nil
	}
	fmt.Fprint(c.out, draw.Tree(entries, hashes))
	return nil
}
