// Package deps holds the rules of who may import whom (DESIGN 1).
package deps

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "kest.example/kest"

func list(t *testing.T, env []string, args ...string) []string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// What makes a guest large, or has no business in one. math/big comes with
// crypto/rand and is not linked.
var notInGuests = []string{
	"encoding/json", "net/http", "crypto/tls", "crypto/x509", "crypto/rsa", "crypto/ecdsa", "log/slog", "compress/flate",
	"encoding/gob", "text/template", "regexp", "google.golang.org/grpc", "google.golang.org/protobuf/proto",
	"github.com/aws/", "github.com/tetratelabs/wazero", "go.opentelemetry.io/", "github.com/alecthomas/kong", "github.com/goccy/",
}

func TestGuestsStaySmall(t *testing.T) {
	deps := list(t, []string{"GOOS=wasip1", "GOARCH=wasm"}, "-deps", "./guest/policy", "./guest/lineage")
	if !slices.Contains(deps, module+"/plugin") {
		t.Fatal("the guests do not import the filter: the list is wrong")
	}
	for _, d := range deps {
		for _, bad := range notInGuests {
			if d == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(d, bad) {
				t.Errorf("a guest pulls in %s", d)
			}
		}
	}
}

// rules says what each room may import of the project, besides internal/.
var rules = map[string][]string{
	"":                   {},
	"/baggage":           {""},
	"/policy/cedar":      {""},
	"/policy/opa":        {""},
	"/policy/cedaragent": {""},
	"/policy/remote":     {"", "/policy/opa", "/policy/cedaragent"},
	"/policy/avp":        {""},
	"/policy/table":      {""},
	"/policy/library":    {},
	"/policy/check":      {"", "/policy/rego"},
	"/policy/rego":       {""},
	"/plugin":            {"", "/baggage", "/policy/opa", "/policy/cedaragent"},
	"/plugin/proxywasm":  {},
	"/plugin/vm":         {"/plugin", "/plugin/proxywasm"},
	"/host":              {"/plugin/proxywasm"},
	"/identityhost":      {"", "/plugin/proxywasm"},
	"/wasm":              {},

	"/policy/library/librarytest": {"", "/policy/library"},
	"/policy/rego/regowasm":       {"", "/policy/rego"},
	"/plugin/regopolicy":          {"", "/plugin"},

	"/keys":                    {""},
	"/identityhost/spire":      {""},
	"/identityhost/aws":        {""},
	"/identityhost/oidc":       {"", "/identityhost/internal/jwt"},
	"/identityhost/local":      {""},
	"/identityhost/detect":     {"", "/keys", "/identityhost/spire", "/identityhost/aws", "/identityhost/oidc", "/identityhost/local"},
	"/identityhost/bearer":     {"", "/identityhost/internal/jwt", "/plugin/proxywasm"},
	"/identityhost/rediscache": {""},
}

func TestRooms(t *testing.T) {
	for room, may := range rules {
		imports := list(t, nil, "-f", `{{join .Imports "\n"}}`, "."+room)
		for _, i := range imports {
			own, ok := strings.CutPrefix(i, module)
			if !ok || strings.HasPrefix(own, "/internal/") {
				continue
			}
			if !slices.Contains(may, own) {
				t.Errorf("%s imports %s", module+room, i)
			}
		}
	}
}

// OPA is for who compiles or asks it natively: neither a guest nor the Go host
// that runs what was compiled.
func TestOPAStaysOut(t *testing.T) {
	const opa = "github.com/open-policy-agent/opa"
	if !slices.ContainsFunc(list(t, nil, "-deps", "./policy/rego/regowasm"), func(d string) bool { return strings.HasPrefix(d, opa) }) {
		t.Fatal("the compiler does not import OPA: the rule is stale")
	}
	deps := list(t, nil, "-deps", "./host", "./plugin/regopolicy", "./internal/regorun", "./internal/regolink")
	for _, d := range append(deps, list(t, []string{"GOOS=wasip1", "GOARCH=wasm"}, "-deps", "./guest/policy")...) {
		if strings.HasPrefix(d, opa) || d == module+"/wasm" {
			t.Errorf("a guest or the Go host pulls in %s", d)
		}
	}
}

// Only one package knows curve25519-voi, so that there is one verification rule.
func TestOneEd25519(t *testing.T) {
	lines := list(t, nil, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}} {{end}}`, "./...")
	found := false
	for _, l := range lines {
		from, to, _ := strings.Cut(l, "=")
		if strings.HasPrefix(to, "github.com/oasisprotocol/curve25519-voi") {
			found = true
			if !strings.HasPrefix(from, module+"/internal/ed25519") {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
	if !found {
		t.Error("nobody imports curve25519-voi: the rule is stale")
	}
}
