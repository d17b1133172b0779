package detect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost/aws"
	"kest.example/kest/identityhost/local"
	"kest.example/kest/identityhost/spire"
)

// Variables by which a provider is found.
const (
	SocketVariable       = "SPIFFE_ENDPOINT_SOCKET"
	AgentIDVariable      = aws.AgentIDVariable
	ExecutionVariable    = "AWS_EXECUTION_ENV"
	RoleVariable         = "AWS_ROLE_ARN"
	KeyVariable          = "KEST_AWS_KMS_KEY_ID"
	TokenPathVariable    = "KEST_OIDC_TOKEN_PATH" //nolint:gosec // the name of a variable
	TokenVariable        = "KEST_OIDC_TOKEN"      //nolint:gosec // the name of a variable
	JWKSVariable         = "KEST_OIDC_JWKS"       // FILE or URL: checks the token's signature
	OIDCKeyVariable      = "KEST_OIDC_KMS_KEY_ID" // the OIDC workload's key is in KMS
	RequestURLVariable   = "KEST_OIDC_REQUEST_URL"
	RequestTokenVariable = "KEST_OIDC_REQUEST_TOKEN" //nolint:gosec // the name of a variable
	WorkloadVariable     = "KEST_WORKLOAD"           // the local identity's id
)

// candidate is one kind of provider.
type candidate struct {
	kind string
	// find says whether it is there, and why or why not; an error where it is there and can't be used.
	find func(ctx context.Context, s *search) (there bool, note string, err error)
	open func(s *search) (Provider, func() error, error)
}

var candidates = [...]candidate{
	{SPIRE, findSPIRE, openSPIRE},
	{AgentCore, findAgentCore, openAgentCore},
	{KMS, findKMS, openKMS},
	{OIDC, findOIDC, openOIDC},
	{Local, findLocal, openLocal},
}

func unset(name string) string { return name + " is not set" }
func set(name string) string   { return name + " is set" }

func missing(name string) error { return fmt.Errorf("%s: %w", unset(name), kest.ErrConfiguration) }

// probeTimeout bounds how long the Workload API may take to answer.
const probeTimeout = 5 * time.Second

func findSPIRE(ctx context.Context, s *search) (bool, string, error) {
	address := s.value(SocketVariable)
	if address == "" {
		return false, unset(SocketVariable), nil
	}
	if !s.probe {
		return true, set(SocketVariable), nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := spire.Reachable(ctx, address)
	switch {
	case err == nil:
		return true, set(SocketVariable) + ", and the Workload API answers there", nil
	case s.kind == Auto && dead(err):
		return false, set(SocketVariable) + ", but the Workload API doesn't answer there: " + err.Error(), nil
	}
	return true, "", err
}

// dead tells a Workload API that isn't there from one that is and says no.
func dead(err error) bool {
	var e *spire.Error
	return errors.As(err, &e) &&
		!errors.Is(err, spire.ErrNoIdentity) && !errors.Is(err, spire.ErrKeyType) && !errors.Is(err, spire.ErrExpired)
}

func openSPIRE(s *search) (Provider, func() error, error) {
	address := s.value(SocketVariable)
	if address == "" {
		return nil, nil, missing(SocketVariable)
	}
	p, err := spire.Open(address, s.spire...)
	if err != nil {
		return nil, nil, err
	}
	return p, p.Close, nil
}

func findAgentCore(_ context.Context, s *search) (bool, string, error) {
	if s.value(AgentIDVariable) == "" {
		return false, unset(AgentIDVariable), nil
	}
	return true, set(AgentIDVariable), nil
}

func openAgentCore(s *search) (Provider, func() error, error) {
	p, err := aws.OpenAgentCore(s.env, s.aws...)
	if err != nil {
		return nil, nil, err
	}
	return p, nil, nil
}

func findKMS(_ context.Context, s *search) (bool, string, error) {
	execution, role, key := s.value(ExecutionVariable) != "", s.value(RoleVariable) != "", s.value(KeyVariable) != ""
	switch {
	case !execution && !role:
		return false, "neither " + ExecutionVariable + " nor " + unset(RoleVariable), nil
	case !key:
		return false, unset(KeyVariable), nil
	case execution:
		return true, ExecutionVariable + " and " + KeyVariable + " are set", nil
	}
	return true, RoleVariable + " and " + KeyVariable + " are set", nil
}

func openKMS(s *search) (Provider, func() error, error) {
	key := s.value(KeyVariable)
	if key == "" {
		return nil, nil, missing(KeyVariable)
	}
	p, err := aws.Open(key, s.aws...)
	if err != nil {
		return nil, nil, err
	}
	return p, nil, nil
}

func findLocal(context.Context, *search) (bool, string, error) {
	return true, "nothing else is there; nobody vouches for it: for development only", nil
}

func openLocal(s *search) (Provider, func() error, error) {
	p, err := local.Open(s.value(WorkloadVariable))
	if err != nil {
		return nil, nil, err
	}
	return p, nil, nil
}
