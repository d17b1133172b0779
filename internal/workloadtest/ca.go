// Package workloadtest is a SPIFFE Workload API for tests: a real gRPC server
// on a real socket with a real CA behind it, which does what SPIRE 1.15 does
// and can be made to fail.
//
// A CA is the authority of one trust domain. A Server is the socket of one
// workload: SPIRE tells its callers apart by their process, a test by the
// socket. Servers may share a CA, and a server may federate with other CAs:
//
//	ca, partner := workloadtest.NewCA("example.org"), workloadtest.NewCA("partner.example")
//	api := workloadtest.New(t, ca, "spiffe://example.org/orders", workloadtest.WithFederated(partner))
//	provider, err := spire.Open(api.Address())
//	api.RotateSVID()
package workloadtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// KeyType is the kind of a key that is made.
type KeyType int

// The kinds of keys: the first is SPIRE's default.
const (
	P256 KeyType = iota
	RSA2048
	P384
)

// CA is the authority of one trust domain: its X.509 roots and its JWT keys.
// It is safe for concurrent use. What goes wrong in making a key panics: it
// means that the machine has no randomness.
type CA struct {
	domain spiffeid.TrustDomain

	mu       sync.Mutex
	roots    []*x509.Certificate // the bundle, oldest first
	active   *issuer
	issuers  map[string]*issuer // by DER, revoked ones too
	jwtKeys  []*jwtKey          // the bundle, oldest first; the last one signs
	watchers []func()           // called after each change, without the lock
}

// issuer signs certificates: a root, or an intermediate under one.
type issuer struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain []*x509.Certificate // what goes after a leaf: the intermediates
}

// NewCA makes a CA with one root and one JWT key. It panics on a name that is
// no trust domain's.
func NewCA(trustDomain string) *CA {
	c := &CA{domain: spiffeid.RequireTrustDomainFromString(trustDomain), issuers: make(map[string]*issuer)}
	c.UseRoot(c.AddRoot())
	c.RotateJWTKey()
	return c
}

// TrustDomain returns the name, such as example.org.
func (c *CA) TrustDomain() string { return c.domain.Name() }

// Roots returns the X.509 roots of the bundle, oldest first.
func (c *CA) Roots() []*x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.roots)
}

// Bundle returns the X.509 roots and the JWT keys.
func (c *CA) Bundle() *spiffebundle.Bundle {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := spiffebundle.FromX509Authorities(c.domain, c.roots)
	b.SetJWTAuthorities(c.publicJWTKeys())
	return b
}

// AddRoot adds a new root to the bundle. Nothing is issued under it before UseRoot.
func (c *CA) AddRoot() *x509.Certificate {
	key := newKey(P256)
	serial := newSerial()
	root := c.authority("SPIFFE", serial, key)
	cert := sign(root, root, key.Public(), key)
	defer c.changed()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roots = append(c.roots, cert)
	c.issuers[string(cert.Raw)] = &issuer{cert: cert, key: key}
	return cert
}

// UseRoot issues what comes from now on under a root of this CA. SVIDs that
// servers hold stay until they rotate. It panics on a root of another CA.
func (c *CA) UseRoot(root *x509.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.issuers[string(root.Raw)]
	if !ok {
		panic("workloadtest: the root is not one of " + c.domain.Name())
	}
	c.active = i
}

// UseIntermediate issues what comes from now on under a new intermediate of the
// active root, as SPIRE does with an upstream authority: it follows the leaf in
// the chain of every SVID.
func (c *CA) UseIntermediate() *x509.Certificate {
	key := newKey(P256)
	c.mu.Lock()
	defer c.mu.Unlock()
	cert := sign(c.authority("SPIRE intermediate", newSerial(), key), c.active.cert, key.Public(), c.active.key)
	c.active = &issuer{cert: cert, key: key, chain: append([]*x509.Certificate{cert}, c.active.chain...)}
	return cert
}

// RevokeRoot takes a root out of the bundle. Where it is the active one, what is
// issued from now on verifies nowhere.
func (c *CA) RevokeRoot(root *x509.Certificate) {
	defer c.changed()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roots = slices.DeleteFunc(c.roots, root.Equal)
}

// watch has f called after each change of the bundle.
func (c *CA) watch(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, f)
}

func (c *CA) changed() {
	c.mu.Lock()
	watchers := slices.Clone(c.watchers)
	c.mu.Unlock()
	for _, f := range watchers {
		f()
	}
}

func (c *CA) issuer() *issuer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

// caTTL is SPIRE's default ca_ttl.
const caTTL = 24 * time.Hour

// authority is the template of a CA certificate.
func (c *CA) authority(organization string, serial *big.Int, key crypto.Signer) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{organization}, SerialNumber: serial.String()},
		URIs:                  []*url.URL{c.domain.ID().URL()},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caTTL),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          keyID(key),
	}
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, public, key))))
}

func newKey(t KeyType) crypto.Signer {
	switch t {
	case RSA2048:
		return must(rsa.GenerateKey(rand.Reader, 2048))
	case P384:
		return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	default:
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
}

func newSerial() *big.Int { return must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic("workloadtest: " + err.Error())
	}
	return v
}
