package oidc_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"kest.example/kest/identityhost/oidc"
	"kest.example/kest/internal/issuertest"
	"kest.example/kest/internal/logtest"
	"kest.example/kest/internal/secretscan"
)

// Neither logs nor errors nor any way to print a provider show a token, the
// bearer token or the address that tokens come from.
func TestNothingShowsASecret(t *testing.T) {
	issuer, clock := issuertest.New(t), newClock()
	var log logtest.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	token := issuer.Sign(claims())
	path := tokenFile(t, token)
	address := issuer.Request() + "&code=address-secret"
	p := open(t, oidc.File(path), oidc.WithRequest(address, issuertest.Bearer), oidc.WithLogger(logger), oidc.WithClock(clock.now))
	static := open(t, oidc.File(path), oidc.WithLogger(logger), oidc.WithClock(clock.now))
	id := identity(t, p)
	unbound := *id
	unbound.Binding = "" // it is meant to be shown
	shown := []any{p, static, unbound, &unbound, *identity(t, static)}
	bind := func() {
		_, err := p.Bind(t.Context(), id.Key)
		shown = append(shown, err)
	}
	issuer.Answer(func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("Location", "http://127.0.0.1:1/"+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusFound)
		_, _ = w.Write([]byte(r.Header.Get("Authorization")))
	})
	bind()
	issuer.Answer(jsonToken(token))
	bind()
	issuer.Stop()
	bind()
	write(t, path, token[:len(token)-7]+"$")
	clock.pass(time.Second)
	identity(t, static)
	clock.pass(2 * time.Hour)
	for _, one := range []*oidc.Provider{p, static} {
		_, err := one.Identity(t.Context())
		shown = append(shown, err)
	}
	if log.Count("replaced") == 0 {
		t.Error("the bad replacement is not logged")
	}
	scan := secretscan.New()
	scan.AddToken("the token", token)
	scan.Add("the token's claims", []byte(strings.Split(token, ".")[1]))
	scan.Add("the bearer token", []byte(issuertest.Bearer))
	scan.Add("the address", []byte("address-secret"))
	for _, f := range scan.Scan("what shows", []byte(log.String()+secretscan.Printed(shown...))) {
		t.Error(f)
	}
}
