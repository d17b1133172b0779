package stages

import (
	"crypto/sha256"
	"errors"
	"strings"

	"kest.example/kest/internal/ed25519"
	"kest.example/kest/internal/jws"
)

var errRaw = errors.New("a raw signature does not hold")

// rawBatch is what verification can't do without: the signatures as one batch,
// and SHA-256 of the bytes. Keys are parsed before, as a verifier's are.
func rawBatch(n int) func() error {
	l, _ := chain(n)
	entries := l.Passport().Entries()
	checks := make([]ed25519.Check, n)
	for i, e := range entries {
		m := must(jws.Parse(e, jws.TypeEntry))
		key := must(ed25519.NewPublicKey(must(jws.Decode(strings.Split(identity(i).Key.JWK(), `"`)[11]))))
		checks[i] = ed25519.Check{Key: key, Message: []byte(m.Input), Signature: m.Signature}
	}
	return func() error {
		for _, e := range entries {
			sum := sha256.Sum256([]byte(e))
			_ = sum
		}
		if !ed25519.VerifyBatch(checks) {
			return errRaw
		}
		return nil
	}
}

// rawSign is one signature over an entry's signing input.
func rawSign() func() error {
	l, _ := chain(1)
	m := must(jws.Parse(l.Passport().Entries()[0], jws.TypeEntry))
	seed := sha256.Sum256([]byte("raw"))
	key := must(ed25519.NewPrivateKey(seed[:]))
	input := []byte(m.Input)
	return func() error {
		if len(key.Sign(input)) != ed25519.SignatureSize {
			return errRaw
		}
		return nil
	}
}
