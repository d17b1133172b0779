package secrets

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/forge"
	"kest.example/kest/internal/kestcmd"
	"kest.example/kest/internal/uuid7"
	"kest.example/kest/test/fleet"
)

// Visitor is who sends requests: a user's tokens, and a workload upstream.
type Visitor struct {
	Users *fleet.Issuer
	Peer  *fleet.Workload
}

// token is a user's token, kept as a secret.
func (w *World) token(v Visitor, claims map[string]any) string {
	return w.Token(fmt.Sprintf("a user's token of %v", claims), v.Users.Token(w.t, claims))
}

// Traffic sends good requests and bad ones, and returns how many got which status.
func (w *World) Traffic(g *fleet.Gateway, v Visitor) map[int]int {
	w.t.Helper()
	statuses := make(map[int]int)
	send := func(path string, headers ...string) {
		w.t.Helper()
		statuses[w.Send(g.Client, http.MethodGet, g.URL+path, "", headers...)]++
	}
	session := v.Peer.Session()
	w.Keep("the passport of "+v.Peer.ID, []byte(session.Binding))
	good := w.token(v, map[string]any{"sub": "alice", "client_id": "shop"})
	jwt := strings.TrimPrefix(good, "Bearer ")

	send("/orders/7")
	send("/orders/7", "Authorization", good, "Baggage", fleet.Root(w.t, session))
	send("/nowhere", "Authorization", good)
	for _, authorization := range []string{
		w.Token("a token whose signature is wrong", good[:len(good)-8]+"AAAAAAAA"),
		w.token(v, map[string]any{"sub": "alice", "exp": 1}), w.token(v, map[string]any{"aud": "others"}),
		w.token(v, map[string]any{"iss": "https://elsewhere.example"}), w.token(v, map[string]any{"sub": "mallory"}),
		"Basic " + jwt, "Bearer " + jwt + "." + jwt, "bearer  " + jwt, "Bearer " + jwt + "$",
	} {
		send("/orders/7", "Authorization", authorization)
	}
	send("/orders/7", "Authorization", good, "Authorization", good)
	send("/orders/7", "Cookie", "token="+jwt)
	escaped := url.QueryEscape(jwt)
	for _, baggage := range []string{ // a token where none belongs
		"kest.passport=" + escaped, "kest.passport=" + url.QueryEscape(`["`+jwt+`"]`), "kest.chain_tip=" + escaped,
		"kest.claim_check=" + escaped, "kest.passport_z=" + escaped, "kest.passport=%" + jwt, "kest.jwt=" + escaped,
	} {
		send("/orders/7", "Baggage", baggage)
	}
	send("/orders/7", "Traceparent", jwt)
	forged := fleet.Entry(w.t, session, "spiffe://example.org/somebody")
	replayed := *v.Peer.Session()
	replayed.Binding = session.Binding
	for _, baggage := range []string{
		fleet.Baggage(forged), fleet.Root(w.t, &replayed), fleet.Baggage(session.Binding),
		forge.Header(forge.Trust(forge.Entries(fleet.Root(w.t, session)), 0)),
	} {
		send("/orders/7", "Baggage", baggage)
	}
	return statuses
}

// Visit is Traffic that fails where there is no answer of each status.
func (w *World) Visit(what string, g *fleet.Gateway, v Visitor, want ...int) {
	w.t.Helper()
	statuses := w.Traffic(g, v)
	for _, status := range want {
		if statuses[status] == 0 {
			w.t.Errorf("%s: no %d among %v", what, status, statuses)
		}
	}
}

// Requests to an agent: good ones, and such that hold secrets where they are wrong.
// What it is asked in is the headers of a good one.
func (w *World) Requests(address string, headers ...string) {
	w.t.Helper()
	c := kestcmd.Client(w.t, address)
	send := func(method, path, body string, headers ...string) int {
		return w.Send(c, method, "http://agent"+path, body, headers...)
	}
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	keyID, proof := w.proof(seed)
	if send("POST", "/v1/sessions", proof, headers...) == http.StatusOK { // the log tells the kid
		w.plants = append(w.plants, plant{"the private key of " + keyID, spell(seed)})
	}
	send("POST", "/v1/sessions", proof+"A", headers...)
	send("POST", "/v1/sessions", proof)
	name := "a secret in a request to an agent"
	secret := w.Fresh(name)
	for _, authorization := range []string{"Bearer " + secret, "Basic " + secret, secret, "Bearer " + secret + " " + secret} {
		send("POST", "/v1/sessions", proof, "Authorization", authorization)
	}
	private := `{"kty":"OKP","crv":"Ed25519","x":"AA","d":"` + base64.RawURLEncoding.EncodeToString(seed) + `"}`
	leaky := encode(`{"alg":"EdDSA","jwk":`+private+`,"typ":"kest-session+jws"}`) + "." + encode(`{"aud":"kest-agent","jti":"x"}`) + ".AAAA"
	id, err := uuid7.NewV4(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range [][3]string{
		{"POST", "/v1/sessions", leaky},
		{"POST", "/v1/sessions", secret},
		{"POST", "/v1/keys", `{"principal":"p","binding":"a.b.c","jwk":` + private + `}`},
		{"POST", "/v1/keys", `{"principal":"p","d":"` + secret + `"}`},
		{"POST", "/v1/keys", `{"principal":"` + secret + `","binding":"` + leaky + `"}`},
		{"POST", "/v1/traces", secret},
		{"GET", "/v1/keys/" + secret + "?principal=p", ""},
		{"GET", "/v1/keys/x?principal=" + secret, ""},
		{"PUT", "/v1/claims/" + secret, `["a"]`},
		{"PUT", "/v1/claims/" + id + "?ttl=" + secret, `["a"]`},
		{"PUT", "/v1/claims/" + id, private},
		{"PUT", "/v1/claims/" + id, `["a"]`},
		{"GET", "/v1/claims/" + id + "?token=" + secret, ""},
		{"GET", "/" + secret, ""},
		{secret, "/v1/sessions", ""},
	} {
		send(r[0], r[1], r[2], headers...)
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// proof is that of a new session key, which the search must find by its kid alone.
func (w *World) proof(seed []byte) (keyID, proof string) {
	w.t.Helper()
	id, err := kest.SeedIdentity("unbound", seed)
	if err != nil {
		w.t.Fatal(err)
	}
	proof, err = id.ProveKey(context.Background(), rand.Text(), time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return id.Key.Thumbprint(), proof
}
