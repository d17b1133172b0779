package deps

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The OPA server of the tests is of the version whose evaluator and compiler we link.
func TestOneVersionOfOPA(t *testing.T) {
	tools, err := os.ReadFile("../../tools.env")
	if err != nil {
		t.Fatal(err)
	}
	linked := list(t, nil, "-m", "-f", "{{.Version}}", "github.com/open-policy-agent/opa")
	if len(linked) != 1 || !slices.Contains(strings.Fields(string(tools)), "OPA_VERSION="+linked[0]) {
		t.Errorf("go.mod has OPA %s, which is not what tools.env pins", linked)
	}
}
