//go:build e2e

package e2e

import (
	"encoding/json"
	"net"
	"strconv"
)

// yaml builds a bootstrap configuration of Envoy. JSON is YAML.
type yaml struct {
	admin     int
	listeners []any
	clusters  []any
}

type object = map[string]any

func newYAML(admin int) *yaml { return &yaml{admin: admin} }

func socket(port int) object {
	return object{"socket_address": object{"address": "127.0.0.1", "port_value": port}}
}

func (y *yaml) cluster(name, address string) {
	_, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	y.clusters = append(y.clusters, object{
		"name": name, "type": "STATIC", "connect_timeout": "1s",
		"load_assignment": object{"cluster_name": name, "endpoints": []any{object{
			"lb_endpoints": []any{object{"endpoint": object{"address": socket(port)}}},
		}}},
	})
}

// unixCluster is a cluster behind a Unix socket.
func (y *yaml) unixCluster(name, path string) {
	y.clusters = append(y.clusters, object{
		"name": name, "type": "STATIC", "connect_timeout": "1s",
		"load_assignment": object{"cluster_name": name, "endpoints": []any{object{
			"lb_endpoints": []any{object{"endpoint": object{"address": object{"pipe": object{"path": path}}}}},
		}}},
	})
}

// listener adds a plain HTTP listener with a filter before the router.
func (y *yaml) listener(port int, filter any, cluster string) {
	y.listenerOf(port, cluster, filter)
}

// listenerOf adds a plain HTTP listener with filters before the router.
func (y *yaml) listenerOf(port int, cluster string, filters ...any) {
	y.listeners = append(y.listeners, object{
		"name": "l" + strconv.Itoa(port), "address": socket(port),
		"filter_chains": []any{object{"filters": []any{object{
			"name": "envoy.filters.network.http_connection_manager",
			"typed_config": object{
				"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"stat_prefix": "l" + strconv.Itoa(port),
				"codec_type":  "AUTO",
				// Envoy's own limit of 60 KiB must not hide the filter's.
				"max_request_headers_kb": 512,
				"access_log": []any{object{
					"name": "envoy.access_loggers.stdout",
					"typed_config": object{
						"@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
						"log_format": object{"text_format_source": object{
							"inline_string": "access %REQ(:PATH)% %RESPONSE_CODE% %FILTER_STATE(wasm.kest.verdict:PLAIN)%\n",
						}},
					},
				}},
				"route_config": object{"virtual_hosts": []any{object{
					"name": "all", "domains": []any{"*"},
					"routes": []any{object{"match": object{"prefix": "/"}, "route": object{"cluster": cluster}}},
				}}},
				"http_filters": append(filters, object{
					"name":         "envoy.filters.http.router",
					"typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
				}),
			},
		}}}},
	})
}

// wasmFilter is a module as an HTTP filter; plugins of one name share a VM.
func wasmFilter(name, file string, configuration any) any {
	return object{
		"name": name,
		"typed_config": object{
			"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
			"config": object{
				"name": name, "failure_policy": "FAIL_RELOAD",
				"vm_config": object{
					"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": object{"local": object{"filename": file}},
				},
				"configuration": configuration,
			},
		},
	}
}

func (y *yaml) String() string {
	b, err := json.MarshalIndent(object{
		"admin":            object{"address": socket(y.admin)},
		"static_resources": object{"listeners": y.listeners, "clusters": y.clusters},
	}, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b)
}
