//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/test/regofile"
)

// regoFilter is a file of kest policy build as an HTTP filter.
func regoFilter(t testing.TB, file []byte, configuration string) any {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy-mine.wasm")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return wasmFilter("rego", path, configurationOf(t, configuration))
}

// Rego inside Envoy: allowed and denied as everywhere else; what aborts, runs
// out of memory or nests too deep is denied, and the next request is served by
// the same VM.
func TestRego(t *testing.T) {
	r := start(t, func(t *testing.T) any { return regoFilter(t, regofile.Build(t), regofile.Configuration()) }, 1)
	regofile.Run(t, r.url)
	r.awaitLog(t, "team/number", "the built-in to_number failed")
	if strings.Contains(r.Log(), "wasm trap") || strings.Contains(r.Log(), "Uncaught") {
		t.Errorf("something trapped:\n%s", r.Log())
	}
}

// Names that the module lacks are refused at the start: those of a file with
// other policies, and all of them without a file.
func TestRegoThatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		filter func(t *testing.T) any
		want   string
	}{
		"one policy": {func(t *testing.T) any { return regoFilter(t, regofile.Build(t), regofile.Configuration("team/absent")) }, "team/absent"},
		"every policy": {func(t *testing.T) any {
			return wasmFilter("rego", filepath.Join(envoytest.Root(), "wasm", "policy.wasm"), configurationOf(t, regofile.Configuration()))
		}, "policies.rego"},
	} {
		ports, err := envoytest.FreePorts(2)
		if err != nil {
			t.Fatal(err)
		}
		y := newYAML(ports[0])
		y.cluster("upstream", "127.0.0.1:1")
		y.listener(ports[1], c.filter(t), "upstream")
		e, err := envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", ports[0]), 1)
		if err == nil {
			e.Stop()
			t.Errorf("%s: it started", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the log does not name %s: %v", name, c.want, err)
		}
	}
}
