package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/detect"
	"kest.example/kest/internal/issuertest"
	"kest.example/kest/internal/workloadtest"
)

// identityEnv sets these variables and no other one that detection looks at.
func identityEnv(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range []string{
		detect.SocketVariable, detect.AgentIDVariable, "AWS_BEDROCK_AGENT_ALIAS_ID", "KEST_BEDROCK_KMS_KEY_ID",
		detect.ExecutionVariable, detect.RoleVariable, detect.KeyVariable, detect.TokenPathVariable, detect.TokenVariable,
		detect.JWKSVariable, detect.OIDCKeyVariable, detect.RequestURLVariable, detect.RequestTokenVariable, detect.WorkloadVariable,
	} {
		t.Setenv(name, env[name])
	}
}

// oidcFile is a file with a token that ends at a time.
func oidcFile(t *testing.T, end time.Time) (path, token string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "token")
	token = issuertest.NewKey(t, "ES256", "k1").Sign(nil, issuertest.Claims("orders", "exp", end.Unix()))
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, token
}

// shown is what identity --json printed, its key checked.
func shown(t *testing.T, a answer) identified {
	t.Helper()
	out := decode[identified](t, a)
	key, err := kest.ParsePublicKey(out.Key)
	if err != nil || key.Algorithm() != out.Algorithm {
		t.Errorf("%s: the key %s: %v", out.Algorithm, out.Key, err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.out), &members); err != nil || len(members) != 6 {
		t.Errorf("%d members: %v", len(members), err)
	}
	taken := 0
	for i, kind := range []string{"spire", "agentcore", "kms", "oidc", "local"} {
		if len(out.Considered) != 5 || out.Considered[i].Provider != kind || out.Considered[i].Reason == "" {
			t.Fatalf("considered %+v", out.Considered)
		}
		if out.Considered[i].Taken {
			taken++
			if kind != out.Provider {
				t.Errorf("%s is shown, %s was taken", out.Provider, kind)
			}
		}
	}
	if taken != 1 {
		t.Errorf("%d were taken", taken)
	}
	return out
}

func TestIdentity(t *testing.T) {
	ca := workloadtest.NewCA("example.org")
	api := workloadtest.New(t, ca, "spiffe://example.org/orders")
	rsa := workloadtest.New(t, ca, "spiffe://example.org/rsa", workloadtest.WithKey(workloadtest.RSA2048), workloadtest.WithTCP())
	dead := workloadtest.New(t, ca, "spiffe://example.org/dead", workloadtest.Late())
	issuer := issuertest.New(t)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	file, _ := oidcFile(t, end)
	for name, c := range map[string]struct {
		env                           map[string]string
		args                          []string
		provider, workload, algorithm string
		ends                          bool
	}{
		"nothing":       {nil, nil, "local", "spiffe://kest.internal/local-workload", "EdDSA", false},
		"a workload":    {map[string]string{"KEST_WORKLOAD": "spiffe://example.org/mine"}, nil, "local", "spiffe://example.org/mine", "EdDSA", false},
		"SPIRE":         {map[string]string{"SPIFFE_ENDPOINT_SOCKET": api.Address(), "KEST_OIDC_TOKEN_PATH": file}, nil, "spire", "spiffe://example.org/orders", "ES256", true},
		"SPIRE and RSA": {map[string]string{"SPIFFE_ENDPOINT_SOCKET": rsa.Address()}, nil, "spire", "spiffe://example.org/rsa", "RS256", true},
		"a token":       {map[string]string{"KEST_OIDC_TOKEN_PATH": file}, nil, "oidc", issuertest.Name + "#orders", "EdDSA", true},
		"a dead socket": {map[string]string{"SPIFFE_ENDPOINT_SOCKET": dead.Address(), "KEST_OIDC_TOKEN_PATH": file}, nil, "oidc", issuertest.Name + "#orders", "EdDSA", true},
		"asked for":     {map[string]string{"SPIFFE_ENDPOINT_SOCKET": api.Address(), "KEST_OIDC_TOKEN_PATH": file}, []string{"--identity", "oidc"}, "oidc", issuertest.Name + "#orders", "EdDSA", true},
		"requests":      {map[string]string{"KEST_OIDC_REQUEST_URL": issuer.Request(), "KEST_OIDC_REQUEST_TOKEN": issuertest.Bearer}, []string{"--identity=oidc"}, "oidc", issuertest.Name + "#orders", "EdDSA", true},
	} {
		t.Run(name, func(t *testing.T) {
			identityEnv(t, c.env)
			a := kestRun(t, "", append([]string{"identity", "--json"}, c.args...)...)
			a.want(t, exitGood)
			out := shown(t, a)
			if out.Provider != c.provider || out.WorkloadID != c.workload || out.Algorithm != c.algorithm {
				t.Errorf("%+v", out)
			}
			if (out.NotAfter != nil) != c.ends {
				t.Fatalf("not_after %v", out.NotAfter)
			}
			if c.ends {
				if at, err := time.Parse(time.RFC3339, *out.NotAfter); err != nil || at.Before(time.Now()) || c.provider == "oidc" && name != "requests" && !at.Equal(end) {
					t.Errorf("not_after %s: %v", *out.NotAfter, err)
				}
			}
			kestRun(t, "", append([]string{"identity"}, c.args...)...).want(t, exitGood,
				"provider  "+c.provider+"\n", "workload  "+c.workload+"\n", c.algorithm, "\nspire ", "\nagentcore ", "\nkms ", "\noidc ", "\nlocal ", "  taken  ")
		})
	}
}

