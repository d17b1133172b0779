package identityhost

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// methods says what a path does, by method; GET includes HEAD.
type methods map[string]func(h *handler, w http.ResponseWriter, r *http.Request, argument string) error

// allow is the value of the header Allow (RFC 9110 section 10.2.1).
func (m methods) allow() string {
	names := make([]string, 0, len(m)+1)
	for name := range m {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// route finds what a path does: the name that metrics use, and the argument
// where it has one. Paths are taken as they come: none is cleaned or redirected.
func route(escaped string) (name string, m methods, argument string) {
	switch escaped {
	case "/v1/sessions":
		return escaped, methods{http.MethodPost: (*handler).sessions}, ""
	case "/v1/keys":
		return escaped, methods{http.MethodPost: (*handler).keyInline}, ""
	case "/v1/traces":
		return escaped, methods{http.MethodPost: (*handler).traces}, ""
	case "/healthz":
		return escaped, methods{http.MethodGet: (*handler).healthz}, ""
	case "/readyz":
		return escaped, methods{http.MethodGet: (*handler).readyz}, ""
	case "/metrics":
		return escaped, methods{http.MethodGet: (*handler).showMetrics}, ""
	}
	if kid, ok := segment(escaped, "/v1/keys/"); ok {
		return "/v1/keys/{kid}", methods{http.MethodGet: (*handler).key}, kid
	}
	if id, ok := segment(escaped, "/v1/claims/"); ok {
		return "/v1/claims/{uuid}", methods{http.MethodGet: (*handler).claimGet, http.MethodPut: (*handler).claimPut}, id
	}
	return "other", nil, ""
}

// segment is the one path segment behind a prefix, decoded.
func segment(escaped, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(escaped, prefix)
	if !ok || rest == "" || strings.Contains(rest, "/") {
		return "", false
	}
	text, err := url.PathUnescape(rest)
	return text, err == nil
}

// sampler lets one line a second through for each name.
type sampler struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (s *sampler) once(name string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[name]; ok && now.Sub(last) < time.Second {
		return false
	}
	s.last[name] = now
	return true
}
