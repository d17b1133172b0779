package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/local"
	"kest.example/kest/identityhost/spire"
	"kest.example/kest/keys"
)

const (
	configurationFile = "examples/envoy/envoy.yaml"
	sockets           = "examples/envoy/run"
	exampleDomain     = "spiffe://example.org"
	spiffeSocket      = "SPIFFE_ENDPOINT_SOCKET"
)

// names of the workloads, as envoy.yaml has them.
var names = [...]string{"edge", "agent", "orders"}

// serveAgents serves an agent for each workload, as `kest agent` does, and
// returns the configuration of an Envoy that uses them. Identities are local
// keys, or SVIDs where there is a Workload API.
func serveAgents(ctx context.Context) (configuration string, closeAll func(), err error) {
	var closers []func()
	closeAll = func() {
		for _, f := range closers {
			f()
		}
	}
	agents, configuration, err := newAgents(ctx, &closers)
	if err == nil {
		err = os.MkdirAll(sockets, 0o700)
	}
	for i := 0; err == nil && i < len(agents); i++ {
		err = serveAgent(agents[i], filepath.Join(sockets, names[i]+".sock"), &closers)
	}
	if err != nil {
		closeAll()
		return "", nil, err
	}
	return configuration, closeAll, nil
}

func newAgents(ctx context.Context, closers *[]func()) ([]*identityhost.Agent, string, error) {
	if address, ok := os.LookupEnv(spiffeSocket); ok && address != "" {
		return spireAgents(ctx, address, closers)
	}
	fmt.Printf("identities: local keys, each of which the three agents are told; set %s for SVIDs\n", spiffeSocket)
	return localAgents()
}

// localAgents know each other's keys by configuration: nobody else vouches for them.
func localAgents() ([]*identityhost.Agent, string, error) {
	var providers []kest.Provider
	var signers []keys.Signer
	for _, name := range names {
		provider, err := local.Open(exampleDomain + "/" + name)
		if err != nil {
			return nil, "", err
		}
		id, err := provider.Identity(context.Background())
		if err != nil {
			return nil, "", err
		}
		providers = append(providers, provider)
		signers = append(signers, keys.Signer{Principals: []kest.Pattern{kest.Pattern(id.WorkloadID)}, Keys: []kest.PublicKey{id.Key}})
	}
	agents, err := sharing(providers, keys.NewVerifier(keys.WithSigners(signers...)))
	return agents, configurationFile, err
}

// sharing makes agents that find each other's bindings in one cache, as agents
// on several nodes do in a Redis.
func sharing(providers []kest.Provider, source kest.KeySource) ([]*identityhost.Agent, error) {
	cache := baggage.NewMemoryCache(16<<20, 1<<20, nil)
	agents := make([]*identityhost.Agent, len(providers))
	for i, p := range providers {
		var err error
		if agents[i], err = identityhost.NewAgent(p, source, cache); err != nil {
			return nil, err
		}
	}
	return agents, nil
}

var errEntries = errors.New("the Workload API must know this process by three ids of one trust domain, ending in /edge, /agent and /orders")

// spireAgents take the SVIDs of the Workload API: this process stands for three
// workloads, so it needs a registration entry for each.
func spireAgents(ctx context.Context, address string, closers *[]func()) ([]*identityhost.Agent, string, error) {
	ids, err := identities(ctx, address)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", spiffeSocket, err)
	}
	bundles := keys.NewBundles(nil)
	bundles.ExpectFirst()
	var providers []kest.Provider
	for _, id := range ids {
		provider, err := spire.Open(address, spire.WithID(id.String()), spire.OnBundles(func(list []*spiffebundle.Bundle) {
			for _, b := range list {
				bundles.Set(b)
			}
		}))
		if err != nil {
			return nil, "", err
		}
		*closers = append(*closers, func() { _ = provider.Close() })
		providers = append(providers, provider)
	}
	agents, err := sharing(providers, keys.NewVerifier(keys.WithBundles(bundles)))
	if err != nil {
		return nil, "", err
	}
	domain := ids[0].TrustDomain().IDString()
	fmt.Println("identities: SVIDs of", domain)
	configuration, err := inDomain(domain, closers)
	return agents, configuration, err
}

// identities finds the ids of the three workloads among the SVIDs.
func identities(ctx context.Context, address string) ([]spiffeid.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := workloadapi.FetchX509SVIDs(ctx, workloadapi.WithAddr(address))
	if err != nil {
		return nil, err
	}
	ids := make([]spiffeid.ID, len(names))
	for i, name := range names {
		for _, svid := range list {
			if svid.ID.Path() == "/"+name {
				ids[i] = svid.ID
			}
		}
		if ids[i].IsZero() || ids[i].TrustDomain() != ids[0].TrustDomain() {
			return nil, errEntries
		}
	}
	return ids, nil
}

// inDomain writes the configuration with another trust domain.
func inDomain(domain string, closers *[]func()) (string, error) {
	text, err := os.ReadFile(configurationFile)
	if err != nil || domain == exampleDomain {
		return configurationFile, err
	}
	file := filepath.Join(os.TempDir(), "kest-envoy-"+rand.Text()+".yaml")
	*closers = append(*closers, func() { _ = os.Remove(file) })
	return file, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), exampleDomain, domain)), 0o600)
}

func serveAgent(a *identityhost.Agent, path string, closers *[]func()) error {
	_ = os.Remove(path) // of a run that was killed
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("an agent: %w", err)
	}
	server := identityhost.NewServer(identityhost.Handler(a), slog.Default())
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.Error("an agent ended", "socket", path, "error", err)
		}
	}()
	*closers = append(*closers, func() { _ = server.Close() })
	return nil
}
