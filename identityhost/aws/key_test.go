package aws_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/kesttest"
)

// fromKey is an identity whose id comes from elsewhere.
type fromKey struct {
	id  string
	key *aws.Key
}

func (f fromKey) Identity(ctx context.Context) (*kest.Identity, error) {
	public, signer, arn, err := f.key.Signer(ctx)
	if err != nil {
		return nil, err
	}
	return &kest.Identity{WorkloadID: f.id, Key: public, Signer: signer, BindingKeyID: arn}, nil
}

func TestKeyForAnotherIdentity(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	key, err := aws.OpenKey(keyID, aws.WithConfig(s.config()))
	if err != nil {
		t.Fatal(err)
	}
	s.set("GetPublicKey", refuse("KMSInternalException", http.StatusInternalServerError))
	p := fromKey{"https://issuer.example#sub", key}
	kesttest.TestProviderNotReady(t, p)
	s.set("GetPublicKey", nil)
	eventually(t, "ready", func() bool { _, err := p.Identity(context.Background()); return err == nil })
	kesttest.TestProvider(t, p)
	if id := identity(t, p); id.BindingKeyID != keyARN(keyID) || s.count("GetCallerIdentity") != 0 {
		t.Errorf("key %s, %d calls of STS", id.BindingKeyID, s.count("GetCallerIdentity"))
	}
}

// Verifiers fetch the same key, by id, alias or ARN.
func TestPublicKey(t *testing.T) {
	s := newServer(t)
	for _, spec := range []string{"ECC_NIST_P256", "RSA_3072", "ECC_NIST_EDWARDS25519"} {
		keyID := s.add(spec)
		s.alias("alias/orders", keyID)
		want := identity(t, open(t, s, keyID)).Key.JWK()
		for _, name := range []string{keyID, keyARN(keyID), "alias/orders"} {
			key, err := aws.PublicKey(context.Background(), name, aws.WithConfig(s.config()))
			if err != nil || key.JWK() != want {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	key, err := aws.PublicKey(context.Background(), "alias/other", aws.WithConfig(s.config()))
	if !key.IsZero() || !errors.Is(err, kest.ErrConfiguration) || !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("an unknown key: %v", err)
	}
	if key, err = aws.PublicKey(context.Background(), ""); !key.IsZero() || !errors.Is(err, kest.ErrConfiguration) {
		t.Errorf("no key: %v", err)
	}
}

// What plays KMS may answer the id where KMS answers the ARN; the binding's kid
// is the ARN all the same, or there is no identity.
func TestARNOfABareID(t *testing.T) {
	s := newServer(t)
	keyID := s.add("ECC_NIST_P256")
	s.change(keyID, func(k *kmsKey) { k.bare = true })
	if id := identity(t, open(t, s, keyID)); id.BindingKeyID != keyARN(keyID) {
		t.Errorf("the key is %s", id.BindingKeyID)
	}
	for name, f := range map[string]http.HandlerFunc{
		"nothing":  raw(`{}`),
		"an alias": raw(`{"KeyMetadata":{"Arn":"arn:aws:kms:eu-central-1:111122223333:alias/x"}}`),
		"refused":  refuse("ThrottlingException", http.StatusBadRequest),
	} {
		s.set("DescribeKey", f)
		if id, err := open(t, s, keyID).Identity(context.Background()); id != nil || !errors.Is(err, kest.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
