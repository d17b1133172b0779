//go:build e2e

package e2e

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/test/fleet"
)

// onEnvoy runs a filter in an Envoy of its own.
func onEnvoy(t testing.TB, s fleet.Setup) *fleet.Gateway {
	t.Helper()
	_, g := envoyIn(t, t.TempDir(), s)
	return g
}

// envoyIn is onEnvoy in a working folder.
func envoyIn(t testing.TB, dir string, s fleet.Setup) (*envoytest.Envoy, *fleet.Gateway) {
	t.Helper()
	ports, err := envoytest.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	y := newYAML(ports[0])
	y.cluster("upstream", s.Backend.Listener.Addr().String())
	for name, address := range s.Clusters {
		y.target(t, name, address)
	}
	file := filepath.Join(envoytest.Root(), "wasm", s.Guest)
	filters := []any{wasmFilter("kest", file, configurationOf(t, s.Config))}
	if s.JWT != nil {
		filters = append([]any{jwtFilter(s.JWT)}, filters...)
	}
	y.listenerOf(ports[1], "upstream", filters...)
	scheme := "http"
	if s.TLS != nil {
		y.serveTLS(s.TLS)
		scheme = "https"
	}
	e, err := envoytest.StartIn(dir, y.String(), fmt.Sprintf("127.0.0.1:%d", ports[0]), max(1, s.Workers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e, &fleet.Gateway{URL: fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[1]), Log: e.Log}
}

// certificates are an SVID and the roots of its peers.
func certificates(files *fleet.TLS) object {
	return object{
		"tls_certificates": []any{object{
			"certificate_chain": object{"filename": files.Cert}, "private_key": object{"filename": files.Key},
		}},
		"validation_context": object{"trusted_ca": object{"filename": files.CA}},
	}
}

// serveTLS has the last listener serve mTLS.
func (y *yaml) serveTLS(files *fleet.TLS) {
	listener := y.listeners[len(y.listeners)-1].(object)
	listener["filter_chains"].([]any)[0].(object)["transport_socket"] = object{
		"name": "envoy.transport_sockets.tls",
		"typed_config": object{
			"@type":                      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
			"require_client_certificate": true, "common_tls_context": certificates(files),
		},
	}
}

func TestPeer(t *testing.T) { fleet.RunPeer(t, fleet.Surface{Name: "envoy", Start: onEnvoy}) }

// target is a cluster at unix:PATH or http://HOST:PORT.
func (y *yaml) target(t testing.TB, name, address string) {
	t.Helper()
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		y.unixCluster(name, path)
		return
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	y.cluster(name, u.Host)
}

// jwtFilter is Envoy's own check of bearer tokens; one that is missing passes.
func jwtFilter(j *fleet.JWT) any {
	return object{
		"name": "envoy.filters.http.jwt_authn",
		"typed_config": object{
			"@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
			"providers": object{"users": object{
				"issuer": j.Issuer, "audiences": []any{j.Audience}, "local_jwks": object{"inline_string": j.JWKS},
				"payload_in_metadata": "payload", "forward": true,
			}},
			"rules": []any{object{
				"match": object{"prefix": "/"},
				"requires": object{"requires_any": object{"requirements": []any{
					object{"provider_name": "users"}, object{"allow_missing": object{}},
				}}},
			}},
		},
	}
}

func TestUser(t *testing.T) { fleet.RunUser(t, fleet.Surface{Name: "envoy", Start: onEnvoy}) }

func TestFleet(t *testing.T) { fleet.Run(t, fleet.Surface{Name: "Envoy", Start: onEnvoy}) }

// The sidecar pair of one workload in one Envoy, on four workers.
func TestEgress(t *testing.T) {
	fleet.RunEgress(t, fleet.Pair{Name: "envoy", Start: func(t testing.TB, ingress, egress fleet.Setup) (in, out *fleet.Gateway) {
		ports, err := envoytest.FreePorts(3)
		if err != nil {
			t.Fatal(err)
		}
		y := newYAML(ports[0])
		for name, address := range ingress.Clusters {
			y.target(t, name, address)
		}
		for i, s := range []fleet.Setup{ingress, egress} {
			cluster := []string{"application", "stock"}[i]
			y.cluster(cluster, s.Backend.Listener.Addr().String())
			file := filepath.Join(envoytest.Root(), "wasm", s.Guest)
			y.listener(ports[1+i], wasmFilter("kest", file, configurationOf(t, s.Config)), cluster)
		}
		e, err := envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", ports[0]), ingress.Workers)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Stop)
		return &fleet.Gateway{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[1]), Log: e.Log},
			&fleet.Gateway{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[2]), Log: e.Log}
	}}, 4)
}
