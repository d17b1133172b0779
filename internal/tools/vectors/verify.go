package main

// vector is one file of test/vectors/verify.
type vector struct {
	Name      string        `json:"name"`
	Contract  string        `json:"contract"`
	Note      string        `json:"note,omitempty"`
	Expect    expectation   `json:"expect"`
	Options   verifyOptions `json:"options"`
	Authority []object      `json:"authority"`
	Keys      object        `json:"keys"`
	Passport  string        `json:"passport"`
}

// expectation is what verification of the passport must say. Where it fails,
// index is the lowest faulty entry, -1 for the passport as a whole.
type expectation struct {
	Verified   bool     `json:"verified"`
	Reason     string   `json:"reason,omitempty"`
	Index      int      `json:"index"`
	Entries    int      `json:"entries"`
	TrustScore int      `json:"trust_score"`
	Taints     []string `json:"taints"`
	Faults     []object `json:"faults,omitempty"` // what semantics: report lets pass
}

type verifyOptions struct {
	Semantics   string `json:"semantics"`
	Schema      string `json:"schema"`
	StrictChain bool   `json:"strict_chain"`
}

// collector gathers vectors, whose names must differ.
type collector struct {
	contract string
	list     []vector
	names    map[string]bool
}

// option changes one thing of a vector.
type option func(*vector)

func strict(v *vector)      { v.Options.Schema = "strict" }
func exact(v *vector)       { v.Options.Semantics = "exact" }
func strictChain(v *vector) { v.Options.StrictChain = true }

func note(text string) option { return func(v *vector) { v.Note = text } }

func authority(grants ...object) option { return func(v *vector) { v.Authority = grants } }

func keys(k object) option { return func(v *vector) { v.Keys = k } }

// reporting takes pairs of index and reason.
func reporting(faults ...object) option {
	return func(v *vector) {
		v.Options.Semantics = "report"
		v.Expect.Faults = faults
	}
}

// good adds a passport that verifies.
func (c *collector) good(name string, entries []string, trust int, taints []string, options ...option) {
	if taints == nil {
		taints = []string{}
	}
	c.add(name, passport(entries...), expectation{
		Verified: true, Index: -1, Entries: len(entries), TrustScore: trust, Taints: taints,
	}, options)
}

// bad adds a passport that is refused.
func (c *collector) bad(name, reason string, index int, entries []string, options ...option) {
	c.add(name, passport(entries...), expectation{
		Reason: reason, Index: index, Entries: len(entries), Taints: []string{},
	}, options)
}

// broken adds a text that is no passport.
func (c *collector) broken(name, text string) {
	c.add(name, text, expectation{Reason: "malformed", Index: -1, Taints: []string{}}, nil)
}

func (c *collector) add(name, text string, expect expectation, options []option) {
	if c.names[name] {
		panic("two vectors " + name)
	}
	c.names[name] = true
	v := vector{
		Name: name, Contract: c.contract, Expect: expect,
		Options: verifyOptions{Semantics: "enforce", Schema: "lenient"},
		Keys:    keysOf(gateway, agent, orders), Passport: text,
	}
	for _, o := range options {
		o(&v)
	}
	c.list = append(c.list, v)
}

// verifyVectors makes all files of test/vectors/verify.
func verifyVectors() []vector {
	c := &collector{names: make(map[string]bool)}
	for _, part := range []struct {
		contract string
		add      func(*collector)
	}{
		{"2", encodingVectors},
		{"2", jsonVectors},
		{"2", headerVectors},
		{"2", signatureVectors},
		{"3", passportVectors},
		{"1", memberVectors},
		{"1", formatVectors},
		{"1", lenientVectors},
		{"3.2", duplicateVectors},
		{"3.3", shapeVectors},
		{"3.3", parentVectors},
		{"3.4", keyVectors},
		{"3.6", taintVectors},
		{"3.6", trustVectors},
		{"3.7", authorityVectors},
	} {
		c.contract = part.contract
		part.add(c)
	}
	return c.list
}

// one makes the passport of a single entry.
func one(compact string) []string { return []string{compact} }
