package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/draw"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/table"
)

type policyTestCmd struct {
	JSON  bool     `name:"json" help:"Print the result as JSON."`
	Paths []string `arg:"" name:"path" help:"Decision tables (*.test.yaml), or folders of them."`
}

func (policyTestCmd) Help() string {
	return "Example:\n  kest policy test policies\n\n" +
		"Prints each row that fails as FILE:LINE: NAME, and which rules no row reaches. Exits 1 when a row fails or a table is wrong."
}

// tested is what one table gave under one engine.
type tested struct {
	Table  string      `json:"table"`
	Policy string      `json:"policy"`
	Engine string      `json:"engine"`
	Cases  int         `json:"cases"`
	Failed []failedRow `json:"failed"`
	Rules  *covered    `json:"rules,omitempty"`
}

type failedRow struct {
	Name   string `json:"name"`
	Line   int    `json:"line"`
	Want   bool   `json:"want"`
	Have   bool   `json:"have"`
	Reason string `json:"reason"`
}

// covered says which rules of a policy some row reached.
type covered struct {
	All     int        `json:"all"`
	Reached int        `json:"reached"`
	Missing []position `json:"missing"`
}

type position struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// tableEngine is an engine under test, which may know what was reached.
type tableEngine struct {
	kind     string
	evaluate func(c *kest.Context) (kest.Decision, error)
	rules    func() *covered
}

// Run holds all tables against their policies.
func (p *policyTestCmd) Run(c console) error {
	found, err := collect(c, p.Paths)
	if err != nil {
		return err
	}
	if len(found.tables) == 0 {
		return fmt.Errorf("no decision table (*%s) is there", table.Suffix)
	}
	results, good := []*tested{}, true
	for _, path := range found.tables {
		list, fine, err := p.table(c, path)
		if err != nil {
			return err
		}
		results, good = append(results, list...), good && fine
	}
	if p.JSON {
		writeJSON(c, results)
	}
	if !good {
		return errNo
	}
	return nil
}

// table runs one table under each of its engines.
func (p *policyTestCmd) table(c console, path string) (results []*tested, good bool, err error) {
	text, err := c.read(path)
	if err != nil {
		return nil, false, err
	}
	t, err := table.Parse(path, text)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return nil, false, nil
	}
	engines, err := enginesOfTable(t)
	if faults, ok := errors.AsType[rego.Faults](err); ok {
		fmt.Fprintln(c.err, faults)
		return nil, false, nil
	}
	if err != nil {
		fmt.Fprintf(c.err, "%s:1: %s\n", path, oneLine(err.Error()))
		return nil, false, nil
	}
	good = true
	for _, e := range engines {
		r := e.run(t)
		results, good = append(results, r), good && len(r.Failed) == 0
		if !p.JSON {
			r.print(c)
		}
	}
	return results, good, nil
}

func enginesOfTable(t *table.Table) (list []tableEngine, err error) {
	if t.Cedar != "" {
		e, err := cedarUnderTest(t)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if t.Rego != "" {
		e, err := regoUnderTest(t)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if t.Wasm != "" {
		engine, err := openCompiled(t.Wasm)
		if err != nil {
			return nil, err
		}
		if _, known := engine.Digest(t.Policy); !known {
			return nil, fmt.Errorf("%s has no policy %q", t.Wasm, t.Policy)
		}
		list = append(list, tableEngine{kind: "wasm", evaluate: func(c *kest.Context) (kest.Decision, error) {
			return engine.Evaluate(context.Background(), t.Policy, c)
		}})
	}
	return list, nil
}

// cedarUnderTest counts a statement as reached where it decided a row.
func cedarUnderTest(t *table.Table) (tableEngine, error) {
	text, err := os.ReadFile(t.Cedar)
	if err != nil {
		return tableEngine{}, err
	}
	engine, err := cedar.New(map[string]string{t.Policy: string(text)}, nil)
	if err != nil {
		return tableEngine{}, err
	}
	reached := make(map[int]bool)
	return tableEngine{
		kind: kest.KindCedar,
		evaluate: func(c *kest.Context) (kest.Decision, error) {
			d, lines, err := engine.Explain(t.Policy, c)
			for _, line := range lines {
				reached[line] = true
			}
			return d, err
		},
		rules: func() *covered {
			all := engine.Statements(t.Policy)
			r := &covered{All: len(all), Missing: []position{}}
			for _, line := range all {
				if !reached[line] {
					r.Missing = append(r.Missing, position{t.Cedar, line})
				}
			}
			r.Reached = r.All - len(r.Missing)
			return r
		},
	}, nil
}

func (e *tableEngine) run(t *table.Table) *tested {
	r := &tested{Table: t.Path, Policy: t.Policy, Engine: e.kind, Cases: len(t.Cases), Failed: []failedRow{}}
	for _, row := range t.Cases {
		d, err := e.evaluate(row.Context)
		if err != nil {
			d = kest.Decision{Reason: err.Error()}
		}
		if d.Allow != row.Allow || row.HasReason && d.Reason != row.Reason {
			r.Failed = append(r.Failed, failedRow{row.Name, row.Line, row.Allow, d.Allow, d.Reason})
		}
	}
	if e.rules != nil {
		r.Rules = e.rules()
	}
	return r
}

func (r *tested) print(c console) {
	verdict := map[bool]string{true: "allow", false: "deny"}
	for _, f := range r.Failed {
		text := fmt.Sprintf("is %s, want %s", verdict[f.Have], verdict[f.Want])
		if f.Have == f.Want {
			text = "the reason is another"
		}
		fmt.Fprintf(c.out, "%s:%d: %s: %s (%s: %s)\n", r.Table, f.Line, draw.Visible(f.Name), text, r.Engine, draw.Visible(f.Reason))
	}
	fmt.Fprintf(c.out, "%s: %s: %d of %d rows hold", r.Table, r.Engine, r.Cases-len(r.Failed), r.Cases)
	if r.Rules != nil {
		fmt.Fprintf(c.out, "; %d of %d rules reached", r.Rules.Reached, r.Rules.All)
		var missing []string
		for _, m := range r.Rules.Missing {
			missing = append(missing, fmt.Sprintf("%s:%d", filepath.ToSlash(m.File), m.Line))
		}
		if len(missing) > 0 {
			fmt.Fprintf(c.out, ", not %s", strings.Join(missing, ", "))
		}
	}
	fmt.Fprintln(c.out)
}
