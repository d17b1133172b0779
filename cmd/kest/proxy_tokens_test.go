package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/issuertest"
)

// userConfig is a filter that knows users by their tokens.
func userConfig(required string) string {
	return strings.Replace(agentConfig(), `"keys":`, `"user": {"required": `+required+`}, "keys":`, 1)
}

func tokenFlags(jwks string) []string {
	return []string{"--identity", "local", "--jwt-issuer", issuertest.Name, "--jwt-audience", "kest", "--jwt-jwks", jwks}
}

// jwksFile is a set of keys in a file.
func jwksFile(t *testing.T, keys ...*issuertest.Key) string {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.JWK())
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "jwks.json", string(text))
}

// What a token says is signed; a bad one is refused even where none is required,
// and nothing of it is logged.
func TestProxyChecksTokens(t *testing.T) {
	issuer, stranger := issuertest.New(t), issuertest.NewKey(t, "ES256", "k1")
	good := issuer.Sign(issuertest.Claims("alice", "client_id", "shop", "scope", "orders.read"))
	bad := map[string]string{
		"another audience": issuer.Sign(issuertest.Claims("alice", "aud", "stock")),
		"another issuer":   issuer.Sign(issuertest.Claims("alice", "iss", "https://other.example")),
		"expired":          issuer.Sign(issuertest.Claims("alice", "exp", time.Now().Add(-time.Minute).Unix())),
		"a stranger's key": stranger.Sign(nil, issuertest.Claims("alice")),
		"no token":         "x",
	}
	for name, c := range map[string]struct {
		required, jwks string
		without        int // the status without a token
	}{
		"required, keys of a URL":      {"true", issuer.JWKS(), 401},
		"not required, keys of a file": {"false", jwksFile(t, issuer.Default), 202},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t)
			p := startProxyIn(t, agentEnv(""), userConfig(c.required), append(tokenFlags(c.jwks), "--upstream", u.URL)...)
			url := "http://" + p.address + "/orders/7"
			for what, token := range bad {
				answer, body := fetch(t, http.MethodGet, url, "Authorization", "Bearer "+token)
				if t.Log(what); answer.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("no WWW-Authenticate: %v", answer.Header)
				}
				checkRefusal(t, answer, body, http.StatusUnauthorized)
			}
			if n := len(u.requests()); n != 0 {
				t.Fatalf("%d requests with a bad token reached the upstream", n)
			}
			wantStatus(t, c.without, url)
			answer, body := fetch(t, http.MethodGet, url, "Authorization", "Bearer "+good, "Baggage", "kest.user=mallory")
			if answer.StatusCode != 202 {
				t.Fatalf("a good token: %d %s\n%s", answer.StatusCode, body, p.lines())
			}
			_, entries := u.arrived(t)
			if want := (kest.Actor{User: "alice", Agent: "shop", Task: "orders.read"}); len(entries) != 1 || entries[0].Actor() != want {
				t.Errorf("signed %+v", entries)
			}
			_, log := p.stop(t)
			for what, token := range bad {
				if what != "no token" && strings.Contains(log, strings.Split(token, ".")[2]) {
					t.Errorf("%s: the token is in the log", what)
				}
			}
			if strings.Contains(log, strings.Split(good, ".")[2]) {
				t.Error("the good token is in the log")
			}
		})
	}
}

// A server of keys that is away is no fault of the token's.
func TestProxyBeforeTheIssuer(t *testing.T) {
	issuer := issuertest.New(t)
	issuer.Stop()
	u := newUpstream(t)
	p := startProxyIn(t, agentEnv(""), userConfig("true"), append(tokenFlags(issuer.JWKS()), "--upstream", u.URL)...)
	url, token := "http://"+p.address+"/orders/7", "Bearer "+issuer.Sign(issuertest.Claims("alice"))
	answer, body := fetch(t, http.MethodGet, url, "Authorization", token)
	checkRefusal(t, answer, body, http.StatusServiceUnavailable)
	wantStatus(t, 401, url)
	issuer.Start(t)
	eventually(t, "the token is taken", func() bool {
		answer, _ := fetch(t, http.MethodGet, url, "Authorization", token)
		return answer.StatusCode == 202
	})
}

func TestProxyTokenMisuse(t *testing.T) {
	identityEnv(t, nil)
	issuer := issuertest.NewKey(t, "ES256", "k1")
	jwks := jwksFile(t, issuer)
	for text, args := range map[string][]string{
		"go together":  {"--jwt-issuer", issuertest.Name},
		"go together.": {"--jwt-issuer", issuertest.Name, "--jwt-jwks", jwks},
		"no such file": {"--jwt-issuer", issuertest.Name, "--jwt-audience", "kest", "--jwt-jwks", "no/such/file"},
		"--jwt-jwks":   {"--jwt-issuer", issuertest.Name, "--jwt-audience", "kest", "--jwt-jwks", "http://keys.example.org/jwks"},
	} {
		kestRun(t, "", proxyArgs(t, userConfig("true"), append(args, "--upstream", "http://127.0.0.1:9")...)...).refused(t, strings.TrimSuffix(text, "."))
	}
}
