//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/internal/workloadtest"
)

// The example runs on local keys, and on SVIDs where there is a Workload API.
func TestExample(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "example")
	build := exec.Command("go", "build", "-o", binary, "./examples/envoy")
	build.Dir = envoytest.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	api := workloadtest.New(t, workloadtest.NewCA("prod.example"), "spiffe://prod.example/edge",
		workloadtest.WithIdentity("spiffe://prod.example/agent", ""), workloadtest.WithIdentity("spiffe://prod.example/orders", ""))
	for address, domain := range map[string]string{"": "example.org", api.Address(): "prod.example"} {
		example := exec.Command(binary)
		example.Dir, example.Env = envoytest.Root(), append(os.Environ(), "SPIFFE_ENDPOINT_SOCKET="+address)
		out, err := example.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", address, err, out)
		}
		for _, want := range []string{"by spiffe://" + domain + "/edge", "by spiffe://" + domain + "/orders", "403 Forbidden"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%q: %s is not in\n%s", address, want, out)
			}
		}
	}
}
