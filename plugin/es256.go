package plugin

import (
	"context"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jws"
	"kest.example/kest/internal/protowire"
)

// Functions of Envoy's own, by BoringSSL. Their messages are protobuf:
// VerifySignatureArguments, SignArguments and their results.
const (
	envoyVerify = "verify_signature"
	envoySign   = "sign"
	envoyHash   = "sha256"
)

// es256Signer signs with a P-256 scalar by the host: a Go host's function, or
// Envoy's. A guest has no such code.
type es256Signer struct {
	f *Filter
	d []byte
}

func (s es256Signer) Sign(_ context.Context, input []byte) ([]byte, error) {
	if signature, ok := s.f.foreign(hostcall.SignES256, append(append(make([]byte, 0, 32+len(input)), s.d...), input...)); ok {
		return signature, nil
	}
	argument := protowire.AppendBytes(nil, 1, envoyHash)
	argument = protowire.AppendBytes(argument, 2, jws.P256PKCS8(s.d))
	argument = protowire.AppendBytes(argument, 3, input)
	result, ok := s.f.foreign(envoySign, argument)
	if !ok {
		return nil, errHost
	}
	good, der := protowire.Outcome(result)
	signature := jws.ES256FromDER(der)
	if !good || signature == nil {
		return nil, errHost
	}
	return signature, nil
}

// String hides the key from logs.
func (es256Signer) String() string { return "plugin.Signer(ES256)" }

// GoString hides the key from logs.
func (s es256Signer) GoString() string { return s.String() }

// checkAlgorithm refuses ES256 where the host has no function for it.
func (f *Filter) checkAlgorithm() error {
	if f.config.Identity.Algorithm != jws.ES256 {
		return nil
	}
	key, err := kest.NewSessionKey(jws.ES256, f.env.Random)
	if err != nil {
		return err
	}
	if _, err := f.signer(key).Sign(context.Background(), []byte("kest.sign")); err != nil {
		return &ConfigError{"identity.algorithm", "this host has no function that signs ES256"}
	}
	return nil
}

// envoyVerifier verifies Ed25519 inside, and the rest by Envoy.
type envoyVerifier struct{ f *Filter }

// VerifyAll implements kest.SignatureVerifier.
func (e envoyVerifier) VerifyAll(checks []kest.SignatureCheck) (bool, error) {
	inside := make([]kest.SignatureCheck, 0, len(checks))
	for _, c := range checks {
		if c.Key.Algorithm() == jws.EdDSA {
			inside = append(inside, c)
		} else if !e.verify(&c) {
			return false, nil
		}
	}
	return kest.VerifySignatures(inside), nil
}

// verify is false too where the host can't do it: what can't be verified is refused.
func (e envoyVerifier) verify(c *kest.SignatureCheck) bool {
	signature := c.Signature
	if c.Key.Algorithm() == jws.ES256 {
		signature = jws.ES256ToDER(signature)
	}
	if len(signature) == 0 {
		return false
	}
	argument := protowire.AppendBytes(nil, 1, envoyHash)
	argument = protowire.AppendBytes(argument, 2, c.Key.DER())
	argument = protowire.AppendBytes(argument, 3, signature)
	argument = protowire.AppendBytes(argument, 4, c.Input)
	result, ok := e.f.foreign(envoyVerify, argument)
	if !ok {
		return false
	}
	good, _ := protowire.Outcome(result)
	return good
}
