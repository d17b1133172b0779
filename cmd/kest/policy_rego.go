package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"kest.example/kest"
	"kest.example/kest/policy/check"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/table"
)

func loadRego(dir, data string) (*rego.Bundle, error) {
	var options []rego.Option
	if data != "" {
		options = append(options, rego.WithData(data))
	}
	return rego.Load(dir, options...)
}

func openRego(dir, data string) (localEngine, error) {
	b, err := loadRego(dir, data)
	if err != nil {
		return nil, err
	}
	return rego.New(b)
}

// regoUnderTest counts a rule as reached where it held in a row.
func regoUnderTest(t *table.Table) (tableEngine, error) {
	b, err := loadRego(t.Rego, t.Data)
	if err != nil {
		return tableEngine{}, err
	}
	engine, err := rego.New(b)
	if err != nil {
		return tableEngine{}, err
	}
	if _, known := engine.Digest(t.Policy); !known {
		return tableEngine{}, fmt.Errorf("%s has no policy %q", t.Rego, t.Policy)
	}
	coverage := rego.NewCoverage()
	return tableEngine{
		kind: kest.KindRego,
		evaluate: func(c *kest.Context) (kest.Decision, error) {
			return coverage.Evaluate(context.Background(), engine, t.Policy, c)
		},
		rules: func() *covered {
			all := b.Rules(t.Policy)
			r := &covered{All: len(all), Missing: []position{}}
			for _, rule := range all {
				if !coverage.Held(rule) {
					r.Missing = append(r.Missing, position{rule.File, rule.Line})
				}
			}
			r.Reached = r.All - len(r.Missing)
			return r
		},
	}, nil
}

// checkRego checks a folder, or a file that was named by itself and may be part
// of one.
func checkRego(path string) (check.Faults, error) {
	folder, err := folderOrFile(path)
	if err != nil {
		return nil, err
	}
	if folder {
		return check.Rego(os.DirFS(path), filepath.ToSlash(path))
	}
	if strings.HasSuffix(path, "_test.rego") {
		return nil, nil // which is not built
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fsys := fstest.MapFS{filepath.Base(path): &fstest.MapFile{Data: text}}
	return check.Rego(fsys, filepath.ToSlash(filepath.Dir(path)), rego.WithoutPolicies())
}
