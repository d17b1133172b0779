// Package library holds security models, each as a policy in Cedar and in Rego
// with one decision table that both meet (POLICY.md, "Names in the library").
//
// They judge by what was verified and configured: by the lineage and the taints
// it carries, by what the configuration says of a subject that was proven, and
// by what it says of a route. README.md of each model says what it promises,
// what it needs and what it doesn't cover.
package library

import (
	"embed"
	"slices"
	"strings"
)

//go:embed kest.cedarschema */*.cedar */*.rego */*.test.yaml */kest.yaml */README.md
var files embed.FS

// Prefix is what the names of the library's policies begin with.
const Prefix = "kest/library/"

// The languages of a model.
const (
	Cedar = "cedar"
	Rego  = "rego"
)

var names = [...]string{
	"bell_lapadula", "biba", "brewer_nash", "clark_wilson", "goguen_meseguer", "financial", "security", "healthcare",
}

// Model is one security model.
type Model struct {
	Name  string // as in POLICY.md's table
	Title string
	Cedar string // the policy's text
	Rego  string // the same, as a module of the package kest.library.NAME
	Table string // the decision table, YAML, for both languages
	Page  string // what it promises, needs and doesn't cover, in Markdown

	configuration string
}

// Policy returns the name under which the model is asked: kest/library/NAME.
func (m *Model) Policy() string { return Prefix + m.Name }

// Models returns all models, the five from the literature first.
func Models() []Model {
	list := make([]Model, len(names))
	for i, name := range names {
		list[i] = open(name)
	}
	return list
}

// Find returns the model of a name, with or without the prefix.
func Find(name string) (m Model, known bool) {
	name = strings.TrimPrefix(name, Prefix)
	if !slices.Contains(names[:], name) {
		return Model{}, false
	}
	return open(name), true
}

// Schema returns the Cedar schema of the context that policies are asked with,
// in Cedar's own form.
func Schema() string { return read("kest.cedarschema") }

func open(name string) Model {
	m := Model{
		Name:  name,
		Cedar: read(name + "/" + name + ".cedar"), Rego: read(name + "/" + name + ".rego"),
		Table: read(name + "/" + name + ".test.yaml"), Page: read(name + "/README.md"),
		configuration: read(name + "/kest.yaml"),
	}
	first, _, _ := strings.Cut(m.Page, "\n")
	m.Title = strings.TrimPrefix(first, "# ")
	return m
}

func read(path string) string {
	text, err := files.ReadFile(path)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}
