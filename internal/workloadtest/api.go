package workloadtest

import (
	"context"
	"crypto/x509"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// api answers the calls. WIT-SVIDs are Unimplemented, as in SPIRE 1.15.
type api struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	s *Server
}

// checkHeader keeps out callers that were tricked into calling (SPIFFE Workload
// Endpoint section 3).
func checkHeader(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("workload.spiffe.io"); len(v) != 1 || v[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	return nil
}

func checkUnaryHeader(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := checkHeader(ctx); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func checkStreamHeader(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := checkHeader(stream.Context()); err != nil {
		return err
	}
	return next(server, stream)
}

// FetchX509SVID streams the SVIDs with all X.509 bundles.
func (a *api) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	return follow(a.s, stream, func() (*workload.X509SVIDResponse, error) {
		m := &workload.X509SVIDResponse{FederatedBundles: make(map[string][]byte)}
		own := concat(a.s.ca.Roots())
		for _, svid := range a.s.SVIDs() {
			key, err := x509.MarshalPKCS8PrivateKey(svid.Key)
			if err != nil {
				return nil, status.Error(codes.Internal, err.Error())
			}
			m.Svids = append(m.Svids, &workload.X509SVID{
				SpiffeId: svid.ID, X509Svid: concat(svid.Chain), X509SvidKey: key, Bundle: own, Hint: svid.Hint,
			})
		}
		for _, ca := range a.s.federated {
			m.FederatedBundles[ca.domain.IDString()] = concat(ca.Roots())
		}
		return m, nil
	})
}

// FetchX509Bundles streams all X.509 bundles.
func (a *api) FetchX509Bundles(_ *workload.X509BundlesRequest, stream grpc.ServerStreamingServer[workload.X509BundlesResponse]) error {
	return follow(a.s, stream, func() (*workload.X509BundlesResponse, error) {
		m := &workload.X509BundlesResponse{Bundles: make(map[string][]byte)}
		for _, b := range a.s.Bundles() {
			m.Bundles[b.TrustDomain().IDString()] = concat(b.X509Authorities())
		}
		return m, nil
	})
}

// FetchJWTBundles streams all JWT bundles.
func (a *api) FetchJWTBundles(_ *workload.JWTBundlesRequest, stream grpc.ServerStreamingServer[workload.JWTBundlesResponse]) error {
	if a.s.noJWT {
		return errNoJWT
	}
	return follow(a.s, stream, func() (*workload.JWTBundlesResponse, error) {
		m := &workload.JWTBundlesResponse{Bundles: make(map[string][]byte)}
		for _, b := range a.s.Bundles() {
			jwks, err := b.JWTBundle().Marshal()
			if err != nil {
				return nil, status.Error(codes.Internal, err.Error())
			}
			m.Bundles[b.TrustDomain().IDString()] = jwks
		}
		return m, nil
	})
}

// FetchJWTSVID issues a JWT-SVID of each id, or of the one that is asked for.
func (a *api) FetchJWTSVID(_ context.Context, r *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	request, err := a.s.jwtRequest()
	if err != nil {
		return nil, err
	}
	if len(r.GetAudience()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "audience must be specified")
	}
	m := new(workload.JWTSVIDResponse)
	for _, identity := range a.s.identities {
		if r.GetSpiffeId() != "" && r.GetSpiffeId() != identity.ID {
			continue
		}
		request.ID, request.Audience = identity.ID, r.GetAudience()
		m.Svids = append(m.Svids, &workload.JWTSVID{SpiffeId: identity.ID, Svid: a.s.ca.IssueJWT(request), Hint: identity.Hint})
	}
	if len(m.Svids) == 0 {
		return nil, errNoIdentity
	}
	return m, nil
}

// ValidateJWTSVID checks a JWT-SVID under all JWT bundles.
func (a *api) ValidateJWTSVID(_ context.Context, r *workload.ValidateJWTSVIDRequest) (*workload.ValidateJWTSVIDResponse, error) {
	if _, err := a.s.jwtRequest(); err != nil {
		return nil, err
	}
	set := jwtbundle.NewSet()
	for _, b := range a.s.Bundles() {
		set.Add(b.JWTBundle())
	}
	svid, err := jwtsvid.ParseAndValidate(r.GetSvid(), set, []string{r.GetAudience()})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	claims, err := structpb.NewStruct(svid.Claims)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &workload.ValidateJWTSVIDResponse{SpiffeId: svid.ID.String(), Claims: claims}, nil
}

var errNoIdentity = status.Error(codes.PermissionDenied, "no identity issued")

var errNoJWT = status.Error(codes.Unimplemented, "the JWT-SVID profile is disabled")

func (s *Server) jwtRequest() (JWTRequest, error) {
	if s.noJWT {
		return JWTRequest{}, errNoJWT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jwt, s.failure
}

func (s *Server) count(streams int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams += streams
}

// next returns what a stream needs for its next answer.
func (s *Server) next() (changed <-chan struct{}, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed, s.failure
}

// follow sends a message, and again whenever it has changed.
func follow[M any, P interface {
	*M
	proto.Message
}](s *Server, stream grpc.ServerStreamingServer[M], compose func() (P, error)) error {
	s.count(1)
	defer s.count(-1)
	var sent P
	for {
		changed, failure := s.next()
		if failure != nil {
			return failure
		}
		m, err := compose()
		if err != nil {
			return err
		}
		if sent == nil || !proto.Equal(m, sent) {
			if err := stream.Send(m); err != nil {
				return err
			}
			sent = m
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func concat(certs []*x509.Certificate) []byte {
	var der []byte
	for _, c := range certs {
		der = append(der, c.Raw...)
	}
	return der
}
