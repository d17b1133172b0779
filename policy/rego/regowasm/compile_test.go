package regowasm

import (
	"errors"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What OPA refuses is named by file and line, however it says it.
func TestFaultsOf(t *testing.T) {
	at := &ast.Error{Message: "bad\n thing", Location: &ast.Location{File: "b.rego", Row: 7}}
	for text, c := range map[string]struct {
		err  error
		want string
	}{
		"a list":     {ast.Errors{at}, "b.rego:7: bad thing"},
		"one":        {at, "b.rego:7: bad thing"},
		"a text":     {errors.New("sub/c.rego:12: it is not supported"), "sub/c.rego:12: it is not supported"},
		"no place":   {errors.New("it is not supported"), "a.rego:1: it is not supported"},
		"no file":    {&ast.Error{Message: "bad"}, "a.rego:1: bad"},
		"just colon": {errors.New("x: y"), "a.rego:1: x: y"},
	} {
		if have := faultsOf("a.rego", c.err).Error(); have != c.want {
			t.Errorf("%s: %q, want %q", text, have, c.want)
		}
	}
}

// A module of another shape than this package knows is refused, whatever is missing.
func TestForeignModules(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no module": "hello", "an empty module": "\x00asm\x01\x00\x00\x00",
		"without parts": "\x00asm\x01\x00\x00\x00\x00\x09\x04name\x01\x02\x01\x00",
	} {
		if out, err := adapt([]byte(text), []byte("{}"), 16); err == nil {
			t.Errorf("%s became %d bytes", name, len(out))
		}
	}
}
