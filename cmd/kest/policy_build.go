package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/rego/regowasm"
	"kest.example/kest/wasm"
)

type policyBuildCmd struct {
	Rego string `required:"" placeholder:"DIR" help:"The folder of the modules. A policy is a package with a rule allow."`
	Data string `placeholder:"FILE" help:"The root document, one JSON object."`
	Base string `placeholder:"FILE" help:"The filter to link with; the default is the policy.wasm of this build."`
	Out  string `short:"o" required:"" placeholder:"FILE" help:"Where the filter with the policies goes."`
}

func (policyBuildCmd) Help() string {
	return "Example:\n  kest policy build --rego policies -o policy-mine.wasm\n\n" +
		"Prints NAME DIGEST of each policy. The file runs in Envoy, and in kest proxy, as policy.wasm does. What can't be\n" +
		"compiled is named as FILE:LINE, and leaves no file."
}

// Run compiles and links, and writes the file in one piece.
func (p *policyBuildCmd) Run(c console) error {
	base, err := p.base(c)
	if err != nil {
		return err
	}
	bundle, err := loadRego(p.Rego, p.Data)
	if err != nil {
		return p.refused(c, err)
	}
	file, err := regowasm.Build(context.Background(), bundle, base)
	if err != nil {
		return p.refused(c, err)
	}
	if err := writeWhole(p.Out, file); err != nil {
		return err
	}
	for _, policy := range bundle.Policies {
		fmt.Fprintln(c.out, policy.Name, policy.Digest)
	}
	return nil
}

// refused prints the faults of modules, one a line.
func (*policyBuildCmd) refused(c console, err error) error {
	faults, ok := errors.AsType[rego.Faults](err)
	if !ok {
		return err
	}
	for _, f := range faults {
		fmt.Fprintln(c.err, f.Error())
	}
	return errNo
}

func (p *policyBuildCmd) base(c console) ([]byte, error) {
	if p.Base != "" {
		return c.read(p.Base)
	}
	return wasm.Policy()
}

// writeWhole writes a file so that nobody reads half of it.
func writeWhole(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // where it was not renamed
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// openCompiled opens what kest policy build wrote.
func openCompiled(path string) (localEngine, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	engine, err := regowasm.Open(context.Background(), file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return engine, nil
}
