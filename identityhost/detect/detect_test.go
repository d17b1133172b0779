package detect_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/identityhost/detect"
	"kest.example/kest/identityhost/oidc"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/issuertest"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

// variables is an environment.
type variables map[string]string

func (v variables) lookUp(name string) (string, bool) {
	text, ok := v[name]
	return text, ok
}

const keyID = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// deadAWS is an AWS that nobody answers for.
func deadAWS(t *testing.T) detect.Option {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return detect.WithAWS(aws.WithConfig(sdk.Config{
		Region: "eu-central-1", BaseEndpoint: &address,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "not-a-secret", ""),
	}))
}

func tokenFile(t *testing.T, changes ...any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	token := issuertest.NewKey(t, "ES256", "k1").Sign(nil, issuertest.Claims("orders", changes...))
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, kind string, env variables, opts ...detect.Option) *detect.Opened {
	t.Helper()
	o, err := detect.Open(t.Context(), kind, env.lookUp, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	checkConsidered(t, o)
	return o
}

// checkConsidered wants all five in order, one taken, each with a reason.
func checkConsidered(t *testing.T, o *detect.Opened) {
	t.Helper()
	order := []string{"spire", "agentcore", "kms", "oidc", "local"}
	if len(o.Considered) != len(order) {
		t.Fatalf("%+v", o.Considered)
	}
	for i, c := range o.Considered {
		if c.Provider != order[i] || c.Taken != (c.Provider == o.Kind) || c.Reason == "" {
			t.Errorf("%d: %+v with %s taken", i, c, o.Kind)
		}
	}
}

func reason(o *detect.Opened, kind string) string {
	for _, c := range o.Considered {
		if c.Provider == kind {
			return c.Reason
		}
	}
	return ""
}

// The order of CONTRACT 8, and what each kind wants.
func TestOrder(t *testing.T) {
	api := workloadtest.New(t, workloadtest.NewCA("example.org"), "spiffe://example.org/orders")
	late := workloadtest.New(t, workloadtest.NewCA("example.org"), "spiffe://example.org/orders", workloadtest.Late())
	file, missing := tokenFile(t), filepath.Join(t.TempDir(), "none")
	agent := variables{"AWS_BEDROCK_AGENT_ID": "A1", "AWS_BEDROCK_AGENT_ALIAS_ID": "B1", "KEST_BEDROCK_KMS_KEY_ID": keyID}
	lambda := variables{"AWS_EXECUTION_ENV": "AWS_Lambda_go1.x", "KEST_AWS_KMS_KEY_ID": keyID}
	role := variables{"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r", "KEST_AWS_KMS_KEY_ID": keyID}
	token := variables{"KEST_OIDC_TOKEN_PATH": file}
	for name, c := range map[string]struct {
		env   []variables
		probe bool
		kind  string
		why   map[string]string // parts of reasons
	}{
		"nothing": {nil, true, "local", map[string]string{
			"spire": "SPIFFE_ENDPOINT_SOCKET is not set", "agentcore": "AWS_BEDROCK_AGENT_ID is not set",
			"kms": "AWS_ROLE_ARN", "oidc": "KEST_OIDC_TOKEN_PATH is not set", "local": "development only",
		}},
		"all": {[]variables{{"SPIFFE_ENDPOINT_SOCKET": api.Address()}, agent, lambda, token}, true, "spire", map[string]string{
			"spire": "answers", "agentcore": "spire comes before", "local": "spire comes before",
		}},
		"all but spire":             {[]variables{agent, lambda, token}, true, "agentcore", map[string]string{"kms": "agentcore comes before"}},
		"lambda and a token":        {[]variables{lambda, token}, true, "kms", map[string]string{"kms": "AWS_EXECUTION_ENV"}},
		"a role and a token":        {[]variables{role, token}, true, "kms", map[string]string{"kms": "AWS_ROLE_ARN"}},
		"a key without AWS":         {[]variables{{"KEST_AWS_KMS_KEY_ID": keyID}, token}, true, "oidc", map[string]string{"kms": "AWS_EXECUTION_ENV"}},
		"AWS without a key":         {[]variables{{"AWS_EXECUTION_ENV": "x", "AWS_ROLE_ARN": "y"}, token}, true, "oidc", map[string]string{"kms": "KEST_AWS_KMS_KEY_ID is not set", "oidc": "static key"}},
		"an agent's other names":    {[]variables{{"AWS_BEDROCK_AGENT_ALIAS_ID": "B1", "KEST_BEDROCK_KMS_KEY_ID": keyID}}, true, "local", nil},
		"empty variables":           {[]variables{{"SPIFFE_ENDPOINT_SOCKET": "", "AWS_BEDROCK_AGENT_ID": "", "KEST_OIDC_TOKEN_PATH": ""}}, true, "local", map[string]string{"spire": "is not set"}},
		"a token file that is gone": {[]variables{{"KEST_OIDC_TOKEN_PATH": missing}}, true, "local", map[string]string{"oidc": "file is not there"}},
		"a token in a variable":     {[]variables{{"KEST_OIDC_TOKEN": "x"}}, true, "local", map[string]string{"oidc": "KEST_OIDC_TOKEN alone"}},
		"a dead socket, probed":     {[]variables{{"SPIFFE_ENDPOINT_SOCKET": late.Address()}, token}, true, "oidc", map[string]string{"spire": "doesn't answer"}},
		"only a dead socket":        {[]variables{{"SPIFFE_ENDPOINT_SOCKET": late.Address()}}, true, "local", map[string]string{"spire": "doesn't answer"}},
		"a dead socket, served":     {[]variables{{"SPIFFE_ENDPOINT_SOCKET": late.Address()}, agent, lambda, token}, false, "spire", map[string]string{"spire": "is set"}},
		"a live socket, served":     {[]variables{{"SPIFFE_ENDPOINT_SOCKET": api.Address()}}, false, "spire", nil},
		"served without a socket":   {[]variables{token}, false, "oidc", nil},
	} {
		t.Run(name, func(t *testing.T) {
			all := variables{}
			for _, v := range c.env {
				for name, value := range v {
					all[name] = value
				}
			}
			var opts []detect.Option
			if c.probe {
				opts = append(opts, detect.Probe())
			}
			o := open(t, "auto", all, opts...)
			if o.Kind != c.kind {
				t.Fatalf("%s, not %s: %+v", o.Kind, c.kind, o.Considered)
			}
			for kind, part := range c.why {
				if got := reason(o, kind); !strings.Contains(got, part) {
					t.Errorf("%s: %q doesn't say %q", kind, got, part)
				}
			}
		})
	}
}

// Each kind can be asked for, whatever comes before it.
func TestAskedFor(t *testing.T) {
	api := workloadtest.New(t, workloadtest.NewCA("example.org"), "spiffe://example.org/orders")
	env := variables{
		"SPIFFE_ENDPOINT_SOCKET": api.Address(), "AWS_BEDROCK_AGENT_ID": "A1", "AWS_BEDROCK_AGENT_ALIAS_ID": "B1",
		"KEST_BEDROCK_KMS_KEY_ID": keyID, "KEST_AWS_KMS_KEY_ID": keyID, "KEST_OIDC_TOKEN_PATH": tokenFile(t), "KEST_WORKLOAD": "spiffe://example.org/mine",
	}
	for _, kind := range detect.Kinds()[1:] {
		o := open(t, kind, env, detect.Probe())
		if o.Kind != kind {
			t.Errorf("%s, not %s", o.Kind, kind)
		}
		for _, c := range o.Considered {
			if !c.Taken && c.Reason != kind+" was asked for" {
				t.Errorf("%s: %+v", kind, c)
			}
		}
	}
	id, err := open(t, "local", env).Await(t.Context())
	if err != nil || id.WorkloadID != "spiffe://example.org/mine" {
		t.Errorf("%+v, %v", id, err)
	}
}

// What is asked for or taken and can't be used is an error, never the next one.
func TestFailures(t *testing.T) {
	unregistered := workloadtest.New(t, workloadtest.NewCA("example.org"), "spiffe://example.org/orders")
	unregistered.Refuse(true)
	late := workloadtest.New(t, workloadtest.NewCA("example.org"), "spiffe://example.org/orders", workloadtest.Late())
	for name, c := range map[string]struct {
		kind, fails string
		env         variables
		cause       error
	}{
		"spire without a socket":         {"spire", "spire", nil, kest.ErrConfiguration},
		"spire at a dead socket":         {"spire", "spire", variables{"SPIFFE_ENDPOINT_SOCKET": late.Address()}, kest.ErrUnavailable},
		"spire that knows us not":        {"auto", "spire", variables{"SPIFFE_ENDPOINT_SOCKET": unregistered.Address()}, spire.ErrNoIdentity},
		"a malformed socket":             {"auto", "spire", variables{"SPIFFE_ENDPOINT_SOCKET": "http://example.org"}, kest.ErrConfiguration},
		"an agent without a key":         {"auto", "agentcore", variables{"AWS_BEDROCK_AGENT_ID": "A1", "AWS_BEDROCK_AGENT_ALIAS_ID": "B1"}, kest.ErrConfiguration},
		"agentcore and no agent":         {"agentcore", "agentcore", nil, kest.ErrConfiguration},
		"kms without a key":              {"kms", "kms", nil, kest.ErrConfiguration},
		"kms with a key that is none":    {"auto", "kms", variables{"AWS_ROLE_ARN": "x", "KEST_AWS_KMS_KEY_ID": "a key"}, kest.ErrConfiguration},
		"oidc and nothing":               {"oidc", "oidc", nil, kest.ErrConfiguration},
		"oidc and bad keys":              {"auto", "oidc", variables{"KEST_OIDC_TOKEN_PATH": tokenFile(t), "KEST_OIDC_JWKS": "/no/such/file"}, kest.ErrConfiguration},
		"oidc, KMS and requests at once": {"auto", "oidc", variables{"KEST_OIDC_TOKEN_PATH": tokenFile(t), "KEST_OIDC_KMS_KEY_ID": keyID, "KEST_OIDC_REQUEST_URL": "https://example.org", "KEST_OIDC_REQUEST_TOKEN": "x"}, kest.ErrConfiguration},
		"a request without a token":      {"auto", "oidc", variables{"KEST_OIDC_TOKEN_PATH": tokenFile(t), "KEST_OIDC_REQUEST_URL": "https://example.org"}, kest.ErrConfiguration},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := detect.Open(t.Context(), c.kind, c.env.lookUp, detect.Probe())
			var failed *detect.Error
			if o != nil || !errors.As(err, &failed) || failed.Provider != c.fails || !errors.Is(err, c.cause) {
				t.Errorf("%+v, %v; want %s to fail for %v", o, err, c.fails, c.cause)
			}
		})
	}
	o, err := detect.Open(t.Context(), "spiffe", variables{}.lookUp)
	var failed *detect.Error
	if o != nil || !errors.Is(err, kest.ErrConfiguration) || errors.As(err, &failed) {
		t.Errorf("an unknown kind: %v", err)
	}
}

