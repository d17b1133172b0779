//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/internal/envoytest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
)

// moto is a running server that plays KMS and STS.
type moto struct {
	port int
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

const motoAccount = "123456789012" // moto's own

// startMoto runs the moto that make tools fetched on a free loopback port.
func startMoto(t testing.TB) *moto {
	t.Helper()
	ports, err := envoytest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	m := &moto{port: ports[0]}
	m.start(t)
	t.Cleanup(func() { m.stop() })
	return m
}

func (m *moto) url() string { return fmt.Sprintf("http://127.0.0.1:%d", m.port) }

// start waits until the server answers, at most a minute.
func (m *moto) start(t testing.TB) {
	t.Helper()
	binary := filepath.Join(envoytest.Root(), ".tools", "bin", "moto_server")
	if _, err := os.Stat(binary); err != nil {
		t.Fatal("moto_server is not there: run make tools")
	}
	m.cmd = exec.Command(binary, "-H", "127.0.0.1", "-p", fmt.Sprint(m.port))
	m.log.Reset()
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.done = make(chan struct{})
	go func() {
		_ = m.cmd.Wait()
		close(m.done)
	}()
	for end := time.Now().Add(time.Minute); ; {
		response, err := http.Get(m.url() + "/moto-api/")
		if err == nil {
			_ = response.Body.Close()
			return
		}
		select {
		case <-m.done:
			t.Fatalf("moto_server ended:\n%s", m.log.String())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(end) {
			m.stop()
			t.Fatalf("moto_server does not answer: %v\n%s", err, m.log.String())
		}
	}
}

// stop ends the server and all that it knew.
func (m *moto) stop() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.done:
	case <-time.After(5 * time.Second):
		_ = m.cmd.Process.Kill()
		<-m.done
	}
}

// config is the SDK's configuration of whoever has the credentials.
func (m *moto) config(credentials sdk.Credentials) sdk.Config {
	url := m.url()
	return sdk.Config{
		Region: "eu-central-1", BaseEndpoint: &url,
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) { return credentials, nil }),
	}
}

func (m *moto) admin() sdk.Config {
	return m.config(sdk.Credentials{AccessKeyID: "AKIAADMINADMINADMIN0", SecretAccessKey: "admin"})
}

