// Package rego decides by Rego in process (CONTRACT 6, POLICY.md), with OPA's
// own evaluator.
//
// A policy is a package with a rule allow; its name is the package's path with
// "/". Only the boolean true allows. An error of a built-in denies, wherever it
// happens.
package rego

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// Bundle is a folder of modules, read and checked.
type Bundle struct {
	Modules  []Module // by path
	Policies []Policy // by name
	Data     []byte   // the root document, canonical JSON; {} where there is none
	compiler *ast.Compiler
}

// Module is one file.
type Module struct {
	Path   string // relative to the folder, with slashes
	Text   []byte
	parsed *ast.Module
}

// Policy is a package with a rule allow.
type Policy struct {
	Name   string // its package's path, with slashes
	Digest string // hex SHA-256, see POLICY.md
	ref    ast.Ref
}

// LibraryPackage is the package of helpers that every bundle has: see
// library/kest/lineage.rego.
const LibraryPackage = "data.kest.lineage"

//go:embed library/kest/lineage.rego
var library embed.FS

const libraryFile = "library/kest/lineage.rego"

// Bounds of what is read.
const (
	maxModule  = 4 << 20
	maxModules = 10000
	maxData    = 64 << 20
)

// Option is a choice that Load takes.
type Option func(*loader)

// WithInputSchema has the modules checked against a JSON schema of their input:
// members that it doesn't have, and comparisons that can't hold, are faults.
func WithInputSchema(schema any) Option { return func(l *loader) { l.schema = schema } }

// WithoutPolicies accepts modules none of which has a rule allow, as a library.
func WithoutPolicies() Option { return func(l *loader) { l.libraryOnly = true } }

// WithData reads the root document from a file: one JSON object.
func WithData(file string) Option { return func(l *loader) { l.dataFile = file } }

// Load reads the modules below a folder, but for *_test.rego. The error is
// Faults, or says what can't be read.
func Load(dir string, options ...Option) (*Bundle, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: dir, Err: errors.New("it is no folder")}
	}
	l := &loader{fsys: os.DirFS(dir), prefix: filepath.ToSlash(dir), bundle: &Bundle{Data: []byte("{}")}}
	for _, o := range options {
		o(l)
	}
	return l.load()
}

// LoadFS is Load of a file system; files are named below prefix in faults.
func LoadFS(fsys fs.FS, prefix string, options ...Option) (*Bundle, error) {
	l := &loader{fsys: fsys, prefix: prefix, bundle: &Bundle{Data: []byte("{}")}}
	for _, o := range options {
		o(l)
	}
	return l.load()
}

type loader struct {
	fsys        fs.FS
	prefix      string
	dataFile    string
	schema      any
	libraryOnly bool
	bundle      *Bundle
	faults      Faults
}

func (l *loader) name(file string) string { return path.Join(l.prefix, file) }

func (l *loader) load() (*Bundle, error) {
	if err := l.read(); err != nil {
		return nil, err
	}
	if err := l.readData(); err != nil {
		return nil, err
	}
	l.parse()
	if len(l.faults) == 0 {
		l.compile()
	}
	if len(l.faults) == 0 {
		l.policies()
	}
	if len(l.faults) > 0 {
		return nil, l.faults.sorted()
	}
	return l.bundle, nil
}

