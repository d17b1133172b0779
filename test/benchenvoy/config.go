package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"kest.example/kest/internal/envoytest"
)

// configuration has a plain listener and one for each filter; the answer comes
// from the router, so that no upstream is measured.
func configuration(ports []int, empty string) string {
	wasm := func(name, file, configuration string) string {
		return fmt.Sprintf(`
                  - name: %[1]s
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: %[1]s
                        vm_config: {vm_id: %[1]s, runtime: envoy.wasm.runtime.v8, code: {local: {filename: %[2]q}}}
                        configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: %[3]q}`,
			name, file, configuration)
	}
	policy := filepath.Join(envoytest.Root(), "wasm", "policy.wasm")
	jwt := fmt.Sprintf(`
                  - name: jwt
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                      providers:
                        p:
                          issuer: https://issuer.example.org
                          audiences: [orders]
                          local_jwks: {inline_string: '{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"%s"}]}'}
                      rules: [{match: {prefix: /}, requires: {provider_name: p}}]`, publicX("j"))
	var b strings.Builder
	fmt.Fprintf(&b, "admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}\nstatic_resources:\n  listeners:", ports[0])
	for i, filter := range []string{
		"", wasm("empty", empty, "{}"), jwt,
		wasm("root", policy, filterConfiguration("a", true)), wasm("three", policy, filterConfiguration("d", false)),
	} {
		fmt.Fprintf(&b, `
    - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: l%d
                route_config:
                  virtual_hosts:
                    - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: ok}}}]}
                http_filters:%s
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}`, ports[1+i], i, filter)
	}
	return b.String() + "\n"
}
