package keys

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"kest.example/kest"
)

// Bounds of a certificate chain.
const (
	maxChain       = 4 // certificates, without the root
	maxCertificate = 16 << 10
	minRSABits     = 2048
	maxRSABits     = 8192 // a longer one costs too much to try
)

// svid is an X.509-SVID: a chain whose leaf may sign for its one SPIFFE id.
type svid struct {
	certs []*x509.Certificate // leaf first
	key   kest.PublicKey      // the leaf's
}

// parseSVID reads a chain and holds its leaf against the principal (X.509-SVID
// section 5.2). It verifies no signature.
func parseSVID(principal string, x5c []string) (*svid, error) {
	if len(x5c) == 0 || len(x5c) > maxChain {
		return nil, refuse(principal, "the chain has no certificate or too many")
	}
	s := &svid{}
	for _, text := range x5c {
		cert := parseCertificate(text)
		if cert == nil {
			return nil, refuse(principal, "a certificate is none that is accepted, too long or not in standard base64")
		}
		s.certs = append(s.certs, cert)
	}
	leaf := s.certs[0]
	if detail := leafFault(leaf, principal); detail != "" {
		return nil, refuse(principal, detail)
	}
	if slices.ContainsFunc(s.certs, selfSigned) {
		return nil, refuse(principal, "the chain holds a root")
	}
	var err error
	if s.key, err = NewPublicKey(leaf.PublicKey); err != nil {
		return nil, refuse(principal, "the leaf's key is of a kind that is not accepted")
	}
	return s, nil
}

// parseCertificate returns nil where the text is not one certificate. Go's
// decoder skips line ends even when it is strict.
func parseCertificate(text string) *x509.Certificate {
	if len(text) > base64.StdEncoding.EncodedLen(maxCertificate) || strings.ContainsAny(text, "\r\n") {
		return nil
	}
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(der) > maxCertificate {
		return nil
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil || oddRSA(cert) {
		return nil
	}
	return cert
}

func leafFault(leaf *x509.Certificate, principal string) (detail string) {
	switch {
	case leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return "the leaf is a CA"
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return "the leaf may not sign"
	case len(leaf.URIs) != 1:
		return "the leaf has not exactly one URI SAN"
	}
	id, err := spiffeid.FromURI(leaf.URIs[0])
	if err != nil || id.String() != principal {
		return "the leaf's URI SAN is not the principal"
	}
	return ""
}

// selfSigned tells a root from an intermediate that has its issuer's name.
func selfSigned(cert *x509.Certificate) bool {
	return string(cert.RawSubject) == string(cert.RawIssuer) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// vouched says who stands behind a chain or a token, and for which time.
type vouched struct {
	authority authority
	notBefore time.Time
	notAfter  time.Time
}

// chain finds the authority that a chain leads to at a time. It prefers one that
// the bundle has over one that has vanished.
func (d *domain) chain(s *svid, at time.Time) (vouched, bool) {
	if found, ok := d.chainTo(s, d.current, at); ok {
		return found, true
	}
	return d.chainTo(s, d.past, at)
}

// chainTo returns the best chain to the roots: the one whose root was seen last
// and that lasts longest.
func (d *domain) chainTo(s *svid, roots *x509.CertPool, at time.Time) (best vouched, ok bool) {
	between := x509.NewCertPool()
	for _, cert := range s.certs[1:] {
		between.AddCert(cert)
	}
	chains, err := s.certs[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return vouched{}, false
	}
	for _, chain := range chains {
		if !s.isChain(chain) || slices.ContainsFunc(chain, oddRSA) {
			continue
		}
		root, known := d.root(chain[len(chain)-1])
		if !known {
			continue
		}
		found := vouched{root, chain[0].NotBefore, chain[0].NotAfter}
		for _, cert := range chain[1:] {
			found.narrow(cert.NotBefore, cert.NotAfter)
		}
		if !ok || found.better(best) {
			best, ok = found, true
		}
	}
	return best, ok
}

// isChain wants the certificates in their order, each of them used, and a root
// behind them (RFC 7517 section 4.7).
func (s *svid) isChain(chain []*x509.Certificate) bool {
	return len(chain) == len(s.certs)+1 && slices.EqualFunc(chain[:len(s.certs)], s.certs, (*x509.Certificate).Equal)
}

// oddRSA reports whether the certificate's key is RSA of a length that isn't accepted.
func oddRSA(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	return ok && (key.N.BitLen() < minRSABits || key.N.BitLen() > maxRSABits)
}

func (f *vouched) narrow(notBefore, notAfter time.Time) {
	if notBefore.After(f.notBefore) {
		f.notBefore = notBefore
	}
	if notAfter.Before(f.notAfter) {
		f.notAfter = notAfter
	}
}

func (f *vouched) better(than vouched) bool {
	if a, b := f.authority.until, than.authority.until; !a.Equal(b) {
		return a.After(b)
	}
	return f.notAfter.After(than.notAfter)
}

// settle makes the key of what was vouched for at a time of signing, which may
// be unknown. An authority that has vanished vouches for what was signed until
// then, for entries of that time, and only for the record.
func (v *Verifier) settle(principal string, key kest.PublicKey, f vouched, signed time.Time) (kest.Key, error) {
	gone := f.authority.until
	if !gone.IsZero() {
		if !signed.Before(gone) || v.now().Sub(gone) > maxPastAge {
			return kest.Key{}, refuse(principal, "its authority was gone when it was signed, or has been for too long")
		}
		f.narrow(f.notBefore, gone)
	}
	if !f.notBefore.Before(f.notAfter) {
		return kest.Key{}, refuse(principal, "it is never valid")
	}
	return kest.Key{Public: key, NotBefore: f.notBefore, NotAfter: f.notAfter, Revoked: !gone.IsZero()}, nil
}

// direct verifies a chain whose leaf signs entries itself: as of now, or as of
// its own last or first moment where that is past or to come.
func (v *Verifier) direct(principal string, x5c []string) (*verified, error) {
	td, d, err := v.domainOf(principal)
	if err != nil {
		return nil, err
	}
	s, err := parseSVID(principal, x5c)
	if err != nil {
		return nil, err
	}
	leaf := s.certs[0]
	at := v.now()
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	if at.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	found, ok := d.chain(s, at)
	if !ok {
		return nil, refuse(principal, "the chain does not lead to its trust domain")
	}
	key, err := v.settle(principal, s.key, found, leaf.NotBefore)
	if err != nil {
		return nil, err
	}
	return &verified{key: key, current: v.unchanged(td, d)}, nil
}

// unchanged reports whether a trust domain is what it was.
func (v *Verifier) unchanged(td spiffeid.TrustDomain, d *domain) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) { return v.bundles.domain(td) == d, nil }
}
