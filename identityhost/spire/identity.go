package spire

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"kest.example/kest"
)

// newIdentity makes an identity of an X.509-SVID. It fails where the key is of a
// kind that Kest doesn't sign with (CONTRACT 2).
func newIdentity(svid *x509svid.SVID) (*kest.Identity, error) {
	if err := checkKey(svid.PrivateKey); err != nil {
		return nil, fmt.Errorf("the X.509-SVID of %s %w; Kest signs with P-256 or RSA of 2048 to 8192 bits (SPIRE's key types ec-p256 and rsa-2048)", svid.ID, err)
	}
	jwk, err := jose.JSONWebKey{Key: svid.PrivateKey.Public()}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("the key of the X.509-SVID of %s: %w", svid.ID, err)
	}
	identity, err := kest.NewIdentity(svid.ID.String(), jwk, signer{svid.PrivateKey})
	if err != nil {
		return nil, fmt.Errorf("the key of the X.509-SVID of %s: %w", svid.ID, err)
	}
	identity.NotAfter = svid.Certificates[0].NotAfter
	identity.X5C = x5c(svid.Certificates)
	return identity, nil
}

func checkKey(key crypto.Signer) error {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P256() {
			return errors.New("has a key of " + key.Params().Name)
		}
	case *rsa.PrivateKey:
		if n := key.N.BitLen(); n < 2048 || n > 8192 {
			return fmt.Errorf("has an RSA key of %d bits", n)
		}
	default:
		return errors.New("has a key of another kind")
	}
	return nil
}

// x5c encodes a chain for a header (RFC 7515 section 4.1.6), without its root: who
// verifies has that.
func x5c(chain []*x509.Certificate) []string {
	list := make([]string, 0, len(chain))
	for i, c := range chain {
		if i > 0 && bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignatureFrom(c) == nil {
			continue
		}
		list = append(list, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return list
}

// signer makes raw signatures with an SVID's key and shows it to nobody.
type signer struct{ key crypto.Signer }

// Sign implements kest.Signer: R||S for ES256, PKCS #1 v1.5 for RS256.
func (s signer) Sign(_ context.Context, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := s.key.(type) {
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		v.FillBytes(signature[32:])
		return signature, nil
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	}
	return nil, ErrKeyType
}

// String hides the key from logs.
func (signer) String() string { return "spire.signer" }

// Format hides the key from logs, whatever the verb.
func (s signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText hides the key from encoders.
func (s signer) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
