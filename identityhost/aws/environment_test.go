package aws_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/kesttest"
)

// environment sets the variables of a workload, and hides the machine's own.
func environment(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // has it restored
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// Without WithConfig, all comes from where the SDK finds it, but for the retries.
func TestEnvironment(t *testing.T) {
	s := newServer(t)
	environment(t, map[string]string{
		"AWS_ENDPOINT_URL": s.URL, "AWS_REGION": region, "AWS_MAX_ATTEMPTS": "10",
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secret,
	})
	p, err := aws.Open(s.add("ECC_NIST_P256"))
	if err != nil {
		t.Fatal(err)
	}
	kesttest.TestProvider(t, p)
	before := s.count("Sign")
	s.set("Sign", refuse("KMSInternalException", http.StatusInternalServerError))
	if _, err := identity(t, p).Signer.Sign(context.Background(), []byte("x")); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if n := s.count("Sign") - before; n != 2 {
		t.Errorf("one signature made %d calls", n)
	}
}

// What is missing is said, not guessed, and Open itself needs none of it.
func TestMissingInTheEnvironment(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	for name, c := range map[string]struct {
		variables     map[string]string
		configuration bool
	}{
		"no region":      {map[string]string{"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secret}, true},
		"no profile":     {map[string]string{"AWS_REGION": region, "AWS_PROFILE": "absent"}, true},
		"no credentials": {map[string]string{"AWS_REGION": region}, false}, // their source may come up late
	} {
		environment(t, c.variables)
		t.Setenv("AWS_ENDPOINT_URL", s.URL)
		p, err := aws.Open(keyID)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		id, err := p.Identity(context.Background())
		if id != nil || !errors.Is(err, kest.ErrUnavailable) || errors.Is(err, kest.ErrConfiguration) != c.configuration {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.count("GetPublicKey") + s.count("GetCallerIdentity"); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// Credentials in a file that was replaced are found without a restart.
func TestReplacedCredentials(t *testing.T) {
	s := newServer(t)
	environment(t, map[string]string{"AWS_ENDPOINT_URL": s.URL, "AWS_REGION": region})
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	write := func(id string) {
		text := "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = " + secret + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := aws.Open(s.add("ECC_NIST_P256"))
	if err != nil {
		t.Fatal(err)
	}
	kesttest.TestProviderNotReady(t, p) // there is no file yet
	write("AKIAOLDOLDOLDOLDOLD0")
	eventually(t, "ready", func() bool { _, err := p.Identity(context.Background()); return err == nil })
	s.only(accessKey)
	if ran, err := attempt(t, p); ran || !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("under old credentials: ran %v, %v", ran, err)
	}
	write(accessKey)
	eventually(t, "signing under new credentials", func() bool { ran, _ := attempt(t, p); return ran })
}

// only has KMS refuse every other access key from now on.
func (s *server) only(accessKey string) {
	for _, operation := range []string{"Sign", "GetPublicKey"} {
		s.set(operation, func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Authorization"), "Credential="+accessKey+"/") {
				refuse("ExpiredTokenException", http.StatusBadRequest)(w, r)
				return
			}
			s.kms(w, r, operation)
		})
	}
}
