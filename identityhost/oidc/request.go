package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/internal/jwt"
	"kest.example/kest/internal/jcs"
)

const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 64 << 10
)

// requester asks for tokens. What it asks with may be secret, the address too:
// inside functions, since nothing prints what a function holds, while fmt passes
// over the methods of a member that would hide it.
type requester struct {
	address func() url.URL
	bearer  func() string
	client  *http.Client
}

func newRequester(address, bearer string) (*requester, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("oidc: tokens are requested from an https URL, or an http URL on loopback: %w", kest.ErrConfiguration)
	}
	if bearer == "" || strings.ContainsFunc(bearer, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, fmt.Errorf("oidc: a request for tokens needs a bearer token: %w", kest.ErrConfiguration)
	}
	u.Fragment = ""
	return &requester{address: func() url.URL { return *u }, bearer: func() string { return bearer }, client: &http.Client{
		Timeout: requestTimeout,
		// A redirect would take the bearer token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token asks for a token of one audience.
func (r *requester) token(ctx context.Context, audience string) (string, error) {
	u := r.address()
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", requestFailed("it can't be made", nil)
	}
	request.Header.Set("Authorization", "Bearer "+r.bearer())
	request.Header.Set("Accept", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return "", requestFailed("nobody answered", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", requestFailed("it was answered with "+strconv.Itoa(response.StatusCode), nil)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil || len(body) > maxAnswer {
		return "", requestFailed("the answer is cut off or too long", nil)
	}
	return tokenIn(body)
}

func requestFailed(detail string, err error) error {
	if err != nil {
		return fmt.Errorf("oidc: %w: %w: %s: %w", kest.ErrUnavailable, ErrRequest, detail, err)
	}
	return fmt.Errorf("oidc: %w: %w: %s", kest.ErrUnavailable, ErrRequest, detail)
}

// withoutURL takes the address out of an HTTP client's error.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// tokenIn finds the token in an answer: JSON with value, token or access_token,
// as CI systems and OAuth have it, or the token alone.
func tokenIn(body []byte) (string, error) {
	v, err := jcs.Parse(body)
	if err != nil {
		return strings.TrimSpace(string(body)), nil // whether it is one, Parse will say
	}
	for _, name := range [...]string{"value", "token", "access_token"} {
		if text := v.Get(name).Str(); text != "" {
			return text, nil
		}
	}
	return "", requestFailed("the answer holds no token", nil)
}

// bindByToken requests a token for a key, which binds it: form (b).
func (p *Provider) bindByToken(ctx context.Context, key kest.PublicKey) (*kest.Bound, error) {
	audience := key.ThumbprintURI()
	text, err := p.request.token(ctx, audience)
	if err != nil {
		return nil, err
	}
	t, s, err := p.read(ctx, text)
	if err != nil {
		return nil, err
	}
	if err := fits(t, audience); err != nil {
		return nil, refused(err)
	}
	if p.watch != nil {
		file, err := p.current(ctx)
		if err != nil {
			return nil, err
		}
		if file.workload() != s.workload() {
			return nil, refused(&jwt.Error{Reason: jwt.Issuer, Detail: "the requested token is another workload's than the one in the file"})
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = s
	return &kest.Bound{WorkloadID: s.workload(), Binding: text, InlineJWK: true, NotAfter: s.notAfter}, nil
}

// fits checks what verifiers want of a binding of form (b) (IDENTITY.md).
func fits(t *jwt.Token, audience string) error {
	if t.Type != "" && t.Type != "JWT" && t.Type != "JOSE" {
		return &jwt.Error{Reason: jwt.Type, Detail: "its typ is neither JWT nor JOSE: it binds no key"}
	}
	audiences, err := t.Audiences()
	if err != nil {
		return err
	}
	if !slices.Equal(audiences, []string{audience}) {
		return &jwt.Error{Reason: jwt.Audience, Detail: "its audience is not the key it was requested for"}
	}
	life, err := t.Life()
	if err == nil && life > BindingTTL {
		err = &jwt.Error{Reason: jwt.Malformed, Detail: "its exp lies more than an hour after its iat: verifiers refuse it"}
	}
	return err
}
