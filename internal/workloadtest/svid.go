package workloadtest

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"net/url"
	"time"
)

// SVID is an X.509-SVID with its key.
type SVID struct {
	ID    string
	Hint  string              // the operator's, see the Workload API's section 5.2.1
	Chain []*x509.Certificate // leaf first, without the root
	Key   crypto.Signer
}

// Leaf returns the certificate of the key.
func (s SVID) Leaf() *x509.Certificate { return s.Chain[0] }

// X5C returns the chain as a JWS header's x5c: standard base64 of DER, leaf first.
func (s SVID) X5C() []string {
	list := make([]string, len(s.Chain))
	for i, c := range s.Chain {
		list[i] = base64.StdEncoding.EncodeToString(c.Raw)
	}
	return list
}

// Request says what SVID is to be issued. Only the ID is required; it may lie in
// any trust domain.
type Request struct {
	ID   string
	Hint string
	Key  KeyType
	TTL  time.Duration                // 0 is an hour; a negative one has expired already
	Edit func(cert *x509.Certificate) // changes the template before it is signed
}

// backdate is how far SPIRE sets NotBefore back.
const backdate = 10 * time.Second

// Mint issues an SVID of an id: the leaf and its key.
func (c *CA) Mint(id string) (*x509.Certificate, crypto.Signer) {
	svid := c.Issue(Request{ID: id})
	return svid.Leaf(), svid.Key
}

// Issue issues an SVID as SPIRE does, but for what the request changes. It
// panics on an id that is no URI.
func (c *CA) Issue(r Request) SVID {
	key := newKey(r.Key)
	from := c.issuer()
	template := leafTemplate(r, from.cert)
	template.SubjectKeyId = keyID(key)
	if r.Edit != nil {
		r.Edit(template)
	}
	leaf := sign(template, from.cert, key.Public(), from.key)
	return SVID{ID: r.ID, Hint: r.Hint, Key: key, Chain: append([]*x509.Certificate{leaf}, from.chain...)}
}

func leafTemplate(r Request, issuer *x509.Certificate) *x509.Certificate {
	now := time.Now()
	if r.TTL == 0 {
		r.TTL = time.Hour
	}
	notBefore, notAfter := now.Add(-backdate), now.Add(r.TTL)
	if r.TTL < 0 {
		notBefore = notAfter.Add(-time.Hour)
	}
	if notAfter.After(issuer.NotAfter) {
		notAfter = issuer.NotAfter
	}
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}},
		URIs:                  []*url.URL{must(url.Parse(r.ID))},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
}

// keyID tells keys apart. Chains are built by it: subjects repeat.
func keyID(key crypto.Signer) []byte {
	sum := sha256.Sum256(must(x509.MarshalPKIXPublicKey(key.Public())))
	return sum[:20]
}
