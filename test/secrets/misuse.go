package secrets

import (
	"encoding/base64"
	"fmt"
	"strings"

	"kest.example/kest/internal/jws"
	"kest.example/kest/internal/kestcmd"
	"kest.example/kest/test/fleet"
)

// Misuse runs commands whose input has secrets and faults at once: what they say
// of the fault must not tell the secret. None of them may be content.
func (w *World) Misuse() {
	w.t.Helper()
	running := make(map[string]*kestcmd.Process)
	for name, args := range w.misuses() {
		env := []string{"KEST_WORKLOAD=spiffe://example.org/orders"}
		for len(args) > 0 && strings.Contains(args[0], "=") {
			env, args = append(env, args[0]), args[1:]
		}
		running[name] = w.Start("misuse-"+strings.ReplaceAll(name, " ", "-"), env, args...)
	}
	for name, p := range running {
		if code := p.Wait(); code != 1 && code != 2 {
			w.t.Errorf("%s: exit %d", name, code)
		}
	}
}

// misuses are command lines, with variables before them.
func (w *World) misuses() map[string][]string {
	seed, password, bearer := w.Seed("a seed in a bad configuration"), w.Fresh("a password of a Redis in a bad URL"), w.Fresh("a bearer token of requests")
	token, access := w.Fresh("an agent's token in a bad file"), w.Fresh("an AWS secret access key in a bad file")
	private := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q,"d":%q}`, jws.Encode(make([]byte, 32)), seed)
	keysFile := w.Input("private-keys.json", `{"spiffe://example.org/orders":`+private+`}`)
	jwks := w.Input("private-jwks.json", `{"keys":[`+private+`]}`)
	oidc := w.Token("a token in a bad file", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0."+base64.RawURLEncoding.EncodeToString([]byte(seed)))
	list := map[string][]string{
		"keys":      {"verify", "--keys", keysFile, w.Input("passport.json", `["a.b.c"]`)},
		"trusted":   {"agent", "--identity", "local", "--keys", keysFile},
		"jwt keys":  {"proxy", "--wasm", w.Input("wasm", ""), "--config", w.Input("c.json", "{}"), "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--jwt-issuer", "i", "--jwt-audience", "a", "--jwt-jwks", jwks},
		"tls":       {"proxy", "--wasm", w.Input("wasm", ""), "--config", w.Input("c.json", "{}"), "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--tls-cert", keysFile, "--tls-key", keysFile},
		"two words": {"agent", "--identity", "local", "--listen", "127.0.0.1:0", "--token-file", w.Input("two", token+" "+token)},
		"shared credentials": {
			"AWS_SHARED_CREDENTIALS_FILE=" + w.Input("credentials", "[default]\naws_secret_access_key = "+access+"\n"), "KEST_AWS_KMS_KEY_ID=alias/a", "AWS_REGION=eu-central-1",
			"AWS_EC2_METADATA_DISABLED=true", "identity", "--identity", "kms",
		},
		"token":       {"KEST_OIDC_TOKEN=" + oidc + "$", "identity", "--identity", "oidc"},
		"token keys":  {"KEST_OIDC_TOKEN=" + oidc, "KEST_OIDC_JWKS=" + jwks, "identity", "--identity", "oidc"},
		"request":     {"KEST_OIDC_REQUEST_URL=http://user:" + bearer + "@example.org", "KEST_OIDC_REQUEST_TOKEN=" + bearer, "identity", "--identity", "oidc"},
		"bearer":      {"KEST_OIDC_REQUEST_URL=http://127.0.0.1:1/?code=" + bearer, "KEST_OIDC_REQUEST_TOKEN=" + bearer + "\r\n", "identity", "--identity", "oidc"},
		"no answer":   {"KEST_OIDC_REQUEST_URL=http://127.0.0.1:1/?code=" + bearer, "KEST_OIDC_REQUEST_TOKEN=" + bearer, "identity", "--identity", "oidc"},
		"environment": {"AWS_ACCESS_KEY_ID=AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY=" + access, "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_MAX_ATTEMPTS=1", "AWS_REGION=eu-central-1", "KEST_AWS_KMS_KEY_ID=alias/a", "identity", "--identity", "kms"},
	}
	for i, url := range []string{
		"redis://:" + password + "@host:port", "redis://:" + password + "@127.0.0.1:1/x", "redis://u:" + password + "@127.0.0.1:1/0?a=b",
		"unix://:" + password + "@", "http://:" + password + "@127.0.0.1", password, ":" + password + "@127.0.0.1",
	} {
		list[fmt.Sprint("cache ", i)] = []string{"KEST_AGENT_CACHE=" + url, "agent", "--identity", "local"}
		list[fmt.Sprint("cache flag ", i)] = []string{"agent", "--identity", "local", "--cache", url}
	}
	plain := fleet.Config("", token)
	for name, text := range map[string]string{
		"seed too long": strings.Replace(plain, `"agent": {`, `"insecure_seed": "`+seed+`AAAA", "agent": {`, 1),
		"seed broken":   `{"workload": "spiffe://example.org/a", "identity": {"insecure_seed": "` + seed + `$"}}`,
		"seed twice":    `{"workload": "spiffe://example.org/a", "identity": {"insecure_seed": "` + seed + `", "insecure_seed": "` + seed + `"}}`,
		"seed as text":  `{"workload": "spiffe://example.org/a", "identity": "` + seed + `"}`,
		"seed half":     `{"identity": {"insecure_seed": "` + seed + `"`,
		"seed in keys":  `{"workload": "spiffe://example.org/a", "keys": {"static": [{"principal": "spiffe://example.org/a", "jwk": ` + private + `}]}}`,
		"token blanks":  strings.Replace(plain, token, token+" "+token, 1),
		"token number":  strings.Replace(plain, `"token":"`+token+`"`, `"token":["`+token+`"]`, 1),
		"token line":    strings.Replace(plain, token, token+`\n`, 1),
	} {
		list["config "+name] = []string{"config", "check", w.Input(strings.ReplaceAll(name, " ", "-")+".json", text)}
	}
	return list
}
