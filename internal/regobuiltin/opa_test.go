package regobuiltin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// now is the time that policies are asked at in tests.
var now = time.Date(2026, 2, 28, 23, 59, 58, 123456789, time.UTC)

// native is a function of OPA's interpreter.
type native struct {
	compiler *ast.Compiler
	body     ast.Body
}

func newNative(t testing.TB, name string, arity int) *native {
	t.Helper()
	args := make([]string, arity)
	for i := range args {
		args[i] = fmt.Sprintf("input[%d]", i)
	}
	compiler := ast.NewCompiler()
	body, err := compiler.QueryCompiler().Compile(ast.MustParseBody(fmt.Sprintf("x = %s(%s)", name, strings.Join(args, ", "))))
	if err != nil {
		t.Fatal(err)
	}
	return &native{compiler, body}
}

var errNoValue = errors.New("undefined")

// call evaluates with strict built-in errors, as policies are evaluated natively.
func (n *native) call(args []*ast.Term) (v ast.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	results, err := topdown.NewQuery(n.body).WithCompiler(n.compiler).WithInput(ast.ArrayTerm(args...)).
		WithTime(now).WithStrictBuiltinErrors(true).WithCancel(topdown.NewCancel()).Run(context.Background())
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || results[0]["x"] == nil {
		return nil, errNoValue
	}
	return results[0]["x"].Value, nil
}

// dump writes a value as OPA's compiled form does (opa_value_dump).
func dump(v ast.Value) string {
	var parts []string
	switch v := v.(type) {
	case ast.String:
		return quote(string(v))
	case *ast.Array:
		v.Foreach(func(x *ast.Term) { parts = append(parts, dump(x.Value)) })
		return "[" + strings.Join(parts, ", ") + "]"
	case ast.Set:
		if v.Len() == 0 {
			return "set()"
		}
		v.Foreach(func(x *ast.Term) { parts = append(parts, dump(x.Value)) })
		return "{" + strings.Join(parts, ", ") + "}"
	case ast.Object:
		v.Foreach(func(k, x *ast.Term) { parts = append(parts, dump(k.Value)+": "+dump(x.Value)) })
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return v.String()
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// value is v as this package reads it.
func value(t testing.TB, v ast.Value) *Value {
	t.Helper()
	text := dump(v)
	got, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return got
}

// same holds one call against OPA. It reports whether there was a value.
func same(t *testing.T, name string, n *native, args []*ast.Term) bool {
	t.Helper()
	text := dump(ast.NewArray(args...))
	want, wantErr := n.call(args)
	out, err := CallText(name, text, Env{Now: now})
	if err != nil {
		if wantErr == nil && !refused(name, args, want) {
			t.Fatalf("%s%s: %v, OPA gives %v", name, text, err, want)
		}
		return false
	}
	if wantErr != nil {
		t.Fatalf("%s%s: %s, OPA fails: %v", name, text, out, wantErr)
	}
	got, err := Parse(string(out))
	if err != nil {
		t.Fatalf("%s%s: its result can't be read: %s", name, text, out)
	}
	if other := value(t, want); compare(got, other) != 0 {
		t.Fatalf("%s%s:\n%s, OPA gives\n%v", name, text, out, want)
	}
	return true
}

// refused reports whether the package says that it refuses what OPA takes.
func refused(name string, args []*ast.Term, want ast.Value) bool {
	switch name {
	case "sprintf":
		big := false
		if list, ok := args[1].Value.(*ast.Array); ok {
			list.Foreach(func(x *ast.Term) {
				n, ok := x.Value.(ast.Number)
				_, small := plainInteger(string(n))
				big = big || ok && !small && !strings.ContainsAny(string(n), ".eE")
			})
		}
		return big
	case "json.patch":
		return newRoot(args[1])
	case "regex.replace":
		return strings.Contains(string(args[1].Value.(ast.String)), `\p`)
	}
	s, ok := want.(ast.String)
	return ok && !utf8.ValidString(string(s))
}

// newRoot reports whether operations put something in the place of the whole
// value. What OPA does with others behind that depends on chance.
func newRoot(operations *ast.Term) (found bool) {
	operations.Value.(*ast.Array).Foreach(func(x *ast.Term) {
		path := x.Value.(ast.Object).Get(ast.StringTerm("path"))
		found = found || path.Equal(ast.StringTerm("")) || path.Equal(ast.ArrayTerm())
	})
	return found
}

func TestLikeOPA(t *testing.T) {
	for i := range functions {
		f := &functions[i]
		t.Run(f.name, func(t *testing.T) {
			g := newGen(i)
			n := newNative(t, f.name, f.arity)
			calls, values := 0, 0
			for range 4000 {
				calls++
				if same(t, f.name, n, g.arguments(f.name, f.arity)) {
					values++
				}
			}
			t.Logf("%d calls, %d with a value", calls, values)
			if values < calls/20 {
				t.Errorf("only %d of %d calls had a value", values, calls)
			}
		})
	}
}
