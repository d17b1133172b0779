package oidc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/oidc"
	"kest.example/kest/internal/issuertest"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
	"kest.example/kest/keys"
)

// verify holds a binding against a verifier that lists the signer for this
// issuer's workloads.
func verify(t *testing.T, bound *kest.Bound, key kest.PublicKey, signer keys.Signer) {
	t.Helper()
	signer.Principals = []kest.Pattern{issuertest.Name + "#*"}
	v := keys.NewVerifier(keys.WithSigners(signer))
	beside := kest.PublicKey{}
	if bound.InlineJWK {
		beside = key
	}
	found, err := v.Binding(t.Context(), bound.WorkloadID, bound.Binding, beside)
	if err != nil {
		t.Fatalf("a verifier refuses the binding: %v", err)
	}
	if found.Public.Thumbprint() != key.Thumbprint() || !found.NotAfter.Equal(bound.NotAfter.Truncate(time.Second)) {
		t.Errorf("bound is %s until %v, not until %v", found.Public.Thumbprint(), found.NotAfter, bound.NotAfter)
	}
	if _, err := v.Binding(t.Context(), "https://other.example.org#orders", bound.Binding, beside); err == nil {
		t.Error("the binding holds for another workload")
	}
}

func TestBindUnderTheLocalKey(t *testing.T) {
	issuer := issuertest.New(t)
	end := time.Now().Add(10 * time.Minute).Unix()
	p := open(t, oidc.File(tokenFile(t, issuer.Sign(claims("exp", end)))))
	key := sessionKey(t).Key
	bound, err := p.Bind(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if bound.WorkloadID != workload || bound.InlineJWK || bound.NotAfter.Unix() != end {
		t.Errorf("%+v", bound)
	}
	verify(t, bound, key, keys.Signer{Keys: []kest.PublicKey{identity(t, p).Key}})
	if !strings.Contains(p.Describe(), "static key") {
		t.Error(p.Describe())
	}
}

func TestBindUnderAKeyInKMS(t *testing.T) {
	issuer, kms := issuertest.New(t), newKMSKey(t)
	for name, life := range map[string]time.Duration{"the token ends first": 10 * time.Minute, "the binding ends first": 9 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			end := time.Now().Add(life)
			p := open(t, oidc.File(tokenFile(t, issuer.Sign(claims("exp", end.Unix())))), oidc.WithKMS(kms.lookUp))
			kesttest.TestProvider(t, p)
			id := identity(t, p)
			if id.WorkloadID != workload || id.Key.Algorithm() != "ES256" || id.BindingKeyID != keyARN || id.NotAfter.Unix() != end.Unix() {
				t.Errorf("%+v", id)
			}
			key := sessionKey(t).Key
			bound, err := p.Bind(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if hour := time.Now().Add(time.Hour); bound.NotAfter.After(hour) || bound.NotAfter.After(end) {
				t.Errorf("bound until %v", bound.NotAfter)
			}
			verify(t, bound, key, keys.Signer{Keys: []kest.PublicKey{kms.public}})
			m, err := jws.Parse(bound.Binding, kest.TypeBinding)
			if err != nil || m.Header.KeyID != keyARN {
				t.Errorf("kid %q: %v", m.Header.KeyID, err)
			}
			if !strings.Contains(p.Describe(), "KMS") {
				t.Error(p.Describe())
			}
		})
	}
}

// KMS may be late: it is asked again at the next use.
func TestKMSIsAway(t *testing.T) {
	issuer, kms := issuertest.New(t), newKMSKey(t)
	away := errors.New("throttled")
	p := open(t, oidc.File(tokenFile(t, issuer.Sign(claims()))), oidc.WithKMS(func(ctx context.Context) (kest.PublicKey, kest.Signer, string, error) {
		if away != nil {
			return kest.PublicKey{}, nil, "", away
		}
		return kms.lookUp(ctx)
	}))
	wantFailure(t, p, away)
	away = nil
	identity(t, p)
	nothing := open(t, oidc.File(tokenFile(t, issuer.Sign(claims()))), oidc.WithKMS(func(context.Context) (kest.PublicKey, kest.Signer, string, error) {
		return kest.PublicKey{}, nil, "", nil
	}))
	wantFailure(t, nothing, nil)
}

func requesting(t *testing.T, issuer *issuertest.Issuer, source oidc.Source, opts ...oidc.Option) *oidc.Provider {
	t.Helper()
	return open(t, source, append(opts, oidc.WithRequest(issuer.Request(), issuertest.Bearer))...)
}

