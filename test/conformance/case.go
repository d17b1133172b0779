// Package conformance is one corpus of cases for every surface on which the
// filter runs: natively, as .wasm in the Go host, in a real Envoy. The verdict
// and the entry must be the same everywhere.
//
//	for _, c := range conformance.Load(t) {
//		t.Run(c.Name, func(t *testing.T) { conformance.Check(t, c, surface.Do(t, c)) })
//	}
package conformance

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Guests of a case.
const (
	GuestPolicy  = "policy"
	GuestLineage = "lineage"
)

// ClaimCluster is the cluster, or the Go host's target, at which the claim
// store of the configurations is: it holds Case.Claims and answers 404 else.
const ClaimCluster = "kest_agent"

// Case is one file of test/cases.
type Case struct {
	Name          string            `json:"name"`
	Contract      string            `json:"contract"`
	Note          string            `json:"note"`
	Guest         string            `json:"guest"`
	Configuration json.RawMessage   `json:"configuration"`
	Request       Request           `json:"request"`
	Claims        map[string]string `json:"claims"`
	ClaimsDown    bool              `json:"claims_down"` // the store can't be reached
	Expect        Expectation       `json:"expect"`
}

// Request is what the client sends. It has no body.
type Request struct {
	Method    string   `json:"method"`
	Path      string   `json:"path"` // as it stands on the wire
	Authority string   `json:"authority"`
	Headers   []Header `json:"headers"`
}

// Header is a name in lower case and a value. Repeated ones stay apart.
type Header [2]string

// Expectation is what must come of the request.
type Expectation struct {
	Status    int            `json:"status"`
	GRPC      int            `json:"grpc"`
	Entries   int            `json:"entries"` // of the passport that goes on; 0 is not said
	Entry     map[string]any `json:"entry"`   // members of its last entry
	Baggage   map[string]any `json:"baggage"` // a text is a member's value, true: there, null: not there
	Unchanged bool           `json:"baggage_unchanged"`
}

// Result is what a surface saw.
type Result struct {
	Status   int
	GRPC     int               // -1 where the surface doesn't show it
	Header   []Header          // of the answer
	Body     []byte            // of the answer
	Upstream []Header          // the headers that the upstream saw; nil when it was not visited
	Claims   map[string]string // what the claim store holds afterwards
	Earlier  bool              // the proxy itself refused, before the filter saw the request
}

// Surface runs one case: it configures a filter, sends the request, and says
// what came of it. It reports its own troubles to t.
type Surface interface {
	Do(t *testing.T, c Case) Result
}

// Load reads all cases of test/cases. None is a failure.
func Load(t *testing.T) []Case {
	t.Helper()
	folder := filepath.Join(moduleRoot(t), "test", "cases")
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in %s: %v; run go run ./internal/tools/vectors", folder, err)
	}
	list := make([]Case, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&list[i]); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if list[i].Name != strings.TrimSuffix(filepath.Base(path), ".json") {
			t.Fatalf("%s is named %q inside", path, list[i].Name)
		}
	}
	return list
}

// Run gives every case to the surface and checks what came of it.
func Run(t *testing.T, s Surface) {
	t.Helper()
	for _, c := range Load(t) {
		t.Run(c.Name, func(t *testing.T) { Check(t, c, s.Do(t, c)) })
	}
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("the test does not run in the module")
		}
		dir = filepath.Dir(dir)
	}
}
