package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/logging"

	"kest.example/kest/identityhost/aws"
	"kest.example/kest/internal/secretscan"
	"kest.example/kest/kesttest"
)

// mustBeClear fails when what shows holds a credential, or a signed header.
func mustBeClear(t *testing.T, what, shown string) {
	t.Helper()
	scan := secretscan.New()
	for name, credential := range map[string]string{"the key's id": accessKey, "the secret key": secret, "the session token": token} {
		scan.Add(name, []byte(credential))
	}
	for _, f := range scan.Scan(what, []byte(shown)) {
		t.Error(f)
	}
	for _, part := range []string{secret[:16], token[:16], "Signature="} {
		if strings.Contains(shown, part) {
			t.Errorf("%s holds %s: %s", what, part, shown)
		}
	}
}

// captured returns what f writes to the standard streams and loggers.
func captured(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	log.SetOutput(w)
	defer func() {
		os.Stdout, os.Stderr = stdout, stderr
		log.SetOutput(stderr)
	}()
	done := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		done <- string(text)
	}()
	f()
	_ = w.Close()
	return <-done
}

// echo answers an error that quotes the request with its credentials, as AWS
// does for signatures that don't match.
func echo(w http.ResponseWriter, r *http.Request) {
	quoted := accessKey + " " + secret + " " + r.Header.Get("Authorization") + " " + r.Header.Get("X-Amz-Security-Token")
	w.Header().Set("X-Amzn-Requestid", quoted)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": quoted, "message": quoted})
}

// No credential is in anything that this package gives or writes, even where
// AWS quotes it and the caller has switched the SDK's logging on.
func TestNoCredentialShows(t *testing.T) {
	s := newServer(t)
	c := s.config()
	c.ClientLogMode = sdk.LogSigning | sdk.LogRequestWithBody | sdk.LogResponseWithBody | sdk.LogRetries
	keyID := s.add("ECC_NIST_P256")
	text := captured(t, func() {
		c.Logger = logging.NewStandardLogger(os.Stderr)
		p, err := aws.Open(keyID, aws.WithConfig(c))
		if err != nil {
			t.Fatal(err)
		}
		id := identity(t, p)
		bound, err := p.Bind(context.Background(), kesttest.NewProvider("session").Key())
		if err != nil {
			t.Fatal(err)
		}
		key, err := aws.OpenKey(keyID, aws.WithConfig(c))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []any{p, *p, id, *id, id.Signer, bound, key, *key} {
			mustBeClear(t, fmt.Sprintf("a %T", v), secretscan.Printed(v))
		}
		for _, operation := range []string{"Sign", "GetPublicKey", "GetCallerIdentity"} {
			s.set(operation, echo)
		}
		_, err = id.Signer.Sign(context.Background(), []byte("x"))
		mustBeClearError(t, "signing", err)
		fresh, err := aws.Open(keyID, aws.WithConfig(c))
		if err != nil {
			t.Fatal(err)
		}
		_, err = fresh.Identity(context.Background())
		mustBeClearError(t, "the identity", err)
		_, err = aws.PublicKey(context.Background(), keyID, aws.WithConfig(c))
		mustBeClearError(t, "the key", err)
		mustBeClear(t, "a provider", secretscan.Printed(fresh))
	})
	mustBeClear(t, "what was written", text)
}

// mustBeClearError looks at an error and at all that it wraps.
func mustBeClearError(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	mustBeClear(t, what, secretscan.Printed(err))
}

// Nor does what the sources of credentials say get through.
func TestNoCredentialOfASourceShows(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	c := s.config()
	c.Credentials = sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{}, errors.New("the program printed " + secret + token)
	})
	p, err := aws.Open(keyID, aws.WithConfig(c))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Identity(context.Background())
	mustBeClearError(t, "a source that fails", err)

	environment(t, map[string]string{"AWS_ENDPOINT_URL": s.URL, "AWS_REGION": region})
	for name, content := range map[string]string{
		"a broken file": "[default\naws_secret_access_key = " + secret + "\n",
		"no key id":     "[default]\naws_secret_access_key = " + secret + "\n",
		"a program":     "[default]\ncredential_process = sh -c 'echo " + secret + "; exit 1'\n",
	} {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
		if p, err = aws.Open(keyID); err != nil {
			t.Fatal(err)
		}
		text := captured(t, func() { _, err = p.Identity(context.Background()) })
		mustBeClearError(t, name, err)
		mustBeClear(t, name+", what was written", text)
	}
}
