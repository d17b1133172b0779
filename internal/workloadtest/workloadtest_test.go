package workloadtest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"kest.example/kest/internal/workloadtest"
)

const orders = "spiffe://example.org/orders"

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func client(t *testing.T, s *workloadtest.Server) *workloadapi.Client {
	t.Helper()
	c, err := workloadapi.New(testContext(t), workloadapi.WithAddr(s.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// The X.509-SVID is what SPIRE makes, over either kind of socket.
func TestX509SVID(t *testing.T) {
	for name, options := range map[string][]workloadtest.Option{
		"unix": nil, "tcp": {workloadtest.WithTCP()}, "rsa": {workloadtest.WithKey(workloadtest.RSA2048)},
	} {
		t.Run(name, func(t *testing.T) {
			s := workloadtest.New(t, workloadtest.NewCA("example.org"), orders, options...)
			svid, err := client(t, s).FetchX509SVID(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			checkLeaf(t, svid.Certificates)
			switch key := svid.PrivateKey.Public().(type) {
			case *ecdsa.PublicKey:
				if name == "rsa" || key.Curve != elliptic.P256() {
					t.Errorf("the key is of %s", key.Params().Name)
				}
			case *rsa.PublicKey:
				if name != "rsa" || key.N.BitLen() != 2048 {
					t.Errorf("the key is RSA of %d bits", key.N.BitLen())
				}
			}
			if _, _, err := x509svid.Verify(svid.Certificates, s.CA().Bundle()); err != nil {
				t.Error(err)
			}
		})
	}
}

func checkLeaf(t *testing.T, chain []*x509.Certificate) {
	t.Helper()
	leaf := chain[0]
	back := time.Since(leaf.NotBefore)
	switch {
	case len(chain) != 1:
		t.Errorf("the chain has %d certificates", len(chain))
	case leaf.IsCA || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		t.Errorf("CA: %v, usage %b", leaf.IsCA, leaf.KeyUsage)
	case len(leaf.URIs) != 1 || leaf.URIs[0].String() != orders:
		t.Errorf("the URIs are %v", leaf.URIs)
	case back < 9*time.Second || leaf.NotAfter.Sub(leaf.NotBefore) != time.Hour+10*time.Second:
		t.Errorf("it holds from %v ago for %v", back, leaf.NotAfter.Sub(leaf.NotBefore))
	}
}

// The JWT-SVID is what SPIRE makes, and the server validates it.
func TestJWTSVID(t *testing.T) {
	s := workloadtest.New(t, workloadtest.NewCA("example.org"), orders)
	c := client(t, s)
	svid, err := c.FetchJWTSVID(testContext(t), jwtsvid.Params{Audience: "urn:one"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(svid.Marshal(), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if h := token.Headers[0]; h.KeyID == "" || h.ExtraHeaders[jose.HeaderType] != "JWT" {
		t.Errorf("the header is %+v", h)
	}
	var names []string
	for name := range svid.Claims {
		names = append(names, name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"aud", "exp", "iat", "sub"}) {
		t.Errorf("the claims are %v", names)
	}
	if _, err := jwtsvid.ParseAndValidate(svid.Marshal(), s.CA().Bundle(), []string{"urn:one"}); err != nil {
		t.Error(err)
	}
	if back, err := c.ValidateJWTSVID(testContext(t), svid.Marshal(), "urn:one"); err != nil || back.ID.String() != orders {
		t.Errorf("ValidateJWTSVID: %v, %v", back, err)
	}
	if _, err := c.ValidateJWTSVID(testContext(t), svid.Marshal(), "urn:two"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("ValidateJWTSVID for another audience: %v", err)
	}
	_, err = c.FetchJWTSVID(testContext(t), jwtsvid.Params{Audience: "urn:one", Subject: spiffeid.RequireFromString("spiffe://example.org/other")})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("FetchJWTSVID of another id: %v", err)
	}
}

// Calls without the header are refused, unary ones and streams.
func TestHeader(t *testing.T) {
	s := workloadtest.New(t, workloadtest.NewCA("example.org"), orders)
	conn, err := grpc.NewClient(s.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	raw := workload.NewSpiffeWorkloadAPIClient(conn)
	for name, ctx := range map[string]context.Context{
		"none":  testContext(t),
		"other": metadata.AppendToOutgoingContext(testContext(t), "workload.spiffe.io", "false"),
	} {
		if _, err := raw.FetchJWTSVID(ctx, &workload.JWTSVIDRequest{Audience: []string{"a"}}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: FetchJWTSVID: %v", name, err)
		}
		stream, err := raw.FetchX509SVID(ctx, &workload.X509SVIDRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if m, err := stream.Recv(); status.Code(err) != codes.InvalidArgument || len(m.GetSvids()) > 0 {
			t.Errorf("%s: FetchX509SVID: %v", name, err)
		}
	}
}

// updates collects what the streams of one client push.
type updates struct {
	mu      sync.Mutex
	x509    *workloadapi.X509Context
	bundles *x509bundle.Set
	err     error
}

func (u *updates) OnX509ContextUpdate(c *workloadapi.X509Context) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.x509, u.err = c, nil
}

func (u *updates) OnX509ContextWatchError(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.err = err
}

func (u *updates) OnX509BundlesUpdate(s *x509bundle.Set) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bundles = s
}

func (u *updates) OnX509BundlesWatchError(error) {}

func (u *updates) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		u.mu.Lock()
		done := ok()
		u.mu.Unlock()
		if done {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

func watch(t *testing.T, s *workloadtest.Server) *updates {
	t.Helper()
	u := &updates{}
	c := client(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = c.WatchX509Context(ctx, u) })
	wait.Go(func() { _ = c.WatchX509Bundles(ctx, u) })
	t.Cleanup(func() { cancel(); wait.Wait() })
	return u
}

// Rotation, new and revoked roots and refusal are pushed; it serves on the same
// address after a stop.
func TestPush(t *testing.T) {
	ca, partner := workloadtest.NewCA("example.org"), workloadtest.NewCA("partner.example")
	s := workloadtest.New(t, ca, orders, workloadtest.WithFederated(partner))
	u := watch(t, s)
	u.until(t, "the first SVID", func() bool { return u.x509 != nil && u.bundles != nil })
	if u.x509.Bundles.Len() != 2 || u.bundles.Len() != 2 {
		t.Errorf("%d and %d bundles", u.x509.Bundles.Len(), u.bundles.Len())
	}
	first := ca.Roots()[0]
	second := ca.AddRoot()
	u.until(t, "a root", func() bool { return holds(u.bundles, second) && holds(u.x509.Bundles, second) })
	ca.UseRoot(second)
	s.RotateSVID()
	u.until(t, "the SVID of the new root", func() bool {
		return u.x509.DefaultSVID().Certificates[0].CheckSignatureFrom(second) == nil
	})
	ca.RevokeRoot(first)
	u.until(t, "the revocation", func() bool { return !holds(u.bundles, first) && !holds(u.x509.Bundles, first) })
	s.Refuse(true)
	u.until(t, "the refusal", func() bool { return status.Code(u.err) == codes.PermissionDenied })
	s.Refuse(false)
	u.until(t, "an answer again", func() bool { return u.err == nil })
	s.Stop()
	u.until(t, "an error", func() bool { return status.Code(u.err) == codes.Unavailable })
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	u.until(t, "an answer after a restart", func() bool { return u.err == nil })
}

func holds(set *x509bundle.Set, root *x509.Certificate) bool {
	b, ok := set.Get(spiffeid.RequireTrustDomainFromString("example.org"))
	return ok && b.HasX509Authority(root)
}

// A short-lived SVID rotates by itself, and is fresh after a pause.
func TestRotatesAtHalfLife(t *testing.T) {
	s := workloadtest.New(t, workloadtest.NewCA("example.org"), orders, workloadtest.WithTTL(2*time.Second))
	u := watch(t, s)
	first := s.SVIDs()[0].Leaf()
	u.until(t, "a rotation", func() bool { return u.x509 != nil && !u.x509.DefaultSVID().Certificates[0].Equal(first) })
	s.Stop()
	held := s.SVIDs()[0].Leaf()
	time.Sleep(time.Until(held.NotAfter))
	if !s.SVIDs()[0].Leaf().Equal(held) {
		t.Error("it rotated while it was stopped")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if now := s.SVIDs()[0].Leaf(); !time.Now().Before(now.NotAfter) {
		t.Errorf("it starts with an SVID that expired at %v", now.NotAfter)
	}
}

// What tests of verifiers need: any id, any template, expired, another root, an intermediate.
func TestIssue(t *testing.T) {
	ca := workloadtest.NewCA("example.org")
	leaf, key := ca.Mint("spiffe://elsewhere.example/x")
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || !pub.Equal(leaf.PublicKey) || leaf.URIs[0].Host != "elsewhere.example" {
		t.Error("Mint gave another id or another key")
	}
	odd := ca.Issue(workloadtest.Request{ID: orders, TTL: -time.Second, Key: workloadtest.P384, Edit: func(c *x509.Certificate) {
		c.URIs = append(c.URIs, c.URIs[0])
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}})
	if l := odd.Leaf(); len(l.URIs) != 2 || len(l.IPAddresses) != 1 || time.Now().Before(l.NotAfter) || l.NotBefore.After(l.NotAfter) {
		t.Errorf("the request was not followed: %v, %v to %v", l.URIs, l.NotBefore, l.NotAfter)
	}
	ca.UseIntermediate()
	long := ca.Issue(workloadtest.Request{ID: orders})
	if _, _, err := x509svid.Verify(long.Chain, ca.Bundle()); err != nil || len(long.Chain) != 2 || len(long.X5C()) != 2 {
		t.Errorf("a chain of %d: %v", len(long.Chain), err)
	}
	ca.RevokeRoot(ca.Roots()[0])
	if _, _, err := x509svid.Verify(long.Chain, ca.Bundle()); err == nil {
		t.Error("a chain verifies under a root that was revoked")
	}
}

func TestJWTKeys(t *testing.T) {
	ca := workloadtest.NewCA("example.org")
	old := ca.IssueJWT(workloadtest.JWTRequest{ID: orders, Audience: []string{"a"}})
	first := ca.Bundle()
	kid := ca.RotateJWTKey()
	token := ca.IssueJWT(workloadtest.JWTRequest{ID: orders, Audience: []string{"a"}, Edit: func(c map[string]any) { c["jti"] = "1" }})
	for text, want := range map[string]bool{old: true, token: false} {
		if _, err := jwtsvid.ParseAndValidate(text, first, []string{"a"}); (err == nil) != want {
			t.Errorf("under the first bundle: %v", err)
		}
		if svid, err := jwtsvid.ParseAndValidate(text, ca.Bundle(), []string{"a"}); err != nil || (svid.Claims["jti"] == nil) != want {
			t.Errorf("under both keys: %v", err)
		}
	}
	for id := range first.JWTAuthorities() {
		ca.RevokeJWTKey(id)
	}
	if b := ca.Bundle(); len(b.JWTAuthorities()) != 1 || !b.HasJWTAuthority(kid) {
		t.Errorf("the authorities are %v", b.JWTAuthorities())
	}
	if _, err := jwtsvid.ParseAndValidate(old, ca.Bundle(), []string{"a"}); err == nil {
		t.Error("a token verifies under a key that was revoked")
	}
}

// Bundles are documents that go-spiffe reads back.
func TestBundleDocument(t *testing.T) {
	ca := workloadtest.NewCA("example.org")
	text, err := ca.Bundle().Marshal()
	if err != nil || !json.Valid(text) {
		t.Fatal(err)
	}
	back, err := spiffebundle.Read(spiffeid.RequireTrustDomainFromString("example.org"), strings.NewReader(string(text)))
	if err != nil || !back.Equal(ca.Bundle()) {
		t.Errorf("read back: %v", err)
	}
}
