package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"kest.example/kest"
	"kest.example/kest/plugin"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/remote"
)

// localEngine is an engine in this process.
type localEngine interface {
	kest.Engine
	kest.PolicyDigester
}

// regoSource is where Rego comes from: a folder, or what kest policy build wrote.
type regoSource struct {
	Rego string `placeholder:"DIR" help:"The folder of the Rego modules."`
	Data string `placeholder:"FILE" help:"Rego's root document, one JSON object."`
	Wasm string `placeholder:"FILE" help:"What kest policy build wrote, in place of --rego."`
}

func (r *regoSource) open() (localEngine, error) {
	switch {
	case r.Wasm != "" && (r.Rego != "" || r.Data != ""):
		return nil, fmt.Errorf("--wasm holds its modules and data: leave --rego and --data out")
	case r.Data != "" && r.Rego == "":
		return nil, fmt.Errorf("--data belongs to the modules of --rego, which is missing")
	case r.Wasm != "":
		return openCompiled(r.Wasm)
	case r.Rego != "":
		return openRego(r.Rego, r.Data)
	}
	return nil, nil
}

// enginesOf makes the engines of a configuration. Remote ones need an address each.
func enginesOf(c *plugin.Config, rego localEngine, targets map[string]string) (*kest.EngineSet, error) {
	set := &kest.EngineSet{}
	engine, err := cedar.New(c.Cedar, nil)
	if err != nil {
		return nil, err
	}
	if err := set.Add(kest.KindCedar, engine, engine.Names()...); err != nil {
		return nil, err
	}
	for _, name := range c.Rego {
		if rego == nil {
			return nil, fmt.Errorf("policies.rego: the configuration asks Rego: say --rego DIR or --wasm FILE")
		}
		if _, known := rego.Digest(name); !known {
			return nil, fmt.Errorf("policies.rego: policy %q is not among the modules", name)
		}
	}
	if err := set.Add(kest.KindRego, rego, c.Rego...); err != nil {
		return nil, err
	}
	for _, r := range c.Remote {
		var engine kest.Engine = unaddressed(r.Cluster)
		if address := targets[r.Cluster]; address != "" {
			if engine, err = remote.New(r.Codec, address, remote.WithTimeout(r.Timeout)); err != nil {
				return nil, fmt.Errorf("--target %s: %w", r.Cluster, err)
			}
		}
		if err := set.Add(r.Kind, engine, r.Names...); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// unaddressed is a remote engine that nobody gave an address: it denies.
type unaddressed string

func (u unaddressed) Evaluate(context.Context, string, *kest.Context) (kest.Decision, error) {
	return kest.Decision{}, fmt.Errorf("%w: no --target says where the cluster %s is", kest.ErrUnavailable, string(u))
}

// folderOrFile tells the two apart, and what is missing.
func folderOrFile(path string) (folder bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}

func hasSuffix(path string, suffixes ...string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(path, s) {
			return true
		}
	}
	return false
}
