package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/host"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/bearer"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/keys"
)

// proxyParts is what stands around the filter of a proxy.
type proxyParts struct {
	log       *slog.Logger
	functions map[string]host.Function
	agent     *identityhost.Agent // nil without --identity
	checker   *bearer.Checker     // nil without --jwt-…
	tls       *tls.Config         // nil serves in the clear
	svids     *svids              // of this workload, which the handshake holds peers against; nil without --tls-svid
	closers   []func() error
}

func (p *proxyParts) close() {
	for _, f := range p.closers {
		_ = f()
	}
}

// open opens what the flags ask for.
func (p *proxyCmd) open(ctx context.Context, c console, configuration []byte) (*proxyParts, error) {
	parts := &proxyParts{log: slog.New(slog.NewTextHandler(c.err, nil))}
	cache := baggage.NewMemoryCache(claimBytes, claimBytesEach, nil)
	service := identityhost.New(cache)
	parts.functions = hostFunctions(service.Functions())
	for _, step := range []func() error{
		func() error { return p.openIdentity(ctx, c, parts, service, cache, configuration) },
		func() error { return p.openTokens(parts, configuration) },
		func() error { return p.openTLS(parts) },
	} {
		if err := step(); err != nil {
			parts.close()
			return nil, err
		}
	}
	return parts, nil
}

// openIdentity has the host functions serve the identity.
func (p *proxyCmd) openIdentity(ctx context.Context, c console, parts *proxyParts, service *identityhost.Service, cache kest.Cache, configuration []byte) error {
	if p.Identity == "" {
		return nil
	}
	trusted, err := configuredSigners(configuration)
	if err != nil {
		return err
	}
	id, err := openTrusting(ctx, c, parts.log, p.Identity, trusted, identityhost.DefaultSessionTTL)
	if err != nil {
		return err
	}
	parts.closers = append(parts.closers, func() error { id.close(); return nil })
	if parts.agent, err = identityhost.NewAgent(id.provider, id.keys, cache, identityhost.WithLocalBindings()); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "kest: identity %s\n", id.kind)
	parts.functions = hostFunctions(service.AgentFunctions(parts.agent))
	return nil
}

// configuredSigners reads keys.signers of a filter's configuration.
func configuredSigners(configuration []byte) (*keys.Trusted, error) {
	v, err := jcs.Parse(configuration)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	signers := v.Get("keys").Get("signers")
	if signers.Len() == 0 {
		return &keys.Trusted{}, nil
	}
	trusted, err := keys.ParseSigners(jcs.AppendObject(nil, jcs.Member{Name: "signers", Value: *signers}))
	if err != nil {
		return nil, fmt.Errorf("--config: keys.%w", err)
	}
	return trusted, nil
}

var errTokens = errors.New("--jwt-issuer, --jwt-audience and --jwt-jwks go together")

// openTokens has bearer tokens checked before the filter.
func (p *proxyCmd) openTokens(parts *proxyParts, configuration []byte) error {
	if p.JWTIssuer == "" && p.JWTAudience == "" && p.JWTKeys == "" {
		return nil
	}
	if p.JWTIssuer == "" || p.JWTAudience == "" || p.JWTKeys == "" {
		return errTokens
	}
	open := keys.OpenJWKSFile
	if strings.Contains(p.JWTKeys, "://") {
		open = keys.OpenJWKS
	}
	jwks, err := open(p.JWTKeys)
	if err != nil {
		return fmt.Errorf("--jwt-jwks: %w", err)
	}
	parts.closers = append(parts.closers, jwks.Close)
	options := []bearer.Option{bearer.WithLogger(parts.log)}
	if v, err := jcs.Parse(configuration); err == nil {
		if name := v.Get("user").Get("jwt").Get("metadata_key").Str(); name != "" {
			options = append(options, bearer.WithMetadataKey(name))
		}
	}
	parts.checker, err = bearer.New(p.JWTIssuer, p.JWTAudience, jwks, options...)
	return err
}

// check has tokens checked before next.
func (p *proxyParts) check(next http.Handler) http.Handler {
	if p.checker == nil {
		return next
	}
	return p.checker.Middleware(next)
}

// property shows the filter a checked token's claims, and the peer's SVID.
func (p *proxyParts) property(r *http.Request, path []string) ([]byte, bool) {
	if p.svids != nil && len(path) == 2 && path[0] == "connection" && path[1] == "uri_san_peer_certificate" {
		// go-spiffe verified it in the handshake, by the bundle of its own trust domain.
		if certificates := r.TLS.PeerCertificates; len(certificates) > 0 && len(certificates[0].URIs) == 1 {
			return []byte(certificates[0].URIs[0].String()), true
		}
		return nil, false
	}
	if p.checker == nil {
		return nil, false
	}
	return p.checker.Properties(r, path)
}

// ready tells why the proxy would refuse everything, or nil.
func (p *proxyParts) ready(ctx context.Context) error {
	if p.agent != nil {
		if err := p.agent.Ready(ctx); err != nil {
			return err
		}
	}
	if p.svids == nil {
		return nil
	}
	_, err := p.svids.GetX509SVID()
	return err
}
