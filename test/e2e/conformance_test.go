//go:build e2e

// Package e2e runs the filters in a real Envoy, and beside real services. It
// needs what make tools fetches; a part that is missing fails the tests.
package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/test/conformance"
)

// envoySurface has one Envoy with a listener for each configuration of the
// cases, all in one VM.
type envoySurface struct {
	backend *conformance.Backend
	envoy   *envoytest.Envoy
	ports   map[string]int
}

// key tells configurations apart that need listeners of their own.
func key(c conformance.Case) string {
	return fmt.Sprint(c.Guest, c.ClaimsDown, string(c.Configuration))
}

func newEnvoySurface(t *testing.T, cases []conformance.Case) *envoySurface {
	t.Helper()
	s := &envoySurface{backend: conformance.NewBackend(t), ports: make(map[string]int)}
	for _, c := range cases {
		s.ports[key(c)] = 0
	}
	ports, err := envoytest.FreePorts(len(s.ports) + 2)
	if err != nil {
		t.Fatal(err)
	}
	admin, dead := ports[0], ports[1]
	ports = ports[2:]
	y := newYAML(admin)
	y.cluster("upstream", s.backend.Upstream.Listener.Addr().String())
	y.cluster(conformance.ClaimCluster, s.backend.Store.Listener.Addr().String())
	y.cluster(conformance.ClaimCluster+"_down", fmt.Sprintf("127.0.0.1:%d", dead))
	for _, c := range cases {
		if s.ports[key(c)] != 0 {
			continue
		}
		s.ports[key(c)], ports = ports[0], ports[1:]
		configuration := string(c.Configuration)
		if c.ClaimsDown {
			configuration = strings.ReplaceAll(configuration, `"`+conformance.ClaimCluster+`"`, `"`+conformance.ClaimCluster+`_down"`)
		}
		y.listener(s.ports[key(c)], kestFilter(t, c.Guest, configuration), "upstream")
	}
	s.envoy, err = envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", admin), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.envoy.Stop)
	return s
}

// kestFilter is a guest as an HTTP filter. Its configuration is a Struct, as
// people write it in YAML.
func kestFilter(t *testing.T, guest, configuration string) any {
	t.Helper()
	return wasmFilter("kest-"+guest, filepath.Join(envoytest.Root(), "wasm", guest+".wasm"), configurationOf(t, configuration))
}

// configurationOf is a filter's configuration as people write it in Envoy's YAML.
func configurationOf(t testing.TB, text string) any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"@type": "type.googleapis.com/google.protobuf.Struct", "value": value}
}

// Do implements conformance.Surface.
func (s *envoySurface) Do(t *testing.T, c conformance.Case) conformance.Result {
	t.Helper()
	s.backend.Prepare(c)
	answer, body := conformance.Send(t, fmt.Sprintf("127.0.0.1:%d", s.ports[key(c)]), c)
	r := s.backend.Result(answer, body)
	// Envoy itself refuses some requests that no filter ever sees.
	r.Earlier = answer.StatusCode == http.StatusBadRequest && answer.Header.Get("Content-Type") != "application/problem+json"
	return r
}

// TestConformance: a real Envoy gives the verdict of every case.
func TestConformance(t *testing.T) {
	cases := conformance.Load(t)
	s := newEnvoySurface(t, cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { conformance.Check(t, c, s.Do(t, c)) })
	}
}
