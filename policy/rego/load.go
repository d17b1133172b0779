package rego

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest"
	"kest.example/kest/internal/fault"
	"kest.example/kest/internal/jcs"
)

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

// WithFaulty has Load return, beside Faults, a bundle of what they leave, for
// what else there is to say of it: only AllowRules, AllowType and Whole answer
// for it.
func WithFaulty() Option { return func(l *loader) { l.faulty = true } }

// Load reads the modules below a folder, but for *_test.rego. The error is
// Faults, all there are, or says what can't be read.
func Load(dir string, options ...Option) (*Bundle, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: dir, Err: errors.New("it is no folder")}
	}
	return LoadFS(os.DirFS(dir), filepath.ToSlash(dir), options...)
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
	faulty      bool
	bundle      *Bundle
	lost        lost
	faults      Faults
}

func (l *loader) name(file string) string { return path.Join(l.prefix, file) }

func (l *loader) fault(at *ast.Location, text string) {
	l.faults = append(l.faults, fault.New(at.File, at.Row, text))
}

func (l *loader) load() (*Bundle, error) {
	if err := errors.Join(l.read(), l.readData()); err != nil {
		return nil, err
	}
	if len(l.bundle.Modules) == 0 {
		l.faults = append(l.faults, fault.New(l.prefix, 1, "the folder has no .rego file"))
	}
	l.parse()
	l.refuseBuiltins()
	l.policies()
	l.compile()
	if len(l.faults) == 0 {
		return l.bundle, nil
	}
	if l.faulty {
		l.bundle.lost = l.lost
		return l.bundle, l.faults.Sorted()
	}
	return nil, l.faults.Sorted()
}

// read skips what Kubernetes keeps beside a mounted folder: a second copy of
// it, in a folder whose name starts with two dots.
func (l *loader) read() error {
	return fs.WalkDir(l.fsys, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".rego") || strings.HasSuffix(file, "_test.rego"):
			return nil
		case len(l.bundle.Modules) == maxModules:
			l.faults = append(l.faults, fault.New(l.prefix, 1, "the folder has more than 10000 modules"))
			l.lost.add("data")
			return fs.SkipAll
		}
		f, err := l.fsys.Open(file)
		if err != nil {
			l.unreadable(file, err)
			return nil
		}
		text, err := readAtMost(f, maxModule)
		if errors.Is(err, errTooLong) {
			l.faults = append(l.faults, fault.New(l.name(file), 1, "the module is longer than 4 MiB"))
			l.lost.add("data")
			return nil
		}
		if err != nil {
			l.unreadable(file, err)
			return nil
		}
		l.bundle.Modules = append(l.bundle.Modules, Module{Path: file, Text: text})
		return nil
	})
}

// unreadable notes a module that is there and can't be read, as a link to
// nowhere: its package may be any.
func (l *loader) unreadable(file string, err error) {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	l.faults = append(l.faults, fault.New(l.name(file), 1, "the module can't be read: "+oneLine(err.Error())))
	l.lost.add("data")
}

var errTooLong = errors.New("too long")

func readAtMost(f fs.File, limit int64) (text []byte, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errTooLong
	}
	return text, err
}

func (l *loader) readData() error {
	if l.dataFile == "" {
		return nil
	}
	f, err := os.Open(l.dataFile)
	if err != nil {
		return err
	}
	text, err := readAtMost(f, maxData)
	if errors.Is(err, errTooLong) {
		l.dataFault(1, "is longer than 64 MiB")
		return nil
	}
	if err != nil {
		return err
	}
	v, err := jcs.Parse(text)
	switch {
	case err != nil:
		line := 1
		if at, ok := errors.AsType[*jcs.SyntaxError](err); ok {
			line += bytes.Count(text[:min(at.Offset, len(text))], []byte("\n"))
		}
		l.dataFault(line, "is no JSON: "+err.Error())
	case v.Kind() != jcs.Object:
		l.dataFault(1, "is "+v.Kind().String()+", not an object")
	default:
		l.bundle.Data = jcs.Append(nil, v)
	}
	return nil
}