func TestBindByARequestedToken(t *testing.T) {
	issuer := issuertest.New(t)
	file := oidc.File(tokenFile(t, issuer.Sign(claims())))
	token := func(audience string) string { return issuer.Sign(claims("aud", audience)) }
	for name, answer := range map[string]func(w io.Writer, audience string){
		"value":           func(w io.Writer, a string) { _, _ = fmt.Fprintf(w, `{"count":1,"value":%q}`, token(a)) },
		"token":           func(w io.Writer, a string) { _, _ = fmt.Fprintf(w, `{"token":%q}`, token(a)) },
		"access_token":    func(w io.Writer, a string) { _, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":60}`, token(a)) },
		"the token alone": func(w io.Writer, a string) { _, _ = io.WriteString(w, token(a)+"\n") },
		"an aud in a list": func(w io.Writer, a string) {
			_, _ = fmt.Fprintf(w, `{"value":%q}`, issuer.Sign(claims("aud", []string{a})))
		},
		"a token typed JOSE": func(w io.Writer, a string) {
			_, _ = fmt.Fprintf(w, `{"value":%q}`, issuer.Default.Sign(map[string]any{"typ": "JOSE"}, claims("aud", a)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer.Answer(func(w http.ResponseWriter, _ *http.Request, audience string) { answer(w, audience) })
			p := requesting(t, issuer, file, oidc.WithKeys(jwks(t, issuer)))
			key := sessionKey(t).Key
			bound, err := p.Bind(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if bound.WorkloadID != workload || !bound.InlineJWK {
				t.Errorf("%+v", bound)
			}
			verify(t, bound, key, keys.Signer{Issuer: issuertest.Name, JWKS: jwks(t, issuer)})
			all := issuer.Requests()
			last := all[len(all)-1]
			if last.Method != http.MethodGet || last.URL.Query().Get("audience") != key.ThumbprintURI() || last.URL.Query().Get("api-version") != "2" {
				t.Errorf("%s %s", last.Method, last.URL)
			}
		})
	}
}

// The provider's own key is bound by a requested token too: entries under it
// verify, and so do those of a session.
func TestIdentityOfARequestedToken(t *testing.T) {
	issuer := issuertest.New(t)
	for name, source := range map[string]oidc.Source{"with a file": oidc.File(tokenFile(t, issuer.Sign(claims()))), "without": nil} {
		t.Run(name, func(t *testing.T) {
			p := requesting(t, issuer, source)
			kesttest.TestProvider(t, p)
			id := identity(t, p)
			if id.WorkloadID != workload || id.Key.Algorithm() != "EdDSA" || !id.InlineJWK || id.NotAfter.IsZero() {
				t.Errorf("%+v", id)
			}
			if p.Issuer() != issuertest.Name || p.Subject() != "orders" || !strings.Contains(p.Describe(), "requested") {
				t.Errorf("%q, %q, %s", p.Issuer(), p.Subject(), p.Describe())
			}
			session := identity(t, kest.NewSession(p, nil))
			if session.Binding == "" || session.Key == id.Key {
				t.Errorf("%+v", session)
			}
			before := len(issuer.Requests())
			for range 100 {
				identity(t, p)
			}
			if n := len(issuer.Requests()) - before; n != 0 {
				t.Errorf("100 identities caused %d requests", n)
			}
		})
	}
}

// jsonToken answers a request with a token.
func jsonToken(text string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		_ = json.NewEncoder(w).Encode(map[string]string{"value": text})
	}
}

func TestRequestsThatFail(t *testing.T) {
	issuer := issuertest.New(t)
	elsewhere := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere <- r.Header.Get("Authorization") }))
	defer other.Close()
	now := time.Now().Unix()
	signed := func(changes ...any) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, r *http.Request, audience string) {
			jsonToken(issuer.Sign(claims(append([]any{"aud", audience}, changes...)...)))(w, r, audience)
		}
	}
	key := sessionKey(t).Key
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, audience string)
		cause  error
	}{
		"an error that quotes the request": {func(w http.ResponseWriter, r *http.Request, _ string) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusInternalServerError)
		}, oidc.ErrRequest},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(http.StatusForbidden) }, oidc.ErrRequest},
		"accepted":  {func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(http.StatusAccepted) }, oidc.ErrRequest},
		"a redirect": {func(w http.ResponseWriter, r *http.Request, _ string) {
			http.Redirect(w, r, other.URL, http.StatusFound)
		}, oidc.ErrRequest},
		"a connection that breaks": {func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, oidc.ErrRequest},
		"too much": {func(w http.ResponseWriter, _ *http.Request, _ string) {
			_, _ = io.WriteString(w, strings.Repeat("x", 65<<10))
		}, oidc.ErrRequest},
		"no token in JSON": {func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = io.WriteString(w, `{"value":7}`) }, oidc.ErrRequest},
		"no token": {func(w http.ResponseWriter, _ *http.Request, _ string) {
			_, _ = io.WriteString(w, `<html>sign in</html>`)
		}, oidc.ErrToken},
		"another audience":      {signed("aud", "kest"), oidc.ErrToken},
		"one audience too many": {signed("aud", []string{key.ThumbprintURI(), "kest"}), oidc.ErrToken},
		"no audience":           {signed("aud", nil), oidc.ErrToken},
		"another workload":      {signed("sub", "refunds"), oidc.ErrToken},
		"another issuer":        {signed("iss", "https://other"), oidc.ErrToken},
		"expired":               {signed("exp", now-1), oidc.ErrExpired},
		"no iat":                {signed("iat", nil), oidc.ErrToken},
		"longer than an hour":   {signed("iat", now, "exp", now+3601), oidc.ErrToken},
		"an access token": {func(w http.ResponseWriter, r *http.Request, audience string) {
			jsonToken(issuer.Default.Sign(map[string]any{"typ": "at+jwt"}, claims("aud", audience)))(w, r, audience)
		}, oidc.ErrToken},
		"a stranger's": {func(w http.ResponseWriter, r *http.Request, audience string) {
			jsonToken(issuertest.NewKey(t, "ES256", "k1").Sign(nil, claims("aud", audience)))(w, r, audience)
		}, oidc.ErrToken},
	} {
		t.Run(name, func(t *testing.T) {
			issuer.Answer(c.answer)
			p := requesting(t, issuer, oidc.File(tokenFile(t, issuer.Sign(claims()))), oidc.WithKeys(jwks(t, issuer)))
			bound, err := p.Bind(t.Context(), key)
			if bound != nil || !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, c.cause) {
				t.Errorf("%v, want %v", err, c.cause)
			}
			if id, err := p.Identity(t.Context()); id != nil || !errors.Is(err, kest.ErrUnavailable) || !errors.Is(err, c.cause) {
				t.Errorf("Identity: %v, want %v", err, c.cause)
			}
			issuer.Answer(nil) // it recovers without a restart
			identity(t, p)
		})
	}
	if len(elsewhere) > 0 {
		t.Errorf("the bearer token went elsewhere: %q", <-elsewhere)
	}
}