// What opens and then has no identity fails too.
func TestAwaitFails(t *testing.T) {
	for name, c := range map[string]struct {
		kind  string
		env   variables
		cause error
	}{
		"an expired token": {"oidc", variables{"KEST_OIDC_TOKEN_PATH": tokenFile(t, "exp", 1)}, oidc.ErrExpired},
		"a folder":         {"oidc", variables{"KEST_OIDC_TOKEN_PATH": t.TempDir()}, kest.ErrUnavailable},
		"KMS away":         {"kms", variables{"AWS_ROLE_ARN": "x", "KEST_AWS_KMS_KEY_ID": keyID}, kest.ErrUnavailable},
		"AgentCore's away": {"agentcore", variables{"AWS_BEDROCK_AGENT_ID": "A1", "AWS_BEDROCK_AGENT_ALIAS_ID": "B1", "KEST_BEDROCK_KMS_KEY_ID": keyID}, kest.ErrUnavailable},
		"the token's KMS":  {"oidc", variables{"KEST_OIDC_TOKEN_PATH": tokenFile(t), "KEST_OIDC_KMS_KEY_ID": keyID}, kest.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, "auto", c.env, detect.Probe(), deadAWS(t))
			id, err := o.Await(t.Context())
			var failed *detect.Error
			if id != nil || !errors.As(err, &failed) || failed.Provider != c.kind || !errors.Is(err, c.cause) {
				t.Errorf("%+v, %v", id, err)
			}
		})
	}
}