func (l *loader) read() error {
	err := fs.WalkDir(l.fsys, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || !strings.HasSuffix(file, ".rego") || strings.HasSuffix(file, "_test.rego"):
			return nil
		case len(l.bundle.Modules) == maxModules:
			return &Fault{l.prefix, 1, "the folder has too many modules"}
		}
		text, err := fs.ReadFile(l.fsys, file)
		if err != nil {
			return err
		}
		if len(text) > maxModule {
			return &Fault{l.name(file), 1, "the module is longer than 4 MiB"}
		}
		l.bundle.Modules = append(l.bundle.Modules, Module{Path: file, Text: text})
		return nil
	})
	if err != nil {
		return err
	}
	if len(l.bundle.Modules) == 0 {
		return Faults{{l.prefix, 1, "the folder has no .rego file"}}
	}
	slices.SortFunc(l.bundle.Modules, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

func (l *loader) readData() error {
	if l.dataFile == "" {
		return nil
	}
	text, err := os.ReadFile(l.dataFile)
	if err != nil {
		return err
	}
	v, err := jcs.Parse(text)
	switch {
	case len(text) > maxData:
		err = errors.New("it is longer than 64 MiB")
	case err == nil && v.Kind() != jcs.Object:
		err = errors.New("it is " + v.Kind().String() + ", not an object")
	}
	if err != nil {
		return Faults{{l.dataFile, 1, "the root document: " + err.Error()}}
	}
	l.bundle.Data = jcs.Append(nil, v)
	return nil
}

func (l *loader) parse() {
	for i := range l.bundle.Modules {
		m := &l.bundle.Modules[i]
		name := l.name(m.Path)
		parsed, err := ast.ParseModuleWithOpts(name, string(m.Text), ast.ParserOptions{RegoVersion: ast.RegoV1})
		switch {
		case err != nil:
			l.faults = append(l.faults, faultsOf(name, err)...)
			continue
		case parsed == nil:
			l.faults = append(l.faults, &Fault{name, 1, "the module is empty"})
			continue
		}
		m.parsed = parsed
		if p := parsed.Package.Path.String(); p == LibraryPackage || strings.HasPrefix(p, LibraryPackage+".") {
			l.faults = append(l.faults, &Fault{name, parsed.Package.Location.Row, "the package " + p + " is this library's own"})
		}
	}
}

func (l *loader) compile() {
	c, err := newCompiler(l.bundle.Data)
	if err != nil {
		l.faults = append(l.faults, &Fault{l.dataFile, 1, oneLine(err.Error())})
		return
	}
	if l.schema != nil {
		schemas := ast.NewSchemaSet()
		schemas.Put(ast.SchemaRootRef, l.schema)
		c = c.WithSchemas(schemas)
	}
	c.Compile(l.bundle.parsedModules(l.name))
	for _, e := range c.Errors {
		l.faults = append(l.faults, faultOf(l.prefix, e))
	}
	l.bundle.compiler = c
}

// parsedModules returns copies, since a compiler changes what it gets, and the
// library beside them.
func (b *Bundle) parsedModules(name func(file string) string) map[string]*ast.Module {
	modules := map[string]*ast.Module{libraryFile: libraryModule()}
	for _, m := range b.Modules {
		modules[name(m.Path)] = m.parsed.Copy()
	}
	return modules
}

// Rule is one rule of a bundle's own modules.
type Rule struct {
	File string
	Line int
}

// AllowRule is one of the rules that decide a policy, as it was parsed.
type AllowRule struct {
	Rule
	Policy string
	Node   *ast.Rule
}

// AllowRules returns the rules allow of all policies, but for defaults.
func (b *Bundle) AllowRules() (list []AllowRule) {
	for _, m := range b.Modules {
		for _, r := range m.parsed.Rules {
			if !r.Default && isAllow(r) {
				list = append(list, AllowRule{Rule{r.Location.File, r.Location.Row}, nameOf(m.parsed.Package.Path), r})
			}
		}
	}
	return list
}

// AllowType returns what OPA's type checker knows of a policy's allow, in its words.
func (b *Bundle) AllowType(policy string) (text string, mayBeBoolean bool) {
	for _, p := range b.Policies {
		if p.Name == policy {
			t := b.compiler.TypeEnv.GetByValue(p.ref)
			return types.Sprint(t), types.Compare(t, types.B) == 0 || types.Contains(types.Or(types.B, types.Nl), t) || types.Contains(t, types.B)
		}
	}
	return "", false
}

// Rules returns the rules on which a policy depends, but for defaults and the
// library's, by file and line.
func (b *Bundle) Rules(policy string) (list []Rule) {
	for _, p := range b.Policies {
		if p.Name != policy {
			continue
		}
		for _, r := range reachable(b.compiler, p.ref) {
			if !r.Default && r.Location != nil && r.Location.File != "" {
				list = append(list, Rule{r.Location.File, r.Location.Row})
			}
		}
	}
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return slices.Compact(list)
}

// Parsed returns a copy of every module by its path, the library's included,
// for a compiler that changes them.
func (b *Bundle) Parsed() map[string]*ast.Module {
	return b.parsedModules(func(file string) string { return file })
}

func libraryModule() *ast.Module {
	text, err := library.ReadFile(libraryFile)
	if err != nil {
		panic(err) // it is embedded
	}
	return ast.MustParseModuleWithOpts(string(text), ast.ParserOptions{RegoVersion: ast.RegoV1})
}

// policies finds the packages that have a rule allow.
func (l *loader) policies() {
	b := l.bundle
	seen := make(map[string]bool)
	for _, m := range b.Modules {
		rule := allowRule(m.parsed)
		name := nameOf(m.parsed.Package.Path)
		switch {
		case rule == nil || seen[name]:
			continue
		case !kest.ValidPolicyName(name):
			l.faults = append(l.faults, &Fault{l.name(m.Path), m.parsed.Package.Location.Row, "the package's path makes no policy name: " + name})
			continue
		case len(rule.Head.Args) > 0:
			l.faults = append(l.faults, &Fault{l.name(m.Path), rule.Location.Row, "allow is a function: it is never asked"})
			continue
		}
		seen[name] = true
		b.Policies = append(b.Policies, Policy{Name: name, Digest: b.digest(name), ref: m.parsed.Package.Path.Append(ast.StringTerm("allow"))})
	}
	if len(b.Policies) == 0 && len(l.faults) == 0 && !l.libraryOnly {
		l.faults = append(l.faults, &Fault{l.prefix, 1, "no package has a rule allow: there is no policy"})
	}
	slices.SortFunc(b.Policies, func(a, b Policy) int { return strings.Compare(a.Name, b.Name) })
}

func allowRule(m *ast.Module) *ast.Rule {
	for _, r := range m.Rules {
		if isAllow(r) {
			return r
		}
	}
	return nil
}

func isAllow(r *ast.Rule) bool {
	ref := r.Head.Ref()
	return len(ref) > 0 && ref[0].Value.Compare(ast.Var("allow")) == 0
}

// nameOf returns a package's path without data, with slashes.
func nameOf(pkg ast.Ref) string {
	parts := make([]string, 0, len(pkg))
	for _, t := range pkg[1:] {
		if s, ok := t.Value.(ast.String); ok {
			parts = append(parts, string(s))
		}
	}
	return strings.Join(parts, "/")
}

// digest is the SHA-256 of the canonical form of {path: SHA-256 of its text, …,
// "data": SHA-256 of the root document's canonical form, "policy": name}.
func (b *Bundle) digest(name string) string {
	members := make([]jcs.Member, 0, len(b.Modules)+2)
	add := func(name, value string) {
		members = append(members, jcs.Member{Name: name, Value: jcs.StringValue(value)})
	}
	for _, m := range b.Modules {
		add(m.Path, hexSHA256(m.Text))
	}
	add("data", hexSHA256(b.Data))
	add("policy", name)
	return hexSHA256(jcs.AppendObject(nil, members...))
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
