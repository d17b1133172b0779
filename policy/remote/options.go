package remote

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kest.example/kest"
)

// Option is a choice that New takes.
type Option func(*Engine)

// WithTimeout sets how long a policy may take; the default is
// kest.EvaluationTimeout. A hook gives no tier more than that.
func WithTimeout(d time.Duration) Option { return func(e *Engine) { e.timeout = d } }

// WithAuthorization sets the header Authorization of all questions: for OPA
// "Bearer " and a token, for Cedar Agent the token alone.
func WithAuthorization(value string) Option { return func(e *Engine) { e.authorization = value } }

// WithTransport sets how questions travel, as where the engine wants a client's
// certificate; it must get to a socket by itself. The default speaks HTTP/1.1,
// knows the system's roots, and uses no proxy.
func WithTransport(t http.RoundTripper) Option { return func(e *Engine) { e.client.Transport = t } }

func (e *Engine) check() error {
	switch {
	case e.codec == nil:
		return configurationError("an engine needs a codec")
	case e.timeout <= 0:
		return configurationError("the time-out is not above zero")
	case e.client.Transport == nil:
		return configurationError("the transport is nil")
	case strings.ContainsFunc(e.authorization, func(r rune) bool { return r < ' ' || r > '~' }):
		return configurationError("the authorization is not of visible ASCII")
	}
	return nil
}

func configurationError(detail string) error {
	return fmt.Errorf("remote: %s: %w", detail, kest.ErrConfiguration)
}

// parseAddress returns what stands before a question's path, and how to get there.
func parseAddress(address string) (base string, t *http.Transport, err error) {
	t = newTransport()
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return "", nil, configurationError("unix: needs the path of a socket")
		}
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return "http://localhost", t, nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", nil, configurationError("an address is an http or https URL, or unix:PATH") // url.Error would quote it
	case u.User != nil:
		return "", nil, configurationError("an address holds no credentials: use WithAuthorization")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", nil, configurationError("an address ends with its path")
	}
	return strings.TrimRight(u.String(), "/"), t, nil
}

// newTransport keeps connections for a shorter time than Cedar Agent, which
// closes an idle one after 5 s: what is sent just then is lost.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext: new(net.Dialer).DialContext, DisableCompression: true,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 4 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}
