package oidc_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"kest.example/kest/identityhost/oidc"
	"kest.example/kest/internal/issuertest"
)

// Neither logs nor errors nor any way to print a provider show a token, the
// bearer token or the address that tokens come from.
func TestNothingShowsASecret(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	var seen bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&seen, nil))
	token := issuer.Sign(claims())
	path := tokenFile(t, token)
	address := issuer.Request() + "&code=address-secret"
	p := open(t, oidc.File(path), oidc.WithRequest(address, issuertest.Bearer), oidc.WithLogger(logger), oidc.WithClock(clock.now))
	static := open(t, oidc.File(path), oidc.WithLogger(logger), oidc.WithClock(clock.now))
	id := identity(t, p)
	identity(t, static)
	issuer.Answer(func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("Location", "http://127.0.0.1:1/"+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusFound)
		_, _ = w.Write([]byte(r.Header.Get("Authorization")))
	})
	_, err := p.Bind(t.Context(), id.Key)
	fmt.Fprintln(&seen, err)
	issuer.Answer(jsonToken(token))
	_, err = p.Bind(t.Context(), id.Key)
	fmt.Fprintln(&seen, err)
	issuer.Stop()
	_, err = p.Bind(t.Context(), id.Key)
	fmt.Fprintln(&seen, err)
	write(t, path, token[:len(token)-7]+"$")
	clock.pass(time.Second)
	identity(t, static)
	clock.pass(2 * time.Hour)
	for _, one := range []*oidc.Provider{p, static} {
		_, err = one.Identity(t.Context())
		fmt.Fprintln(&seen, err)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&seen, verb+"\n", one)
			fmt.Fprintf(&seen, verb+"\n", *id)
		}
		logger.Info("p", "provider", one)
		text, err := json.Marshal(map[string]any{"p": one})
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(text)
	}
	if !strings.Contains(seen.String(), "replaced") {
		t.Error("the bad replacement is not logged")
	}
	parts := strings.Split(token, ".")
	shown := strings.ReplaceAll(seen.String(), id.Binding, "") // it is meant to be shown
	for _, secret := range []string{issuertest.Bearer, "address-secret", parts[1], parts[2][:40], fmt.Sprintf("%x", issuertest.Bearer)} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
}
