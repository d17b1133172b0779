package host

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"kest.example/kest/plugin/proxywasm"
)

// requestHeaders shows a request to the guest as next would see it, its path
// and query still encoded.
func requestHeaders(r *http.Request) headerMap {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	pairs := make([]proxywasm.Pair, 0, len(r.Header)+8)
	pairs = append(pairs, proxywasm.Pair{Name: ":method", Value: r.Method})
	if path := r.URL.RequestURI(); r.Method != http.MethodConnect || r.URL.Path != "" {
		pairs = append(pairs, proxywasm.Pair{Name: ":path", Value: path})
	}
	pairs = append(pairs, proxywasm.Pair{Name: ":authority", Value: r.Host}, proxywasm.Pair{Name: ":scheme", Value: scheme})
	return headerMap{pairs: fieldPairs(pairs, r.Header), pseudo: requestPseudo}
}

var errEdited = errors.New("host: the guest leaves a request that can't be sent")

// outgoing makes the request that goes on, with what the guest edited.
func (s *stream) outgoing(ctx context.Context) (*http.Request, error) {
	r := s.r.WithContext(ctx)
	if !s.request.edited {
		return r, nil
	}
	r.Header = s.request.header()
	method, _ := s.request.get(":method")
	host, _ := s.request.get(":authority")
	if !validName(method) || strings.ContainsAny(host, " /\\?#@") {
		return nil, errEdited
	}
	r.Method, r.Host = method, host
	path, _ := s.request.get(":path")
	if path == s.r.URL.RequestURI() {
		return r, nil
	}
	return r, setPath(r, path)
}

// setPath changes where a request goes, path and query.
func setPath(r *http.Request, path string) error {
	u, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(path, "/") || strings.Contains(path, "#") {
		return errEdited
	}
	changed := *r.URL
	changed.Path, changed.RawPath, changed.RawQuery, changed.ForceQuery = u.Path, u.RawPath, u.RawQuery, u.ForceQuery
	changed.Opaque, changed.Fragment, changed.RawFragment = "", "", ""
	r.URL, r.RequestURI = &changed, path
	return nil
}
