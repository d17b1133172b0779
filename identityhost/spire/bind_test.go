package spire_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"kest.example/kest"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/workloadtest"
	"kest.example/kest/kesttest"
)

// claims are those of a binding of form (a).
type claims struct {
	Subject string                     `json:"sub"`
	ID      string                     `json:"jti"`
	Issued  int64                      `json:"iat"`
	Expires int64                      `json:"exp"`
	Confirm map[string]json.RawMessage `json:"cnf"`
}

// verify checks a binding of form (a) with other people's code: the chain under
// the bundle, the signature under the leaf, the claims. It returns the leaf.
func verify(bundle *spiffebundle.Bundle, bound *kest.Bound, key kest.PublicKey) (*x509.Certificate, error) {
	token, err := jose.ParseSignedCompact(bound.Binding, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, root := range bundle.X509Authorities() {
		pool.AddCert(root)
	}
	header := token.Signatures[0].Protected
	chains, err := header.Certificates(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, err
	}
	leaf := chains[0][0]
	payload, err := token.Verify(leaf.PublicKey)
	if err != nil {
		return nil, err
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, err
	}
	id, err := x509svid.IDFromCert(leaf)
	switch {
	case err != nil:
		return nil, err
	case header.ExtraHeaders[jose.HeaderType] != kest.TypeBinding:
		return nil, fmt.Errorf("typ is %v", header.ExtraHeaders[jose.HeaderType])
	case c.Subject != id.String() || c.Subject != bound.WorkloadID:
		return nil, fmt.Errorf("sub is %s, the SVID's id %s", c.Subject, id)
	case c.ID == "" || c.Issued > time.Now().Unix() || c.Expires > leaf.NotAfter.Unix() || c.Expires != bound.NotAfter.Unix():
		return nil, fmt.Errorf("jti %q, from %d to %d, leaf until %d", c.ID, c.Issued, c.Expires, leaf.NotAfter.Unix())
	case !bytes.Equal(c.Confirm["jwk"], []byte(key.JWK())):
		return nil, fmt.Errorf("cnf is %s", c.Confirm["jwk"])
	}
	return leaf, nil
}

// Form (a) is signed by the SVID and holds for the TTL or until the SVID ends.
func TestBindBySVID(t *testing.T) {
	key := kesttest.NewProvider("key").Key()
	for name, c := range map[string]struct {
		kind KeyType
		ttl  time.Duration
		want time.Duration
	}{
		"an hour":   {workloadtest.P256, 0, time.Hour},
		"a minute":  {workloadtest.P256, time.Minute, time.Minute},
		"too long":  {workloadtest.P256, 24 * time.Hour, 2 * time.Hour},
		"under RSA": {workloadtest.RSA2048, 0, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			api := serve(t, workloadtest.WithKey(c.kind), workloadtest.WithTTL(2*time.Hour))
			var options []spire.Option
			if c.ttl > 0 {
				options = append(options, spire.WithTTL(c.ttl))
			}
			p := open(t, api, options...)
			ready(t, p)
			bound, err := p.Bind(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify(api.CA().Bundle(), bound, key); err != nil {
				t.Error(err)
			}
			if off := time.Until(bound.NotAfter) - c.want; off > time.Second || off < -wait || bound.InlineJWK {
				t.Errorf("it holds for %v, inline %v", time.Until(bound.NotAfter), bound.InlineJWK)
			}
			if other := workloadtest.NewCA("example.org").Bundle(); unverified(other, bound, key) == nil {
				t.Error("it verifies under a stranger's root")
			}
		})
	}
}

// KeyType spares the table the package's name.
type KeyType = workloadtest.KeyType

func unverified(bundle *spiffebundle.Bundle, bound *kest.Bound, key kest.PublicKey) error {
	_, err := verify(bundle, bound, key)
	return err
}

// SVIDs rotate every few milliseconds while callers sign and bind: nobody sees an
// error, and everything that was made verifies.
func TestRotationUnderLoad(t *testing.T) {
	api := serve(t)
	p := open(t, api)
	ready(t, p)
	const callers, rotations = 8, 60
	var (
		done    atomic.Bool
		working sync.WaitGroup
		leaves  sync.Map
	)
	defer working.Wait()
	defer done.Store(true)
	bundle := api.CA().Bundle()
	for i := range callers {
		key := kesttest.NewProvider(fmt.Sprint(i)).Key()
		working.Go(func() {
			for !done.Load() {
				leaf, err := signAndBind(p, bundle, key)
				if err != nil {
					t.Errorf("under rotation: %v", err)
					return
				}
				leaves.Store(string(leaf.Raw), true)
			}
		})
	}
	for i := range rotations {
		api.RotateSVID()
		if i%3 == 0 {
			time.Sleep(2 * time.Millisecond)
			continue
		}
		until(t, "the SVID at work", func() bool {
			_, seen := leaves.Load(string(api.SVIDs()[0].Leaf().Raw))
			return seen || t.Failed()
		})
	}
}

func signAndBind(p *spire.Provider, bundle *spiffebundle.Bundle, key kest.PublicKey) (*x509.Certificate, error) {
	ctx := context.Background()
	id, err := p.Identity(ctx)
	if err != nil {
		return nil, err
	}
	proof, err := id.ProveKey(ctx, "1", time.Now())
	if err != nil {
		return nil, err
	}
	token, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	if _, err := token.Verify(token.Signatures[0].Protected.JSONWebKey); err != nil {
		return nil, err
	}
	bound, err := p.Bind(ctx, key)
	if err != nil {
		return nil, err
	}
	return verify(bundle, bound, key)
}

// Form (b) is a JWT-SVID for the key alone; go-spiffe and go-jose take it.
func TestBindByJWT(t *testing.T) {
	api := serve(t)
	p := open(t, api, spire.WithJWTBinding())
	ready(t, p)
	key := kesttest.NewProvider("key").Key()
	bound, err := p.Bind(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	svid, err := jwtsvid.ParseAndValidate(bound.Binding, api.CA().Bundle(), []string{key.ThumbprintURI()})
	if err != nil {
		t.Fatal(err)
	}
	if len(svid.Audience) != 1 || svid.ID.String() != orders || bound.WorkloadID != orders {
		t.Errorf("%s for %v, bound as %s", svid.ID, svid.Audience, bound.WorkloadID)
	}
	if !bound.InlineJWK || !bound.NotAfter.Equal(svid.Expiry) || !time.Now().Before(bound.NotAfter) {
		t.Errorf("inline %v until %v, the token until %v", bound.InlineJWK, bound.NotAfter, svid.Expiry)
	}
	token, err := jwt.ParseSigned(bound.Binding, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	authority, _ := api.CA().Bundle().FindJWTAuthority(token.Headers[0].KeyID)
	var c jwt.Claims
	if err := token.Claims(authority, &c); err != nil || c.ID != "" || !slices.Equal(c.Audience, []string{key.ThumbprintURI()}) {
		t.Errorf("go-jose: %v, %+v", err, c)
	}
}

// A JWT-SVID that isn't for this workload and this key alone binds nothing.
func TestUnfitJWT(t *testing.T) {
	api := serve(t)
	p := open(t, api, spire.WithJWTBinding())
	ready(t, p)
	key := kesttest.NewProvider("key").Key()
	audience := key.ThumbprintURI()
	for name, edit := range map[string]func(map[string]any){
		"two audiences":    func(c map[string]any) { c["aud"] = []string{audience, "urn:other"} },
		"twice":            func(c map[string]any) { c["aud"] = []string{audience, audience} },
		"another audience": func(c map[string]any) { c["aud"] = []string{"urn:other"} },
		"another workload": func(c map[string]any) { c["sub"] = "spiffe://example.org/other" },
		"another domain":   func(c map[string]any) { c["sub"] = "spiffe://other.org/orders" },
		"no end":           func(c map[string]any) { delete(c, "exp") },
	} {
		api.EditJWT(edit)
		if bound, err := p.Bind(context.Background(), key); !errors.Is(err, kest.ErrUnavailable) || bound != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	api.EditJWT(nil)
	api.SetJWTTTL(-time.Second)
	if _, err := p.Bind(context.Background(), key); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("one that has just expired: %v", err)
	}
	api.SetJWTTTL(time.Minute)
	if _, err := p.Bind(context.Background(), key); err != nil {
		t.Errorf("a good one: %v", err)
	}
	api.Stop()
	if _, err := p.Bind(context.Background(), key); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("without the API: %v", err)
	}
	start(t, api)
	until(t, "a binding again", func() bool { _, err := p.Bind(context.Background(), key); return err == nil })
}
