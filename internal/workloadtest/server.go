package workloadtest

import (
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
)

// Server is the Workload API of one workload. It is safe for concurrent use.
type Server struct {
	ca         *CA
	identities []Request
	federated  []*CA
	key        KeyType
	network    string // unix or tcp
	listen     string // the path or host:port
	late       bool
	noJWT      bool

	running sync.Mutex // held by Start and Stop
	grpc    *grpc.Server
	served  chan struct{}

	mu      sync.Mutex
	svids   []SVID
	held    bool // the SVIDs were pushed: they stay until RotateSVID
	ttl     time.Duration
	jwt     JWTRequest // what changes in JWT-SVIDs
	failure error      // what everything is answered with, or nil
	up      bool
	streams int
	changed chan struct{} // closed at the next change
	timer   *time.Timer
}

// New serves the Workload API to a workload with this id, on a Unix socket in a
// folder of the test's own, until the test ends.
func New(t testing.TB, ca *CA, id string, options ...Option) *Server {
	t.Helper()
	s := &Server{
		ca: ca, identities: []Request{{ID: id}}, network: "unix", ttl: time.Hour, changed: make(chan struct{}),
	}
	for _, o := range options {
		o(s)
	}
	if err := s.reserve(t); err != nil {
		t.Fatalf("workloadtest: %v", err)
	}
	ca.watch(s.notify)
	for _, f := range s.federated {
		f.watch(s.notify)
	}
	s.RotateSVID()
	if !s.late {
		if err := s.Start(); err != nil {
			t.Fatalf("workloadtest: %v", err)
		}
	}
	t.Cleanup(s.Stop)
	return s
}

// reserve chooses the address.
func (s *Server) reserve(t testing.TB) error {
	if s.network == "unix" {
		s.listen = filepath.Join(t.TempDir(), "api.sock")
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.listen = l.Addr().String()
	return l.Close()
}

// Address returns where the server is, as SPIFFE_ENDPOINT_SOCKET has it:
// unix:///path or tcp://127.0.0.1:port.
func (s *Server) Address() string { return s.network + "://" + s.listen }

// CA returns the authority of the workload's trust domain.
func (s *Server) CA() *CA { return s.ca }

// Bundles returns what the server hands out: its own bundle first.
func (s *Server) Bundles() []*spiffebundle.Bundle {
	list := []*spiffebundle.Bundle{s.ca.Bundle()}
	for _, f := range s.federated {
		list = append(list, f.Bundle())
	}
	return list
}

// Start serves, again or for the first time, on the same address. An SVID that
// is past half its life is rotated first.
func (s *Server) Start() error {
	s.running.Lock()
	defer s.running.Unlock()
	if s.grpc != nil {
		return nil
	}
	listener, err := net.Listen(s.network, s.listen)
	if err != nil {
		return err
	}
	if s.stale() {
		s.RotateSVID()
	}
	s.grpc = grpc.NewServer(grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(checkUnaryHeader), grpc.StreamInterceptor(checkStreamHeader))
	workload.RegisterSpiffeWorkloadAPIServer(s.grpc, &api{s: s})
	server, served := s.grpc, make(chan struct{})
	s.served = served
	go func() {
		defer close(served)
		_ = server.Serve(listener) // Stop ends it
	}()
	s.setUp(true)
	return nil
}

// Stop ends all streams and takes the socket away. It is fine to stop twice.
func (s *Server) Stop() {
	s.running.Lock()
	defer s.running.Unlock()
	if s.grpc == nil {
		return
	}
	s.setUp(false)
	s.grpc.Stop()
	<-s.served
	s.grpc = nil
}

func (s *Server) setUp(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = up
	s.schedule()
}

func (s *Server) stale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.held && s.ttl > 0 && time.Until(s.svids[0].Leaf().NotAfter) < s.ttl/2
}
