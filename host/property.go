package host

import (
	"net/http"
	"strings"

	"kest.example/kest/plugin/proxywasm"
)

// property finds what a guest asks for: what it has set itself, what
// WithProperties knows, then what this host knows, under Envoy's names.
func (i *instance) property(path []string) ([]byte, bool) {
	if path[0] == "plugin_vm_id" {
		return []byte(i.filter.vmID), true
	}
	s := i.stream()
	if s == nil {
		return nil, false
	}
	joined := proxywasm.JoinPath(path...)
	if value, ok := s.state.get(joined); ok {
		return []byte(value), true
	}
	if i.filter.properties != nil {
		if value, ok := i.filter.properties(s.r, path); ok {
			return value, true
		}
	}
	return requestProperty(s.r, strings.ReplaceAll(joined, "\x00", "."))
}

// requestProperty knows the attributes of Envoy's that a Go server knows too
// (Envoy, "Attributes"). A peer's names count only when its certificate was
// verified.
func requestProperty(r *http.Request, name string) ([]byte, bool) {
	text := ""
	switch name {
	case "request.path":
		text = r.URL.RequestURI()
	case "request.url_path":
		text = r.URL.EscapedPath()
	case "request.query":
		text = r.URL.RawQuery
	case "request.host":
		text = r.Host
	case "request.method":
		text = r.Method
	case "request.protocol":
		text = r.Proto
	case "request.scheme":
		text = "http"
		if r.TLS != nil {
			text = "https"
		}
	case "source.address":
		text = r.RemoteAddr
	case "connection.mtls":
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			return []byte{1}, true
		}
		return []byte{0}, true
	case "connection.uri_san_peer_certificate":
		return peerURI(r)
	default:
		return nil, false
	}
	return []byte(text), true
}

// peerURI is the first URI name of the client's verified certificate.
func peerURI(r *http.Request) ([]byte, bool) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return nil, false
	}
	names := r.TLS.VerifiedChains[0][0].URIs
	if len(names) == 0 {
		return nil, false
	}
	return []byte(names[0].String()), true
}