// A dead socket is named, and so is every variable that is missing.
func TestIdentitySaysWhyNot(t *testing.T) {
	dead := workloadtest.New(t, workloadtest.NewCA("example.org"), "spiffe://example.org/dead", workloadtest.Late())
	identityEnv(t, map[string]string{"SPIFFE_ENDPOINT_SOCKET": dead.Address()})
	kestRun(t, "", "identity").want(t, exitGood, "provider  local", "SPIFFE_ENDPOINT_SOCKET is set, but the Workload API doesn't answer there",
		"AWS_BEDROCK_AGENT_ID is not set", "AWS_ROLE_ARN is not set", "KEST_OIDC_TOKEN_PATH is not set", "has no end")
}

// A provider that was taken and fails is exit 1, one line and no other identity.
func TestIdentityFails(t *testing.T) {
	ca := workloadtest.NewCA("example.org")
	dead := workloadtest.New(t, ca, "spiffe://example.org/dead", workloadtest.Late())
	refusing := workloadtest.New(t, ca, "spiffe://example.org/orders")
	refusing.Refuse(true)
	expired, token := oidcFile(t, time.Now().Add(-time.Second))
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		part string
	}{
		"an expired token":      {map[string]string{"KEST_OIDC_TOKEN_PATH": expired}, nil, "identity oidc"},
		"SPIRE knows us not":    {map[string]string{"SPIFFE_ENDPOINT_SOCKET": refusing.Address()}, nil, "identity spire"},
		"SPIRE is asked for":    {map[string]string{"SPIFFE_ENDPOINT_SOCKET": dead.Address()}, []string{"--identity", "spire"}, "identity spire"},
		"SPIRE without socket":  {nil, []string{"--identity", "spire"}, "SPIFFE_ENDPOINT_SOCKET"},
		"an agent without keys": {map[string]string{"AWS_BEDROCK_AGENT_ID": "A1"}, nil, "KEST_BEDROCK_KMS_KEY_ID"},
		"kms without a key":     {nil, []string{"--identity", "kms"}, "KEST_AWS_KMS_KEY_ID"},
		"oidc without a token":  {nil, []string{"--identity", "oidc"}, "identity oidc"},
	} {
		t.Run(name, func(t *testing.T) {
			identityEnv(t, c.env)
			for _, more := range [][]string{nil, {"--json"}} {
				a := kestRun(t, "", append(append([]string{"identity"}, c.args...), more...)...)
				if a.code != exitNo || a.out != "" || strings.Count(a.err, "\n") != 1 || !strings.HasPrefix(a.err, "kest: ") || !strings.Contains(a.err, c.part) {
					t.Errorf("%+v", a)
				}
				if strings.Contains(a.err, token[:40]) || strings.Contains(a.err, strings.Split(token, ".")[1]) {
					t.Errorf("the token is shown: %s", a.err)
				}
			}
		})
	}
}

func TestIdentityMisuse(t *testing.T) {
	identityEnv(t, nil)
	kestRun(t, "", "identity", "--identity", "spiffe").refused(t, "--identity")
	kestRun(t, "", "identity", "extra").refused(t, "unexpected")
	a := kestRun(t, "", "identity", "--help")
	if a.code != exitGood || !strings.Contains(a.out, "kest identity --json") {
		t.Errorf("%+v", a)
	}
}
