package main

import (
	"crypto/sha256"
	"fmt"

	"kest.example/kest"
)

type canonicalCmd struct {
	SHA256 bool   `name:"sha256" help:"Write the hex SHA-256 of the form instead."`
	File   string `arg:"" optional:"" default:"-" help:"The JSON text; - is standard input."`
}

func (canonicalCmd) Help() string {
	return "Example:\n  echo '{\"b\": 1.0, \"a\": []}' | kest canonical"
}

// Run canonicalises one value.
func (f *canonicalCmd) Run(c console) error {
	text, err := c.read(f.File)
	if err != nil {
		return err
	}
	canonical, err := kest.Canonicalize(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.File, err)
	}
	if f.SHA256 {
		_, err = fmt.Fprintf(c.out, "%x\n", sha256.Sum256(canonical))
		return err
	}
	_, err = c.out.Write(canonical)
	return err
}

type versionCmd struct{}

func (versionCmd) Help() string { return "Example:\n  kest version" }

// Run prints the version.
func (versionCmd) Run(c console) error {
	_, err := fmt.Fprintln(c.out, "kest", kest.Version, "schema", kest.SchemaVersion)
	return err
}