// A socket that takes calls and never answers is dead too.
func TestASilentSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	o, err := detect.Open(ctx, "auto", variables{"SPIFFE_ENDPOINT_SOCKET": "unix://" + path}.lookUp, detect.Probe())
	if err != nil {
		t.Fatal(err)
	}
	if o.Kind != "local" || !strings.Contains(reason(o, "spire"), "doesn't answer") {
		t.Errorf("%+v", o)
	}
}

// What serves waits for a Workload API that is late, and follows it.
func TestServingWaitsForSPIRE(t *testing.T) {
	ca := workloadtest.NewCA("example.org")
	api := workloadtest.New(t, ca, "spiffe://example.org/orders", workloadtest.Late())
	bundles := make(chan []*spiffebundle.Bundle, 100)
	o := open(t, "auto", variables{"SPIFFE_ENDPOINT_SOCKET": api.Address()},
		detect.WithSPIRE(spire.OnBundles(func(list []*spiffebundle.Bundle) { bundles <- list })))
	kesttest.TestProviderNotReady(t, o.Provider)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := o.Await(short); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("before it came: %v", err)
	}
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	id, err := o.Await(ctx)
	if err != nil || id.WorkloadID != "spiffe://example.org/orders" || id.Key.Algorithm() != "ES256" {
		t.Fatalf("%+v, %v", id, err)
	}
	kesttest.TestProvider(t, o.Provider)
	select {
	case list := <-bundles:
		if len(list) != 1 || list[0].TrustDomain().Name() != "example.org" {
			t.Errorf("%v", list)
		}
	case <-ctx.Done():
		t.Error("no bundles came")
	}
}

