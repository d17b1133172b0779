package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"kest.example/kest"
)

// attemptTimeout bounds one attempt to read a set, its body included.
const attemptTimeout = 10 * time.Second

// OpenJWKS reads a set from a URL in the background, again before it runs out,
// and when a kid is asked for that it lacks. While the server is away the last
// good keys count for a while (KeepFor). The URL is https, or http on this very
// machine, else the error wraps kest.ErrConfiguration; a server that can't be
// reached is no error yet. Close it.
func OpenJWKS(address string, options ...JWKSOption) (*JWKS, error) {
	o := newJWKSOptions(options)
	u, err := url.Parse(address)
	if err != nil || !o.mayAsk(u) {
		return nil, fmt.Errorf("keys: a JWKS comes from an https URL, or an http one of this machine: %w", kest.ErrConfiguration)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &remoteSet{
		o: o, address: address, name: u.Scheme + "://" + u.Host + u.Path, client: o.client, busy: true,
		ended: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	if r.client == nil {
		r.client = o.newClient()
	}
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	return &JWKS{keys: r.keys, close: func() { cancel(); running.Wait() }}, nil
}

// mayAsk reports whether keys from there are the ones that the server sent.
func (o *jwksOptions) mayAsk(u *url.URL) bool {
	if u.Host == "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && (local || o.plain)
}

const maxRedirects = 3

func (o *jwksOptions) newClient() *http.Client {
	return &http.Client{
		Timeout: attemptTimeout,
		CheckRedirect: func(request *http.Request, before []*http.Request) error {
			if len(before) > maxRedirects || !o.mayAsk(request.URL) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// remoteSet is what a server last answered. One goroutine asks it.
type remoteSet struct {
	o       *jwksOptions
	address string
	name    string // the address without its query, which may hold a secret
	client  *http.Client
	wake    chan struct{} // asks for an attempt now

	mu     sync.Mutex
	set    keySet
	loaded time.Time     // when it was read; zero before the first time
	tried  time.Time     // when the last attempt ended
	failed error         // of the last attempt
	busy   bool          // an attempt is under way
	ended  chan struct{} // closed when the next attempt ends
}

// Why a set has no keys though no attempt has failed.
var (
	errClosed = errors.New("it is closed")
	errOld    = errors.New("it was read too long ago")
)

func (r *remoteSet) run(ctx context.Context) {
	for failures := 0; ; {
		err := r.attempt(ctx)
		if ctx.Err() != nil {
			r.end(nil, errClosed)
			return
		}
		wait := r.o.every
		if failures++; err == nil {
			failures = 0
		} else {
			wait = r.o.pause(failures)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.wake:
		}
		timer.Stop()
	}
}

// pause is the back-off after so many failures, with jitter.
func (o *jwksOptions) pause(failures int) time.Duration {
	wait := min(o.most, o.first<<min(failures-1, 16))
	if wait <= 0 {
		return time.Second
	}
	return wait/2 + rand.N(wait/2+1) //nolint:gosec // it spreads load and guards nothing
}

func (r *remoteSet) attempt(ctx context.Context) error {
	r.mu.Lock()
	r.busy = true
	r.mu.Unlock()
	set, err := r.fetch(ctx)
	r.end(set, err)
	return err
}

// end records an attempt and tells who waits for it. What was asked for while it
// was under way it has answered.
func (r *remoteSet) end(set keySet, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried, r.failed, r.busy = time.Now(), err, false
	switch {
	case err == nil:
		r.set, r.loaded = set, r.tried
	case errors.Is(err, errClosed):
		r.set, r.loaded = nil, time.Time{}
	}
	select {
	case <-r.wake:
	default:
	}
	close(r.ended)
	r.ended = make(chan struct{})
}

func (r *remoteSet) fetch(ctx context.Context) (keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.address, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if fault, ok := errors.AsType[*url.Error](err); ok {
		return nil, fault.Err // without the URL
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, err
	}
	set, _, err := parseSet(text)
	return set, err
}

func (r *remoteSet) keys(ctx context.Context, kid string) ([]kest.PublicKey, error) {
	found, wait, err := r.look(kid, true)
	if wait == nil {
		return found, err
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, r.unavailable(ctx.Err())
	}
	found, _, err = r.look(kid, false)
	return found, err
}

// look answers from what is there, or says what to wait for.
func (r *remoteSet) look(kid string, mayWait bool) (found []kest.PublicKey, wait <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := !r.loaded.IsZero() && time.Since(r.loaded) <= r.o.keep
	if fresh {
		if found = r.set.get(kid); len(found) > 0 {
			return found, nil, nil
		}
	}
	closed := errors.Is(r.failed, errClosed)
	switch {
	case mayWait && r.busy && !closed:
		return nil, r.ended, nil
	case mayWait && time.Since(r.tried) >= r.o.again && !closed:
		select {
		case r.wake <- struct{}{}:
		default:
		}
		return nil, r.ended, nil
	case fresh && r.failed == nil:
		return nil, nil, nil
	}
	return nil, nil, r.unavailable(cmp.Or(r.failed, errOld))
}

func (r *remoteSet) unavailable(err error) error {
	return fmt.Errorf("keys: the JWKS of %s: %w: %w", r.name, kest.ErrUnavailable, err)
}
