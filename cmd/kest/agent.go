package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/identityhost"
	"kest.example/kest/identityhost/rediscache"
)

type agentCmd struct {
	Listen     string        `placeholder:"unix:PATH|HOST:PORT" help:"Where to listen: a Unix socket, or a loopback address (then with --token-file)."`
	Group      string        `placeholder:"G" help:"Let this group use the socket, too: its mode is 0660."`
	Mode       string        `placeholder:"0600" help:"The socket's mode."`
	Identity   string        `enum:"auto,spire,kms,agentcore,oidc,local" default:"auto" help:"Where the workload's identity comes from: ${enum}."`
	Cache      string        `default:"memory" env:"KEST_AGENT_CACHE" placeholder:"memory|redis://…" help:"Where claims and bindings are kept; agents on other nodes find them in a Redis."`
	Keys       string        `placeholder:"FILE" help:"More keys to trust than those of the identity's own trust domain."`
	TokenFile  string        `placeholder:"FILE" help:"Ask for the bearer token in this file."`
	SessionTTL time.Duration `name:"session-ttl" default:"1h" help:"How long a session key is bound, 1h at most."`
	ClaimMiB   int64         `name:"claim-mib" default:"64" help:"MiB of live claims that are taken."`
}

func (agentCmd) Help() string {
	return "Example:\n  kest agent --listen unix:/run/kest/agent.sock --group envoy\n\n" +
		"Without --listen it is $XDG_RUNTIME_DIR/kest/agent.sock, or kest-UID/agent.sock in the folder for temporary files.\n" +
		"Whoever reaches the agent gets the workload's identity: the application's own user should not.\n" +
		"Serves HTTP/1.1 and HTTP/2 without TLS (h2c). Ends on SIGINT or SIGTERM after the requests under way."
}

// Run serves until it is told to end.
func (a *agentCmd) Run(c console) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return a.serve(ctx, c)
}

func (a *agentCmd) serve(ctx context.Context, c console) error {
	address, err := a.address()
	if err != nil {
		return err
	}
	if a.SessionTTL < time.Second || a.SessionTTL > identityhost.MaxSessionTTL {
		return fmt.Errorf("--session-ttl %s: it must be between 1s and %s", a.SessionTTL, identityhost.MaxSessionTTL)
	}
	log := slog.New(slog.NewTextHandler(c.err, nil))
	options, err := a.handlerOptions(c, log)
	if err != nil {
		return err
	}
	cache, shared, err := a.openCache()
	if err != nil {
		return err
	}
	identity, err := openIdentity(ctx, c, log, a.Identity, a.Keys, a.SessionTTL)
	if err != nil {
		return err
	}
	defer identity.close()
	agent, err := a.newAgent(identity, cache, shared)
	if err != nil {
		return err
	}
	listener, err := address.listen()
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	if !shared {
		fmt.Fprintln(c.err, "kest: claims and bindings are kept in memory: only proxies of this agent find them; --cache redis://… shares them")
	}
	fmt.Fprintf(c.err, "kest: identity %s, listening on %s\n", identity.kind, address)
	go agent.Maintain(ctx)
	return serveAgent(ctx, listener, identityhost.NewServer(identityhost.Handler(agent, options...), log))
}

func (a *agentCmd) newAgent(identity *openedIdentity, cache kest.Cache, shared bool) (*identityhost.Agent, error) {
	options := []identityhost.AgentOption{identityhost.WithSessionTTL(a.SessionTTL), identityhost.WithMaxClaims(a.ClaimMiB << 20)}
	if !shared {
		options = append(options, identityhost.WithLocalBindings())
	}
	return identityhost.NewAgent(identity.provider, identity.keys, cache, options...)
}

func (a *agentCmd) handlerOptions(c console, log *slog.Logger) ([]identityhost.HandlerOption, error) {
	options := []identityhost.HandlerOption{identityhost.WithLogger(log)}
	if a.TokenFile == "" {
		return options, nil
	}
	token, err := readToken(c, a.TokenFile)
	if err != nil {
		return nil, err
	}
	return append(options, identityhost.WithToken(token)), nil
}

// minToken is how long a token must be: 16 random bytes in base64url have 22.
const minToken = 16

// readToken reads a token of printable ASCII; line ends around it don't count.
func readToken(c console, path string) (string, error) {
	text, err := c.read(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimRight(string(text), "\r\n")
	if len(token) < minToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("--token-file %s: it must hold one token of %d characters or more, without blanks", path, minToken)
	}
	return token, nil
}

// openCache opens what --cache names; shared where other agents can find what is in it.
func (a *agentCmd) openCache() (cache kest.Cache, shared bool, err error) {
	if a.ClaimMiB < 1 || a.ClaimMiB > 1<<20 {
		return nil, false, errors.New("--claim-mib: it must be at least 1")
	}
	if a.Cache == "memory" {
		return baggage.NewMemoryCache(int(a.ClaimMiB<<20), identityhost.MaxClaim, nil), false, nil
	}
	logging.Disable() // what fails is in the agent's own log
	cache, err = rediscache.Open(a.Cache)
	if err != nil {
		return nil, false, fmt.Errorf("--cache: it is memory or the URL of a Redis: %w", err)
	}
	return cache, true, nil
}

// agentGrace is how long requests under way may take at the end.
const agentGrace = 5 * time.Second

// serveAgent serves until the context ends; then slow clients are cut off.
func serveAgent(ctx context.Context, listener net.Listener, server *http.Server) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), agentGrace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}
