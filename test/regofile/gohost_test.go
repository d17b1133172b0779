package regofile_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"kest.example/kest/host"
	"kest.example/kest/test/regofile"
	"kest.example/kest/wasm"
)

func base(t *testing.T) []byte {
	t.Helper()
	b, err := wasm.Policy()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same file that runs in Envoy, in the Go host.
func TestGoHost(t *testing.T) {
	f, err := host.New(t.Context(), regofile.Build(t), []byte(regofile.Configuration()), host.WithBase(base(t)), host.WithPool(2))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer server.Close()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { regofile.Run(t, server.URL) })
	}
	all.Wait()
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A file without its guest, or with another one, is refused, and so is a
// configuration that names what the file doesn't have.
func TestRefused(t *testing.T) {
	file, good := regofile.Build(t), []byte(regofile.Configuration())
	lineage, err := wasm.Lineage()
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string][]host.Option{"no guest": nil, "another guest": {host.WithBase(lineage)}} {
		if _, err := host.New(t.Context(), file, good, options...); !errors.Is(err, host.ErrBase) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = host.New(t.Context(), file, []byte(regofile.Configuration("team/absent")), host.WithBase(base(t)))
	if refused, ok := errors.AsType[*host.RefusedError](err); !ok || !strings.Contains(refused.Reason, "team/absent") {
		t.Errorf("a policy that the file lacks: %v", err)
	}
	_, err = host.New(t.Context(), base(t), good)
	if refused, ok := errors.AsType[*host.RefusedError](err); !ok || !strings.Contains(refused.Reason, "policies.rego") {
		t.Errorf("policies without a file: %v", err)
	}
}
