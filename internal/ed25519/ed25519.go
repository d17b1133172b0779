// Package ed25519 signs and verifies Ed25519 signatures (RFC 8032).
//
// # The rule
//
// A public key is good if it is the canonical encoding of a point (RFC 8032
// section 5.1.3: y < p, and no sign where x is 0) whose order is not 1, 2, 4 or
// 8. A key of such a small order makes signatures that hold for any message.
//
// A signature R || S is good for a key A and a message M if (section 5.1.7)
//
//   - it has 64 bytes;
//   - R is the canonical encoding of a point, of any order;
//   - S is less than L;
//   - [8][S]B = [8]R + [8][k]A, where k is SHA-512(R || A || M).
//
// The equation is the one with the cofactor, which section 5.1.7 puts first.
// The one without is allowed to implementations as well, but a batch cannot
// check it, so that the two ways to verify would differ on keys and signatures
// with a component of small order, which anybody can make for their own key.
// Here [PublicKey.Verify] and [VerifyBatch] always agree, in a guest and
// outside.
//
// Signatures of an honest signer verify under any rule, and what [PrivateKey]
// signs is what crypto/ed25519 signs, byte for byte.
//
// # Two kinds of arithmetic
//
// Outside guests, points are curve25519-voi's. That is built on products of 64
// by 64 to 128 bits, which WebAssembly does not have, so guests use package
// soft. Scalars are curve25519-voi's everywhere. No other package of ours knows
// either.
package ed25519

import (
	"bytes"
	"errors"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// Sizes in bytes.
const (
	PublicKeySize = 32
	SignatureSize = 64
	SeedSize      = 32
)

var (
	errPublicKeySize = errors.New("ed25519: a public key has 32 bytes")
	errEncoding      = errors.New("ed25519: the public key is not the canonical encoding of a point")
	errSmallOrder    = errors.New("ed25519: the public key is a point of small order")
	errSeedSize      = errors.New("ed25519: a seed has 32 bytes")
)

// PublicKey is a key that was found good, with what speeds up verification.
// Make one with NewPublicKey and keep it: in a guest the first use takes three
// times as long as any after, and 9 KB. Goroutines may share it. The zero value
// verifies nothing.
type PublicKey struct {
	encoded [PublicKeySize]byte
	point   *point
}

// NewPublicKey decodes a key, of which it keeps a copy.
func NewPublicKey(encoded []byte) (*PublicKey, error) {
	if len(encoded) != PublicKeySize {
		return nil, errPublicKeySize
	}
	k := &PublicKey{encoded: [PublicKeySize]byte(encoded)}
	var err error
	if k.point, err = newPoint(&k.encoded); err != nil {
		return nil, err
	}
	return k, nil
}

// Bytes returns a copy of the encoded key.
func (k *PublicKey) Bytes() []byte {
	if !k.usable() {
		return nil
	}
	return bytes.Clone(k.encoded[:])
}

// Verify reports whether the signature is good.
func (k *PublicKey) Verify(message, signature []byte) bool {
	return k.usable() && len(signature) == SignatureSize && k.verify(message, signature)
}

func (k *PublicKey) usable() bool { return k != nil && k.point != nil }

// Check is a signature to verify.
type Check struct {
	Key                *PublicKey
	Message, Signature []byte
}

// VerifyBatch reports whether every signature is good, which it also is of
// none. Any key that is nil makes it false.
func VerifyBatch(checks []Check) bool {
	for i := range checks {
		if c := &checks[i]; !c.Key.usable() || len(c.Signature) != SignatureSize {
			return false
		}
	}
	return verifyBatch(checks)
}

func verifyEach(checks []Check) bool {
	for i := range checks {
		if c := &checks[i]; !c.Key.verify(c.Message, c.Signature) {
			return false
		}
	}
	return true
}

// PrivateKey is a key expanded from its seed (RFC 8032 section 5.1.5).
// Goroutines may share it. The zero value signs nothing.
type PrivateKey struct {
	secret scalar.Scalar
	prefix [32]byte
	public [PublicKeySize]byte
	ready  bool
}

// NewPrivateKey expands a seed, of which it keeps no copy.
func NewPrivateKey(seed []byte) (*PrivateKey, error) {
	if len(seed) != SeedSize {
		return nil, errSeedSize
	}
	digest := sha512(seed, nil, nil)
	digest[0] &= 0xf8
	digest[31] = digest[31]&0x7f | 0x40
	k := &PrivateKey{prefix: [32]byte(digest[32:])}
	if _, err := k.secret.SetBits(digest[:32]); err != nil {
		return nil, err
	}
	mulBase(&k.public, &k.secret)
	k.ready = true
	return k, nil
}

// Public returns the encoded public key.
func (k *PrivateKey) Public() []byte {
	if !k.usable() {
		return nil
	}
	return bytes.Clone(k.public[:])
}

// Sign returns the signature of a message (RFC 8032 section 5.1.6), which is
// always the same.
func (k *PrivateKey) Sign(message []byte) []byte {
	if !k.usable() {
		return nil
	}
	signature := make([]byte, SignatureSize)
	var r, s scalar.Scalar
	setHash(&r, k.prefix[:], nil, message)
	mulBase((*[32]byte)(signature), &r)
	setHash(&s, signature[:32], k.public[:], message)
	s.Add(s.Mul(&s, &k.secret), &r)
	_ = s.ToBytes(signature[32:]) // refuses other sizes
	return signature
}

func (k *PrivateKey) usable() bool { return k != nil && k.ready }

// setHash sets s to the SHA-512 of a, b and c, modulo L.
func setHash(s *scalar.Scalar, a, b, c []byte) {
	digest := sha512(a, b, c)
	_, _ = s.SetBytesModOrderWide(digest[:]) // refuses other sizes, no values
}