func TestNobodyAnswersTheRequest(t *testing.T) {
	issuer := issuertest.New(t)
	p := requesting(t, issuer, nil)
	issuer.Stop()
	wantFailure(t, p, oidc.ErrRequest)
	kesttest.TestProviderNotReady(t, p)
	issuer.Start(t)
	identity(t, p)
}

// An issuer on https is asked through the caller's transport, and one whose
// certificate nobody vouches for is not asked.
func TestRequestsOverTLS(t *testing.T) {
	issuer := issuertest.New(t)
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		jsonToken(issuer.Sign(claims("aud", r.URL.Query().Get("audience"))))(w, r, "")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	request := oidc.WithRequest(server.URL, issuertest.Bearer)
	wantFailure(t, open(t, nil, request), oidc.ErrRequest)
	if asked != 0 {
		t.Error("the bearer token went to a stranger")
	}
	if id := identity(t, open(t, nil, request, oidc.WithTransport(server.Client().Transport))); id.WorkloadID != workload {
		t.Error(id.WorkloadID)
	}
}

// The token in the file says who we are: when it has ended, requested ones
// don't help.
func TestTheFileCountsBesideRequests(t *testing.T) {
	issuer := issuertest.New(t)
	wantFailure(t, requesting(t, issuer, oidc.File(tokenFile(t, issuer.Sign(claims("exp", 1))))), oidc.ErrExpired)
}

func TestConfigurations(t *testing.T) {
	issuer, kms := issuertest.New(t), newKMSKey(t)
	file := oidc.File("token")
	const secret = "hunter2hunter2"
	for name, f := range map[string]func() (*oidc.Provider, error){
		"nothing":         func() (*oidc.Provider, error) { return oidc.Open(nil) },
		"a key and no id": func() (*oidc.Provider, error) { return oidc.Open(nil, oidc.WithKMS(kms.lookUp)) },
		"KMS and requests": func() (*oidc.Provider, error) {
			return oidc.Open(file, oidc.WithKMS(kms.lookUp), oidc.WithRequest(issuer.Request(), secret))
		},
		"no KMS":    func() (*oidc.Provider, error) { return oidc.Open(file, oidc.WithKMS(nil)) },
		"no keys":   func() (*oidc.Provider, error) { return oidc.Open(file, oidc.WithKeys(nil)) },
		"no bearer": func() (*oidc.Provider, error) { return oidc.Open(file, oidc.WithRequest(issuer.Request(), "")) },
		"bearer of lines": func() (*oidc.Provider, error) {
			return oidc.Open(file, oidc.WithRequest(issuer.Request(), secret+"\r\nx: y"))
		},
		"plain http": func() (*oidc.Provider, error) {
			return oidc.Open(file, oidc.WithRequest("http://issuer.example.org/"+secret, secret))
		},
		"no URL": func() (*oidc.Provider, error) {
			return oidc.Open(file, oidc.WithRequest("https://[::1/"+secret, secret))
		},
		"another scheme": func() (*oidc.Provider, error) {
			return oidc.Open(file, oidc.WithRequest("ftp://127.0.0.1/"+secret, secret))
		},
		"a path": func() (*oidc.Provider, error) { return oidc.Open(file, oidc.WithRequest("/"+secret, secret)) },
		"a user": func() (*oidc.Provider, error) {
			return oidc.Open(file, oidc.WithRequest("https://u:"+secret+"@example.org", secret))
		},
	} {
		p, err := f()
		if p != nil || !errors.Is(err, kest.ErrConfiguration) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
