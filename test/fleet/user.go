package fleet

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/jws"
)

// JWT is what a surface checks bearer tokens by: Envoy's jwt_authn with
// payload_in_metadata "payload", or the Go host's check.
type JWT struct {
	Issuer, Audience string
	JWKS             string
}

// Issuer signs tokens.
type Issuer struct {
	JWT
	key ed25519.PrivateKey
}

// NewIssuer makes an issuer with one Ed25519 key.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Issuer{JWT{
		Issuer: "https://issuer.example.org", Audience: "orders",
		JWKS: `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","alg":"EdDSA","use":"sig","x":"` + jws.Encode(public) + `"}]}`,
	}, private}
}

// Token returns an authorization header of claims, beside iss, aud and exp.
func (i *Issuer) Token(t testing.TB, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": i.Issuer, "aud": i.Audience, "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	input := jws.Encode([]byte(`{"alg":"EdDSA","kid":"one","typ":"JWT"}`)) + "." + jws.Encode(payload)
	return "Bearer " + input + "." + jws.Encode(ed25519.Sign(i.key, []byte(input)))
}

const userConfig = `{
	"workload": "spiffe://example.org/orders", "identity": {"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"},
	"insecure_trust_all_claims": true, "user": {"required": REQUIRED},
	"policies": {"cedar": {"no-mallory": "permit(principal, action, resource) unless { context has user && context.user == \"mallory\" };"}},
	"routes": [{"match": {"path": "/orders/{id}"}, "operation": "orders.read", "policies": ["no-mallory"], "root": {"origin": "user_input"}}]}`

// RunUser runs what must hold of users whose token the host has checked.
func RunUser(t *testing.T, s Surface) {
	issuer := NewIssuer(t)
	backend := NewBackend(t)
	begin := func(required string) *Gateway {
		return s.Start(t, Setup{
			Guest: "policy.wasm", Config: strings.Replace(userConfig, "REQUIRED", required, 1), Backend: backend, JWT: &issuer.JWT,
		})
	}
	open, closed := begin("false"), begin("true")
	t.Run("required", func(t *testing.T) {
		closed.want(t, 401, "no token")
		closed.want(t, 200, "a token", "Authorization", issuer.Token(t, map[string]any{"sub": "alice"}))
		if n, _ := backend.Visits(); n != 1 {
			t.Errorf("%d requests reached the upstream", n)
		}
	})
	t.Run("invalid", func(t *testing.T) {
		token := issuer.Token(t, map[string]any{"sub": "alice"})
		before, _ := backend.Visits()
		for _, bad := range []string{token[:len(token)-4] + "AAAA", issuer.Token(t, map[string]any{"exp": 1}), issuer.Token(t, map[string]any{"aud": "stock"})} {
			if status, _ := open.GetAny(t, "/orders/7", "Authorization", bad); status != 401 && status != 403 {
				t.Errorf("%d", status)
			}
		}
		if after, _ := backend.Visits(); after != before {
			t.Error("an invalid token reached the upstream")
		}
	})
	for name, c := range map[string]struct {
		claims map[string]any
		want   kest.Actor
		act    string
	}{
		"all three":           {map[string]any{"sub": "alice", "client_id": "shop", "scope": "orders.read"}, kest.Actor{User: "alice", Agent: "shop", Task: "orders.read"}, ""},
		"sub alone":           {map[string]any{"sub": "alice"}, kest.Actor{User: "alice"}, ""},
		"azp":                 {map[string]any{"sub": "alice", "azp": "shop"}, kest.Actor{User: "alice", Agent: "shop"}, ""},
		"other than text":     {map[string]any{"sub": "alice", "client_id": []string{"shop"}, "azp": 7, "scope": true}, kest.Actor{User: "alice"}, ""},
		"null":                {map[string]any{"sub": "alice", "client_id": nil, "extra": map[string]any{"deep": nil}}, kest.Actor{User: "alice"}, ""},
		"nobody":              {map[string]any{"extra": nil}, kest.Actor{}, ""},
		"an actor":            {map[string]any{"sub": "alice", "client_id": "shop", "act": map[string]any{"sub": "bot"}}, kest.Actor{User: "alice", Agent: "bot"}, ""},
		"a chain of actors":   {map[string]any{"sub": "alice", "act": map[string]any{"sub": "bot", "act": map[string]any{"sub": "planner", "act": map[string]any{"sub": "tool"}}}}, kest.Actor{User: "alice", Agent: "bot"}, `["bot","planner","tool"]`},
		"beyond ASCII":        {map[string]any{"sub": "Zoë Ångström"}, kest.Actor{User: "Zoë Ångström"}, ""},
		"what policies allow": {map[string]any{"sub": "alice\" or true"}, kest.Actor{User: "alice\" or true"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			// What the baggage says counts no longer beside a token.
			open.want(t, 200, name, "Authorization", issuer.Token(t, c.claims), "Baggage", "kest.user=mallory,kest.agent=evil,kest.task=steal")
			_, headers := backend.Visits()
			in, err := baggage.Parse(headers, baggage.ReadOptions{})
			if err != nil || in.Passport.Len() != 1 {
				t.Fatalf("%q: %v", headers, err)
			}
			e, err := kest.ParseEvidence(in.Passport.Entries()[0], kest.SchemaStrict)
			if err != nil {
				t.Fatal(err)
			}
			if have := e.Entry.Actor(); have != c.want || e.Entry.Labels[kest.LabelAct] != c.act {
				t.Errorf("signed %+v %q, want %+v %q", have, e.Entry.Labels[kest.LabelAct], c.want, c.act)
			}
			if in.Actor != c.want {
				t.Errorf("the baggage says %+v", in.Actor)
			}
		})
	}
	t.Run("policies see the user", func(t *testing.T) {
		open.want(t, 403, "mallory", "Authorization", issuer.Token(t, map[string]any{"sub": "mallory"}))
		open.want(t, 200, "nobody, whatever baggage says", "Baggage", "kest.user=mallory")
	})
}
