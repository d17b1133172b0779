package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"kest.example/kest"
	"kest.example/kest/plugin"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/rego/regowasm"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say what is wrong with a configuration."`
}

type configCheckCmd struct {
	JSON  bool   `name:"json" help:"Print the result as JSON."`
	Wasm  string `placeholder:"FILE" help:"What kest policy build wrote, to find the Rego policies in; without it they are taken to be there."`
	Guest string `enum:"policy,lineage" default:"policy" help:"The filter that it is for: ${enum}."`
	File  string `arg:"" help:"The configuration, YAML or JSON; - is standard input."`
}

func (configCheckCmd) Help() string {
	return "Example:\n  kest config check filter.yaml\n\nThe path of the member that is wrong stands before the fault, as in routes[2].match.path."
}

// newCedar makes the Cedar engine of a configuration.
func newCedar(policies map[string]string) (plugin.LocalEngine, error) {
	return cedar.New(policies, nil)
}

// Run checks one configuration, policies included.
func (f *configCheckCmd) Run(c console) error {
	text, err := c.readDocument(f.File)
	if err != nil {
		return err
	}
	rego, err := f.rego()
	if err != nil {
		return err
	}
	var warnings []string
	_, err = plugin.New(text, plugin.Environment{
		Now: time.Now, Random: rand.Reader, Cedar: newCedar, Rego: rego, VerifyOnly: f.Guest == "lineage",
		Log: func(_ plugin.Level, message string) { warnings = append(warnings, message) },
	})
	if err != nil && !errors.Is(err, kest.ErrConfiguration) {
		return err
	}
	f.print(c, err, warnings)
	if err != nil {
		return errNo
	}
	return nil
}

// rego is the Rego of a file, or one that has every policy.
func (f *configCheckCmd) rego() (func(plugin.ForeignFunc) (plugin.RegoEngine, error), error) {
	var engine plugin.RegoEngine = assumedRego{}
	if f.Wasm != "" {
		file, err := os.ReadFile(f.Wasm)
		if err != nil {
			return nil, err
		}
		if engine, err = regowasm.Open(context.Background(), file); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Wasm, err)
		}
	}
	return func(plugin.ForeignFunc) (plugin.RegoEngine, error) { return engine, nil }, nil
}

// assumedRego has every policy and allows nothing.
type assumedRego struct{}

func (assumedRego) Evaluate(context.Context, string, *kest.Context) (kest.Decision, error) {
	return kest.Decision{}, nil
}

func (assumedRego) Digest(string) (digest string, known bool) { return "", true }

func (assumedRego) Names() []string { return nil }

func (f *configCheckCmd) print(c console, err error, warnings []string) {
	out := struct {
		Valid    bool     `json:"valid"`
		Path     string   `json:"path,omitempty"`
		Error    string   `json:"error,omitempty"`
		Warnings []string `json:"warnings"`
	}{Valid: err == nil, Warnings: append([]string{}, warnings...)}
	if err != nil {
		out.Error = err.Error()
	}
	var broken *plugin.ConfigError
	if errors.As(err, &broken) {
		out.Path = broken.Path
	}
	if f.JSON {
		writeJSON(c, out)
		return
	}
	for _, w := range warnings {
		fmt.Fprintln(c.err, "warning:", w)
	}
	if err != nil {
		fmt.Fprintf(c.out, "%s: %v\n", f.File, err)
		return
	}
	fmt.Fprintf(c.out, "%s: good\n", f.File)
}