// All that oidc can have from its variables.
func TestOIDCVariables(t *testing.T) {
	issuer := issuertest.New(t)
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(issuer.Sign(issuertest.Claims("orders"))), 0o600); err != nil {
		t.Fatal(err)
	}
	request := variables{"KEST_OIDC_REQUEST_URL": issuer.Request(), "KEST_OIDC_REQUEST_TOKEN": issuertest.Bearer}
	with := func(more ...string) variables {
		v := variables{}
		for name, value := range request {
			v[name] = value
		}
		for i := 0; i < len(more); i += 2 {
			v[more[i]] = more[i+1]
		}
		return v
	}
	for name, c := range map[string]struct {
		kind   string
		env    variables
		inline bool
		why    string
	}{
		"a file":                    {"auto", variables{"KEST_OIDC_TOKEN_PATH": path}, false, "static key"},
		"a file and its keys":       {"auto", variables{"KEST_OIDC_TOKEN_PATH": path, "KEST_OIDC_JWKS": issuer.JWKS()}, false, "static key"},
		"a file and requests":       {"auto", with("KEST_OIDC_TOKEN_PATH", path), true, "requested"},
		"a variable":                {"oidc", variables{"KEST_OIDC_TOKEN": issuer.Sign(issuertest.Claims("orders"))}, false, "static key"},
		"requests alone":            {"oidc", request, true, "requested"},
		"requests and their issuer": {"oidc", with("KEST_OIDC_JWKS", issuer.JWKS()), true, "requested"},
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, c.kind, c.env, detect.Probe())
			id, err := o.Await(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if id.WorkloadID != issuertest.Name+"#orders" || id.InlineJWK != c.inline || id.Key.Algorithm() != "EdDSA" {
				t.Errorf("%+v", id)
			}
			if got := reason(o, "oidc"); !strings.Contains(got, c.why) {
				t.Errorf("%q doesn't say %q", got, c.why)
			}
		})
	}
	o := open(t, "auto", variables{"KEST_OIDC_TOKEN_PATH": tokenFile(t), "KEST_OIDC_JWKS": issuer.JWKS()})
	if _, err := o.Await(t.Context()); !errors.Is(err, oidc.ErrToken) && !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("a stranger's token: %v", err)
	}
	key := open(t, "auto", variables{"KEST_OIDC_TOKEN_PATH": path, "KEST_OIDC_KMS_KEY_ID": keyID})
	if got := reason(key, "oidc"); !strings.Contains(got, "KMS") {
		t.Error(got)
	}
}
