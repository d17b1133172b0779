package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kest.example/kest/policy/library"
)

type policyInitCmd struct {
	Model    string `required:"" help:"The security model: bell_lapadula, biba, brewer_nash, clark_wilson, goguen_meseguer, financial, security or healthcare."`
	Language string `enum:"rego,cedar" default:"cedar" help:"In which language: ${enum}."`
	Dir      string `arg:"" help:"The folder to write into; it is made where it is missing."`
}

func (policyInitCmd) Help() string {
	return "Example:\n  kest policy init --model biba --language rego policies\n\n" +
		"Writes the model, its decision table, a sample configuration and a page that says what the model promises. Nothing that\n" +
		"is there already is written over. Then: kest policy test DIR."
}

// Run writes one model.
func (p *policyInitCmd) Run(c console) error {
	m, known := library.Find(p.Model)
	if !known {
		return fmt.Errorf("no model is called %q: see kest policy init --help", p.Model)
	}
	files := m.Files(p.Language)
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(p.Dir, f.Name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already, and nothing is written over", filepath.Join(p.Dir, f.Name))
		}
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil { //nolint:gosec // policies are for all to read
		return err
	}
	for _, f := range files {
		path := filepath.Join(p.Dir, f.Name)
		if err := writeWhole(path, []byte(f.Text)); err != nil {
			return err
		}
		fmt.Fprintln(c.out, path)
	}
	fmt.Fprintf(c.err, "kest: the policy is %s; next: kest policy test %s\n", m.Policy(), strings.TrimSuffix(p.Dir, "/"))
	return nil
}
