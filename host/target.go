package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// target is a cluster that guests may call.
type target struct {
	name   string
	base   string // scheme and host
	client *http.Client
}

// idleTimeout is how long an unused connection is kept.
const idleTimeout = 90 * time.Second

var errTarget = errors.New("host: a target is unix:PATH, or an http or https URL without a path")

// newTarget makes the client of a cluster. It follows no redirects, uses no
// proxy of the environment's, and undoes no compression.
func newTarget(name, address string) (*target, error) {
	transport := &http.Transport{
		DisableCompression: true, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 32,
		MaxResponseHeaderBytes: maxCalloutField, IdleConnTimeout: idleTimeout,
	}
	t := &target{name: name, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok && path != "" {
		t.base = "http://unix"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return t, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: %s is %q", errTarget, name, address)
	}
	t.base = u.Scheme + "://" + u.Host
	return t, nil
}

func newTargets(addresses map[string]string) (map[string]*target, error) {
	targets := make(map[string]*target, len(addresses))
	for name, address := range addresses {
		t, err := newTarget(name, address)
		if err != nil {
			return nil, err
		}
		targets[name] = t
	}
	return targets, nil
}
