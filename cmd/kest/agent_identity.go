package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/identityhost/detect"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/internal/draw"
	"kest.example/kest/keys"
)

// openedIdentity is where a workload's identity comes from, and whose keys it
// takes: those of the trust domains that the identity knows, and of a file.
type openedIdentity struct {
	kind     string
	provider kest.Provider
	keys     kest.KeySource
	close    func()
}

// openIdentity opens the identity of a kind, auto for the one that is there, and
// the file of --keys, which may be "". Identities open lazily: one that isn't
// ready yet is no error. One that is there and can't be used is errNo; it has
// been printed.
func openIdentity(ctx context.Context, c console, log *slog.Logger, kind, keysFile string, ttl time.Duration) (*openedIdentity, error) {
	trusted, err := readTrusted(c, keysFile)
	if err != nil {
		return nil, err
	}
	return openTrusting(ctx, c, log, kind, trusted, ttl)
}

// openTrusting is openIdentity with what a file or a configuration says of whom
// to trust. It closes that, also after an error.
func openTrusting(ctx context.Context, c console, log *slog.Logger, kind string, trusted *keys.Trusted, ttl time.Duration) (*openedIdentity, error) {
	domains := &trustDomains{bundles: keys.NewBundles(nil)}
	domains.bundles.ExpectFirst()
	opened, err := detect.Open(ctx, kind, os.LookupEnv, detect.WithAWS(aws.WithBindingTTL(ttl)),
		detect.WithSPIRE(spire.WithTTL(ttl), spire.WithLogger(log), spire.OnBundles(domains.set)))
	if err != nil {
		var failed *detect.Error
		if errors.As(err, &failed) {
			fmt.Fprintln(c.err, "kest:", draw.Visible(failed.Error()))
			err = errNo
		}
		return nil, errors.Join(err, trusted.Close())
	}
	options := trusted.Options()
	if opened.Kind == detect.SPIRE { // for others no bundle will come
		options = append(options, keys.WithBundles(domains.bundles))
	}
	return &openedIdentity{
		kind: opened.Kind, provider: opened.Provider, keys: keys.NewVerifier(options...),
		close: func() { _, _ = opened.Close(), trusted.Close() },
	}, nil
}

// readTrusted reads the file of --keys: signers and static keys (keys.ParseSigners),
// or {"<principal>": JWK or [JWK, …]} as kest verify takes it.
func readTrusted(c console, path string) (*keys.Trusted, error) {
	if path == "" {
		return &keys.Trusted{}, nil
	}
	text, err := c.readDocument(path)
	if err != nil {
		return nil, err
	}
	trusted, err := keys.ParseSigners(text)
	if err == nil {
		return trusted, nil
	}
	if static, plain := kest.ParseStaticKeys(text); plain == nil {
		return &keys.Trusted{Static: static}, nil
	}
	return nil, fmt.Errorf("--keys %s: %w", path, err)
}

// trustDomains hands the bundles of an identity on.
type trustDomains struct {
	bundles *keys.Bundles

	mu    sync.Mutex
	known map[spiffeid.TrustDomain]bool
}

// set takes all bundles that there are; the trust in a domain that is not among
// them any more ends.
func (d *trustDomains) set(list []*spiffebundle.Bundle) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := make(map[spiffeid.TrustDomain]bool, len(list))
	for _, b := range list {
		now[b.TrustDomain()] = true
		d.bundles.Set(b)
	}
	for td := range d.known {
		if !now[td] {
			d.bundles.Remove(td)
		}
	}
	d.known = now
}
