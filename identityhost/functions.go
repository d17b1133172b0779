package identityhost

import (
	"context"

	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/plugin/proxywasm"
)

// AgentFunctions are Functions and, with the agent, kest.identity and kest.key:
// a filter in this process then needs no agent beside it.
func (s *Service) AgentFunctions(a *Agent) map[string]Function {
	functions := s.Functions()
	functions[hostcall.Identity] = func(ctx context.Context, argument []byte) ([]byte, proxywasm.Status) {
		registration, err := a.Sessions(ctx, string(argument))
		if err != nil || !a.local {
			return answer(registration, err)
		}
		return answer(&undirected{registration}, nil)
	}
	functions[hostcall.Key] = func(ctx context.Context, argument []byte) ([]byte, proxywasm.Status) {
		return answer(a.question(ctx, argument))
	}
	return functions
}

// undirected is a registration that no other process can look up.
type undirected struct{ *Registration }

// JSON adds "inline": true, so that a filter whose configuration doesn't choose
// puts the binding into its entries.
func (r *undirected) JSON() []byte {
	b := r.Registration.JSON()
	return append(b[:len(b)-1], `,"inline":true}`...)
}

// question answers what DESIGN 6 asks by GET /v1/keys/{kid} or POST /v1/keys.
func (a *Agent) question(ctx context.Context, argument []byte) (*KeyAnswer, error) {
	v, err := jcs.Parse(argument)
	if err != nil {
		return nil, malformed("the question is no JSON", err)
	}
	if kid := v.Get("kid"); kid.Kind() == jcs.String {
		return a.Key(ctx, kid.Str(), v.Get("principal").Str())
	}
	return a.KeyInline(ctx, argument)
}

// answer lays out what a method gives: its HTTP status, and its JSON.
func answer[T interface{ JSON() []byte }](result T, err error) ([]byte, proxywasm.Status) {
	if err != nil {
		return hostcall.AppendAnswer(nil, StatusOf(err), nil), proxywasm.OK
	}
	return hostcall.AppendAnswer(nil, StatusOf(nil), result.JSON()), proxywasm.OK
}

// signES256 signs with the P-256 scalar that the guest holds anyway.
func (s *Service) signES256(_ context.Context, argument []byte) ([]byte, proxywasm.Status) {
	if len(argument) < hostcall.SeedSize {
		return nil, proxywasm.BadArgument
	}
	signature, err := jws.SignES256(argument[:hostcall.SeedSize], argument[hostcall.SeedSize:])
	if err != nil {
		return nil, proxywasm.BadArgument
	}
	return signature, proxywasm.OK
}