// key makes a key through KMS's own API and returns its id and its ARN.
func (m *moto) key(t testing.TB, spec types.KeySpec, usage types.KeyUsageType) (id, arn string) {
	t.Helper()
	out, err := kms.NewFromConfig(m.admin()).CreateKey(context.Background(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.KeyId, *out.KeyMetadata.Arn
}

// alias makes a key of an alias.
func (m *moto) alias(t *testing.T, name string) (arn string) {
	t.Helper()
	id, arn := m.key(t, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	if _, err := kms.NewFromConfig(m.admin()).CreateAlias(context.Background(), &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &id}); err != nil {
		t.Fatal(err)
	}
	return arn
}

// assume returns the configuration of a session of a role.
func (m *moto) assume(t *testing.T, role, session string) sdk.Config {
	t.Helper()
	out, err := sts.NewFromConfig(m.admin()).AssumeRole(context.Background(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: &session})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	return m.config(sdk.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken})
}

func openAWS(t *testing.T, keyID string, c sdk.Config) *aws.Provider {
	t.Helper()
	p, err := aws.Open(keyID, aws.WithConfig(c))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Keys of KMS sign entries and bindings that verify under the key that
// verifiers fetch, and sessions of a role are one workload.
func TestKMSKeys(t *testing.T) {
	m := startMoto(t)
	const role = "arn:aws:iam::" + motoAccount + ":role/orders"
	for spec, algorithm := range map[types.KeySpec]string{
		types.KeySpecEccNistP256: "ES256", types.KeySpecRsa2048: "RS256", types.KeySpecRsa4096: "RS256",
	} {
		id, arn := m.key(t, spec, types.KeyUsageTypeSignVerify)
		for i, keyID := range []string{id, arn} {
			p := openAWS(t, keyID, m.assume(t, role, fmt.Sprintf("session-%d", i)))
			kesttest.TestProvider(t, p)
			identity, err := p.Identity(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if identity.WorkloadID != role || identity.Key.Algorithm() != algorithm || identity.BindingKeyID != arn {
				t.Errorf("%s: %s, %s, %s", spec, identity.WorkloadID, identity.Key.Algorithm(), identity.BindingKeyID)
			}
			checkBinding(t, m, p, role, arn)
			kesttest.TestProvider(t, kest.NewSession(p, nil))
		}
	}
}

// checkBinding verifies a binding with the key that its kid names.
func checkBinding(t *testing.T, m *moto, p kest.Binder, workload, arn string) {
	t.Helper()
	key := kesttest.NewProvider("session").Key()
	bound, err := p.Bind(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	message, err := jws.Parse(bound.Binding, kest.TypeBinding)
	if err != nil {
		t.Fatal(err)
	}
	public, err := aws.PublicKey(context.Background(), message.Header.KeyID, aws.WithConfig(m.admin()))
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jcs.ParseString(public.JWK())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := jws.ParseJWK(jwk)
	if err != nil {
		t.Fatal(err)
	}
	if !jws.VerifyAll([]jws.Check{{Key: verifier, Input: []byte(message.Input), Signature: message.Signature}}) {
		t.Error("the binding does not verify")
	}
	claims, err := jcs.Parse(message.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if claims.Get("sub").Str() != workload || message.Header.KeyID != arn ||
		time.Until(bound.NotAfter) > time.Hour || time.Until(bound.NotAfter) < 50*time.Minute {
		t.Errorf("kid %s until %v: %s", message.Header.KeyID, bound.NotAfter, message.Payload)
	}
}

// A user is who it is; in other partitions too a role's session is the role.
func TestSTSCallers(t *testing.T) {
	m := startMoto(t)
	id, _ := m.key(t, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	identity, err := openAWS(t, id, m.admin()).Identity(context.Background())
	if err != nil || identity.WorkloadID != "arn:aws:sts::"+motoAccount+":user/moto" {
		t.Errorf("%+v, %v", identity, err)
	}
	china := func(c sdk.Config) sdk.Config { c.Region = "cn-north-1"; return c }
	out, err := kms.NewFromConfig(china(m.admin())).CreateKey(context.Background(), &kms.CreateKeyInput{
		KeySpec: types.KeySpecEccNistP256, KeyUsage: types.KeyUsageTypeSignVerify,
	})
	if err != nil {
		t.Fatal(err)
	}
	const role = "arn:aws-cn:iam::" + motoAccount + ":role/orders"
	session := "one"
	assumed, err := sts.NewFromConfig(china(m.admin())).AssumeRole(context.Background(), &sts.AssumeRoleInput{RoleArn: sdk.String(role), RoleSessionName: &session})
	if err != nil {
		t.Fatal(err)
	}
	c := china(m.config(sdk.Credentials{
		AccessKeyID: *assumed.Credentials.AccessKeyId, SecretAccessKey: *assumed.Credentials.SecretAccessKey, SessionToken: *assumed.Credentials.SessionToken,
	}))
	if identity, err = openAWS(t, *out.KeyMetadata.Arn, c).Identity(context.Background()); err != nil || identity.WorkloadID != role {
		t.Errorf("%+v, %v", identity, err)
	}
}

// Keys that are missing or for encryption are a matter of configuration.
func TestKMSKeysThatDoNotSign(t *testing.T) {
	m := startMoto(t)
	encrypts, _ := m.key(t, types.KeySpecRsa2048, types.KeyUsageTypeEncryptDecrypt)
	curve, _ := m.key(t, types.KeySpecEccNistP384, types.KeyUsageTypeSignVerify)
	for _, keyID := range []string{encrypts, curve, "00000000-0000-4000-8000-000000000000", "alias/absent"} {
		id, err := openAWS(t, keyID, m.admin()).Identity(context.Background())
		if id != nil || !errors.Is(err, kest.ErrConfiguration) || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %v", keyID, err)
		}
	}
}

// While KMS is away nothing is signed; when it is back, here with another key
// under the same alias, the same provider signs again.
func TestKMSComesBack(t *testing.T) {
	m := startMoto(t)
	first := m.alias(t, "alias/orders")
	p := openAWS(t, "alias/orders", m.admin())
	id, err := p.Identity(context.Background())
	if err != nil || id.BindingKeyID != first {
		t.Fatalf("%v", err)
	}
	m.stop()
	if _, err := id.Signer.Sign(context.Background(), []byte("x")); !errors.Is(err, kest.ErrUnavailable) || errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("while KMS is away: %v", err)
	}
	kesttest.TestProviderNotReady(t, openAWS(t, "alias/orders", m.admin()))
	m.start(t)
	second := m.alias(t, "alias/orders")
	if _, err := id.Signer.Sign(context.Background(), []byte("x")); !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("under a key that is gone: %v", err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if id, err = p.Identity(context.Background()); err == nil && id.BindingKeyID == second {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not back: %v", err)
		}
	}
	kesttest.TestProvider(t, p)
}
