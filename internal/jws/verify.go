package jws

import "kest.example/kest/internal/ed25519"

// Check is one signature over one signing input under one key.
type Check struct {
	Key       *PublicKey
	Input     []byte
	Signature []byte
}

// VerifyAll reports whether all signatures are good: Ed25519 as a batch, the
// others one by one. In a guest only Ed25519 can be.
func VerifyAll(checks []Check) bool {
	batch := make([]ed25519.Check, 0, len(checks))
	for i := range checks {
		c := &checks[i]
		switch {
		case c.Key == nil:
			return false
		case c.Key.ed != nil:
			batch = append(batch, ed25519.Check{Key: c.Key.ed, Message: c.Input, Signature: c.Signature})
		case !c.Key.verifyNative(c.Input, c.Signature):
			return false
		}
	}
	return ed25519.VerifyBatch(batch)
}
