package spire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"kest.example/kest"
)

// Reachable asks the Workload API at an address for an SVID, once, within the
// context's deadline: nil where one came. Else it says in one line why: an
// *Error that wraps ErrNoSocket, ErrRefused, ErrNoIdentity,
// context.DeadlineExceeded or another cause, or, for a malformed address, an
// error that wraps kest.ErrConfiguration.
func Reachable(ctx context.Context, address string) error {
	client, d, err := connect(address)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if _, err := client.FetchX509SVID(ctx); err != nil {
		return explain(address, err, d.last())
	}
	return nil
}

// dialer connects to the one address and remembers how that ended: gRPC keeps
// only the text.
type dialer struct {
	network, target string

	mu  sync.Mutex
	err error
}

func (d *dialer) dial(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, d.network, d.target)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return conn, err
}

func (d *dialer) last() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// maxReconnect is the longest that gRPC waits between two attempts to connect:
// its own two minutes would hold up a workload for as long.
const maxReconnect = time.Second

// connect makes a client, without waiting for a connection. It never goes
// through the proxy of the environment: keys come this way.
func connect(address string) (*workloadapi.Client, *dialer, error) {
	if err := workloadapi.ValidateAddress(address); err != nil {
		return nil, nil, addressError(address, err)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil, addressError(address, err)
	}
	d := &dialer{network: u.Scheme, target: u.Host}
	dial := []grpc.DialOption{grpc.WithNoProxy(), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: minBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxReconnect},
		MinConnectTimeout: 5 * time.Second,
	})}
	switch u.Scheme {
	case "unix":
		if d.target = u.Path; u.Host != "" {
			return nil, nil, addressError(address, errHost)
		}
		dial = append(dial, grpc.WithContextDialer(d.dial))
	case "tcp":
		dial = append(dial, grpc.WithContextDialer(d.dial))
	}
	client, err := workloadapi.New(context.Background(), workloadapi.WithAddr(address),
		workloadapi.WithDialOptions(dial...), workloadapi.WithBackoffStrategy(backoffStrategy{}))
	if err != nil {
		return nil, nil, addressError(address, err)
	}
	return client, d, nil
}

var errHost = errors.New("the path of a socket is absolute: unix:///path")

func addressError(address string, err error) error {
	return fmt.Errorf("SPIFFE Workload API address %q: %w: %w", address, err, kest.ErrConfiguration)
}
