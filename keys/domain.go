package keys

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"

	"kest.example/kest"
)

// Bounds of what is kept of a trust domain's vanished authorities.
const (
	maxPast    = 128
	maxPastAge = 90 * 24 * time.Hour
)

// use is what an authority may vouch for: SPIFFE bundles keep them apart.
type use string

const (
	useX509 use = "x509"
	useJWT  use = "jwt"
	useWIT  use = "wit"
)

// authority is one of a trust domain's.
type authority struct {
	name  string // tells authorities apart, whatever their kid
	use   use
	cert  *x509.Certificate // X.509 alone
	kid   string            // JWT and WIT
	key   kest.PublicKey    // JWT and WIT
	until time.Time         // when it was last seen; zero while the bundle has it
}

// authorities takes a bundle's, in a fixed order.
func authorities(bundle *spiffebundle.Bundle) []authority {
	var list []authority
	for _, cert := range bundle.X509Authorities() {
		sum := sha256.Sum256(cert.Raw)
		list = append(list, authority{name: string(useX509) + string(sum[:]), use: useX509, cert: cert})
	}
	list = appendKeys(list, useJWT, bundle.JWTAuthorities())
	list = appendKeys(list, useWIT, bundle.WITBundle().WITAuthorities())
	slices.SortFunc(list, func(a, b authority) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(list, func(a, b authority) bool { return a.name == b.name })
}

func appendKeys(list []authority, u use, keys map[string]crypto.PublicKey) []authority {
	for kid, public := range keys {
		key, err := NewPublicKey(public)
		if err != nil {
			continue // of a kind that no token may be signed with
		}
		list = append(list, authority{name: string(u) + key.Thumbprint() + kid, use: u, kid: kid, key: key})
	}
	return list
}

// domain is what is known of one trust domain. It never changes.
type domain struct {
	present       bool        // its bundle is there
	authorities   []authority // those of the bundle first, then the vanished, the latest first
	current, past *x509.CertPool
}

// newDomain follows an old one, which may be nil: what the new bundle lacks has
// vanished now.
func newDomain(old *domain, current []authority, present bool, now time.Time) *domain {
	d := &domain{present: present, authorities: current, current: x509.NewCertPool(), past: x509.NewCertPool()}
	if old != nil {
		d.authorities = append(slices.Clone(current), old.vanished(current, now)...)
	}
	for _, a := range d.authorities {
		switch {
		case a.use != useX509:
		case a.until.IsZero():
			d.current.AddCert(a.cert)
		default:
			d.past.AddCert(a.cert)
		}
	}
	return d
}

// vanished returns the authorities that aren't among the current ones.
func (d *domain) vanished(current []authority, now time.Time) []authority {
	var past []authority
	for _, a := range d.authorities {
		if slices.ContainsFunc(current, func(c authority) bool { return c.name == a.name }) {
			continue
		}
		if a.until.IsZero() {
			a.until = now
		}
		if now.Sub(a.until) <= maxPastAge {
			past = append(past, a)
		}
	}
	slices.SortStableFunc(past, func(a, b authority) int { return b.until.Compare(a.until) })
	return past[:min(len(past), maxPast)]
}

func (d *domain) equal(other *domain) bool {
	return d.present == other.present && slices.EqualFunc(d.authorities, other.authorities, func(a, b authority) bool {
		return a.name == b.name && a.until.Equal(b.until)
	})
}

// find returns the authorities with a kid that may vouch by one of the uses.
func (d *domain) find(kid string, uses ...use) []authority {
	var list []authority
	for _, a := range d.authorities {
		if a.kid == kid && a.use != useX509 && slices.Contains(uses, a.use) {
			list = append(list, a)
		}
	}
	return list
}

// root returns the authority that is this certificate.
func (d *domain) root(cert *x509.Certificate) (authority, bool) {
	for _, a := range d.authorities {
		if a.use == useX509 && bytes.Equal(a.cert.Raw, cert.Raw) {
			return a, true
		}
	}
	return authority{}, false
}
