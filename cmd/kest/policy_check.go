package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"kest.example/kest/plugin"
	"kest.example/kest/policy/check"
	"kest.example/kest/policy/table"
)

type policyCheckCmd struct {
	JSON  bool     `name:"json" help:"Print the faults as JSON."`
	Paths []string `arg:"" name:"path" help:".rego and .cedar files, configurations (.json, .yaml), tables, or folders of them."`
}

func (policyCheckCmd) Help() string {
	return "Example:\n  kest policy check policies filter.yaml\n\n" +
		"Prints every fault as FILE:LINE: text. The stem of a .cedar file is its policy's name. Exits 1 when there is a fault."
}

// checkedFault is one fault of policy check --json.
type checkedFault struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// Run checks everything that the paths lead to.
func (p *policyCheckCmd) Run(c console) error {
	found, err := collect(c, p.Paths)
	if err != nil {
		return err
	}
	faults := found.check(c)
	if p.JSON {
		list := []checkedFault{}
		for _, f := range faults {
			list = append(list, checkedFault(*f))
		}
		writeJSON(c, list)
	} else {
		for _, f := range faults {
			fmt.Fprintln(c.out, f.Error())
		}
		if len(faults) == 0 {
			fmt.Fprintf(c.out, "good: %d files\n", found.count())
		}
	}
	if len(faults) > 0 {
		return errNo
	}
	return nil
}

// sources are the files that paths lead to, each once.
type sources struct {
	rego    []string // folders, or files that were named by themselves
	regos   int      // .rego files
	cedar   []string
	configs []string
	tables  []string
}

func (s *sources) count() int { return s.regos + len(s.cedar) + len(s.configs) + len(s.tables) }

func collect(c console, paths []string) (*sources, error) {
	s := &sources{}
	for _, path := range paths {
		folder, err := folderOrFile(path)
		if err != nil {
			return nil, err
		}
		if !folder {
			if err := s.file(path); err != nil {
				return nil, err
			}
			continue
		}
		if err := s.folder(c, path); err != nil {
			return nil, err
		}
	}
	for _, list := range []*[]string{&s.rego, &s.cedar, &s.configs, &s.tables} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return s, nil
}

func (s *sources) file(path string) error {
	switch {
	case hasSuffix(path, table.Suffix):
		s.tables = append(s.tables, path)
	case hasSuffix(path, ".rego"):
		s.rego, s.regos = append(s.rego, path), s.regos+1
	case hasSuffix(path, ".cedar"):
		s.cedar = append(s.cedar, path)
	case hasSuffix(path, ".json", ".yaml", ".yml"):
		s.configs = append(s.configs, path)
	default:
		return fmt.Errorf("%s: neither .rego, .cedar, .json nor .yaml", path)
	}
	return nil
}

// folder takes what is below a folder. Its Rego is one set of modules; JSON and
// YAML are checked where they are configurations.
func (s *sources) folder(c console, root string) error {
	rego := 0
	// With a separator behind it, a link to a folder is one.
	err := filepath.WalkDir(root+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
		case hasSuffix(path, table.Suffix):
			s.tables = append(s.tables, path)
		case hasSuffix(path, "_test.rego"): // which is not built
		case hasSuffix(path, ".rego"):
			rego++
		case hasSuffix(path, ".cedar"):
			s.cedar = append(s.cedar, path)
		case hasSuffix(path, ".json", ".yaml", ".yml") && isConfiguration(c, path):
			s.configs = append(s.configs, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if rego > 0 {
		s.rego, s.regos = append(s.rego, root), s.regos+rego
	}
	if s.count() == 0 {
		return fmt.Errorf("%s: the folder holds no policy", root)
	}
	return nil
}

// isConfiguration tells a configuration from data, schemas and what other
// programs have: two of its members are there. One that can't be read or parsed
// says so itself.
func isConfiguration(c console, path string) bool {
	text, err := c.read(path)
	if err != nil {
		return true
	}
	if !strings.Contains(string(text), "workload") || !strings.Contains(string(text), "policies") {
		return false
	}
	document, err := c.readDocument(path)
	if err != nil {
		return true
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(document, &members) != nil {
		return false
	}
	found := 0
	for _, name := range [...]string{"workload", "policies", "identity", "authority", "routes"} {
		if _, ok := members[name]; ok {
			found++
		}
	}
	return found > 1
}

// check finds all faults: a file that can't be read is one.
func (s *sources) check(c console) (faults check.Faults) {
	for _, path := range s.cedar {
		text, err := c.read(path)
		if err != nil {
			faults = append(faults, unreadable(path, err))
			continue
		}
		stem := strings.TrimSuffix(filepath.Base(path), ".cedar")
		faults = append(faults, check.Cedar(path, 1, stem, string(text))...)
	}
	for _, path := range s.configs {
		faults = append(faults, checkConfiguration(c, path)...)
	}
	for _, path := range s.tables {
		text, err := c.read(path)
		if err != nil {
			faults = append(faults, unreadable(path, err))
			continue
		}
		_, err = table.Parse(path, text)
		faults = append(faults, tableFaults(err)...)
	}
	for _, path := range s.rego {
		list, err := checkRego(path)
		if err != nil {
			list = check.Faults{unreadable(path, err)}
		}
		faults = append(faults, list...)
	}
	return faults
}

// unreadable is the fault of a file that can't be read.
func unreadable(path string, err error) *check.Fault {
	if document, ok := errors.AsType[*documentError](err); ok {
		return &check.Fault{File: path, Line: document.line, Text: document.detail()}
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return &check.Fault{File: path, Line: 1, Text: "it can't be read: " + oneLine(err.Error())}
}

func tableFaults(err error) (list check.Faults) {
	if faults, ok := errors.AsType[table.Faults](err); ok {
		for _, f := range faults {
			list = append(list, &check.Fault{File: f.File, Line: f.Line, Text: f.Text})
		}
	}
	return list
}

// checkConfiguration checks a configuration, and the Cedar in it.
func checkConfiguration(c console, path string) check.Faults {
	text, err := c.readDocument(path)
	if err != nil {
		return check.Faults{unreadable(path, err)}
	}
	lines := newLocator(c, path)
	config, err := plugin.ParseConfig(text)
	if err != nil {
		return check.Faults{lines.fault(err)}
	}
	known := make(map[string]bool)
	for _, name := range config.Rego {
		known[name] = true
	}
	for _, r := range config.Remote {
		for _, name := range r.Names {
			known[name] = true
		}
	}
	var faults check.Faults
	for name, policy := range config.Cedar {
		known[name] = true
		faults = append(faults, check.Cedar(path, lines.line("policies.cedar."+name), name, policy)...)
	}
	if err := config.CheckPolicies(func(name string) bool { return known[name] }); err != nil {
		faults = append(faults, lines.fault(err))
	}
	slices.SortFunc(faults, func(a, b *check.Fault) int { return a.Line - b.Line })
	return faults
}
