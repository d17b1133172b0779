package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kest.example/kest"
	"kest.example/kest/identityhost/detect"
)

var errSVIDs = errors.New("--tls-svid needs --identity spire (or auto where that is SPIRE) and " + detect.SocketVariable + ", and no --tls-cert")

// openSVIDs serves TLS with the workload's SVID and takes SVIDs of every trust
// domain whose bundle the Workload API gives. It doesn't wait for the API: until
// the first SVID is there, handshakes fail.
func (p *proxyCmd) openSVIDs(parts *proxyParts) error {
	address := os.Getenv(detect.SocketVariable)
	if address == "" || p.TLSCert != "" || p.TLSKey != "" || p.ClientCA != "" || p.Identity != detect.SPIRE && p.Identity != detect.Auto {
		return errSVIDs
	}
	s, err := watchSVIDs(address, parts.log)
	if err != nil {
		return fmt.Errorf("--tls-svid: %w", err)
	}
	parts.closers = append(parts.closers, s.close)
	parts.tls, parts.svids = tlsconfig.MTLSServerConfig(s, s, tlsconfig.AuthorizeAny()), s
	// A resumed session skips go-spiffe's check: whose root is revoked would stay.
	parts.tls.SessionTicketsDisabled = true
	return nil
}

// svids are the workload's X.509-SVID and the bundles of its peers, as the
// Workload API last gave them: a source of both for go-spiffe.
type svids struct {
	client  *workloadapi.Client
	log     *slog.Logger
	stop    context.CancelFunc
	watch   sync.WaitGroup
	current atomic.Pointer[workloadapi.X509Context] // nil: there is none
}

var (
	_ x509svid.Source                = (*svids)(nil)
	_ x509bundle.Source              = (*svids)(nil)
	_ workloadapi.X509ContextWatcher = (*svids)(nil)
)

// apiRetry is how long a lost Workload API waits for the next attempt.
const apiRetry = time.Second

// watchSVIDs follows the Workload API at an address until close. Its error says
// that the address is none.
func watchSVIDs(address string, log *slog.Logger) (*svids, error) {
	connect := grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: apiRetry / 10, Multiplier: 1.6, Jitter: 0.2, MaxDelay: apiRetry}, MinConnectTimeout: 5 * apiRetry,
	})
	ctx, stop := context.WithCancel(context.Background())
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(address),
		workloadapi.WithDialOptions(grpc.WithNoProxy(), connect), workloadapi.WithBackoffStrategy(steady{}))
	if err != nil {
		stop()
		return nil, err
	}
	s := &svids{client: client, log: log, stop: stop}
	s.watch.Go(func() { s.follow(ctx) })
	return s, nil
}

// follow goes on where go-spiffe's own watch ends: after some answers of the API.
func (s *svids) follow(ctx context.Context) {
	for ctx.Err() == nil {
		_ = s.client.WatchX509Context(ctx, s) // OnX509ContextWatchError was told
		select {
		case <-time.After(apiRetry):
		case <-ctx.Done():
		}
	}
}

func (s *svids) close() error {
	s.stop()
	s.watch.Wait()
	return s.client.Close()
}

// OnX509ContextUpdate implements workloadapi.X509ContextWatcher.
func (s *svids) OnX509ContextUpdate(c *workloadapi.X509Context) {
	before, svid := s.current.Swap(c), c.DefaultSVID()
	if before == nil || !before.DefaultSVID().Certificates[0].Equal(svid.Certificates[0]) {
		s.log.Info("TLS with another SVID", "id", svid.ID.String(), "not_after", svid.Certificates[0].NotAfter)
	}
}

// OnX509ContextWatchError implements workloadapi.X509ContextWatcher. An API that
// is away leaves what it gave; one that says that this workload has no identity
// takes it (SPIFFE Workload API section 5.2.1).
func (s *svids) OnX509ContextWatchError(err error) {
	if status.Code(err) == codes.PermissionDenied && s.current.Swap(nil) != nil {
		s.log.Error("TLS without an SVID: the Workload API knows this workload no more")
	}
}

// GetX509SVID implements x509svid.Source. Its error wraps kest.ErrUnavailable:
// there is no SVID yet, no more, or it has expired.
func (s *svids) GetX509SVID() (*x509svid.SVID, error) {
	c := s.current.Load()
	if c == nil {
		return nil, fmt.Errorf("TLS: there is no SVID: %w", kest.ErrUnavailable)
	}
	svid := c.DefaultSVID()
	if end := svid.Certificates[0].NotAfter; !time.Now().Before(end) {
		return nil, fmt.Errorf("TLS: the SVID has expired at %s: %w", end.UTC().Format(time.RFC3339), kest.ErrUnavailable)
	}
	return svid, nil
}

// GetX509BundleForTrustDomain implements x509bundle.Source.
func (s *svids) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	c := s.current.Load()
	if c == nil {
		return nil, fmt.Errorf("TLS: there is no bundle of %s: %w", td, kest.ErrUnavailable)
	}
	return c.Bundles.GetX509BundleForTrustDomain(td)
}

// steady is a workloadapi.BackoffStrategy that waits the same time always.
type steady struct{}

// NewBackoff implements workloadapi.BackoffStrategy.
func (steady) NewBackoff() workloadapi.Backoff { return steady{} }

// Next implements workloadapi.Backoff.
func (steady) Next() time.Duration { return apiRetry }

// Reset implements workloadapi.Backoff.
func (steady) Reset() {}