func (l *loader) dataFault(line int, text string) {
	l.faults = append(l.faults, fault.New(l.dataFile, line, "the root document "+text))
}

func (l *loader) parse() {
	for i := range l.bundle.Modules {
		m := &l.bundle.Modules[i]
		name := l.name(m.Path)
		parsed, err := ast.ParseModuleWithOpts(name, string(m.Text), ast.ParserOptions{RegoVersion: ast.RegoV1})
		switch {
		case err != nil:
			l.faults = append(l.faults, faultsOf(name, err)...)
		case parsed == nil:
			l.faults = append(l.faults, fault.New(name, 1, "the module is empty"))
		case meetsLibrary(parsed.Package.Path) && len(parsed.Package.Path) >= len(libraryPath):
			l.fault(parsed.Package.Location, "the package "+parsed.Package.Path.String()+" is Kest's own")
		default:
			m.parsed = parsed
			l.ownLibrary(parsed)
		}
		if m.parsed == nil {
			l.lost.module(m.Text)
		}
	}
}

// ownLibrary takes out the rules that would add to the library.
func (l *loader) ownLibrary(m *ast.Module) {
	m.Rules = slices.DeleteFunc(m.Rules, func(r *ast.Rule) bool {
		if definesLibrary(m, r) {
			l.fault(r.Location, "the package "+LibraryPackage+" is Kest's own")
			return true
		}
		return false
	})
}

func (l *loader) refuseBuiltins() {
	rules := make(map[string]map[string]bool) // of a package, their first names
	for _, m := range l.bundle.Modules {
		if m.parsed == nil {
			continue
		}
		own := rules[m.parsed.Package.Path.String()]
		if own == nil {
			own = make(map[string]bool)
			rules[m.parsed.Package.Path.String()] = own
		}
		for _, r := range m.parsed.Rules {
			own[r.Head.Ref()[0].Value.String()] = true
		}
	}
	for _, m := range l.bundle.Modules {
		if m.parsed != nil {
			l.refuse(m.parsed, rules[m.parsed.Package.Path.String()])
		}
	}
}

// policies finds the packages that have a rule allow.
func (l *loader) policies() {
	b := l.bundle
	digest := b.digests()
	seen := make(map[string]bool)
	for _, m := range b.Modules {
		if m.parsed == nil {
			continue
		}
		i := slices.IndexFunc(m.parsed.Rules, isAllow)
		name := nameOf(m.parsed.Package.Path)
		switch {
		case i < 0 || seen[name]:
			continue
		case !namesPolicy(m.parsed.Package.Path):
			l.fault(m.parsed.Package.Location, "the package's path makes no policy name: "+m.parsed.Package.Path.String())
			continue
		case len(m.parsed.Rules[i].Head.Args) > 0:
			l.fault(m.parsed.Rules[i].Location, "allow is a function: it is never asked")
			continue
		}
		seen[name] = true
		b.Policies = append(b.Policies, Policy{Name: name, Digest: digest(name), ref: m.parsed.Package.Path.Append(ast.StringTerm("allow"))})
	}
	if len(b.Policies) == 0 && len(l.faults) == 0 && !l.libraryOnly {
		l.faults = append(l.faults, fault.New(l.prefix, 1, "no package has a rule allow: there is no policy"))
	}
	slices.SortFunc(b.Policies, func(a, b Policy) int { return strings.Compare(a.Name, b.Name) })
}

// namesPolicy reports whether a package's path is a policy's name. With a
// separator within a part it could be taken for another package's.
func namesPolicy(pkg ast.Ref) bool {
	for _, t := range pkg[1:] {
		if s, ok := t.Value.(ast.String); !ok || strings.ContainsAny(string(s), "./") {
			return false
		}
	}
	return kest.ValidPolicyName(nameOf(pkg))
}
