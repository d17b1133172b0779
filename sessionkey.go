package kest

import (
	"context"
	"io"

	"kest.example/kest/internal/ed25519"
	"kest.example/kest/internal/jws"
	"kest.example/kest/internal/p256"
)

// SessionKey is a private key in memory that nobody has vouched for yet. It
// shows its secret to nobody but who asks for it by name.
type SessionKey struct {
	public PublicKey
	secret []byte
	signer Signer
}

// NewSessionKey makes a key for EdDSA or ES256 from 32 random bytes, or a few
// times as many.
func NewSessionKey(algorithm string, random io.Reader) (*SessionKey, error) {
	if algorithm != jws.EdDSA && algorithm != jws.ES256 {
		return nil, configurationError("a session key is for EdDSA or ES256, not " + algorithm)
	}
	for range maxDraws {
		secret := make([]byte, 32)
		if _, err := io.ReadFull(random, secret); err != nil {
			return nil, unavailable("randomness", err)
		}
		if algorithm == jws.EdDSA {
			return newEd25519Key(secret)
		}
		if k, err := newP256Key(secret); err == nil {
			return k, nil
		}
	}
	return nil, unavailable("randomness that gives no key", nil)
}

// maxDraws is more often than a random number is no P-256 key.
const maxDraws = 8

func newEd25519Key(seed []byte) (*SessionKey, error) {
	private, err := ed25519.NewPrivateKey(seed)
	if err != nil {
		return nil, &detailError{"the seed", err}
	}
	public, err := jws.NewEd25519(private.Public())
	if err != nil {
		return nil, &detailError{"the key of the seed", err}
	}
	return &SessionKey{PublicKey{public}, seed, ed25519Signer{private}}, nil
}

func newP256Key(d []byte) (*SessionKey, error) {
	x, y, err := p256.PublicKey(d)
	if err != nil {
		return nil, err
	}
	public, err := jws.NewP256(x, y)
	if err != nil {
		return nil, err
	}
	return &SessionKey{PublicKey{public}, d, es256Signer{d}}, nil
}

// Public returns the key to be bound.
func (k *SessionKey) Public() PublicKey { return k.public }

// InsecureSecret returns the Ed25519 seed or the P-256 scalar, 32 bytes, for a
// host that signs natively with what it could read in this memory anyway.
func (k *SessionKey) InsecureSecret() []byte { return k.secret }

// Identity is the workload under this key. A nil signer is the key's own,
// which in a guest can't do ES256.
func (k *SessionKey) Identity(workload string, signer Signer) *Identity {
	if signer == nil {
		signer = k.signer
	}
	return &Identity{WorkloadID: workload, Key: k.public, Signer: signer}
}

// String hides the key from logs.
func (k *SessionKey) String() string { return "kest.SessionKey(" + k.public.Thumbprint() + ")" }

// GoString hides the key from logs.
func (k *SessionKey) GoString() string { return k.String() }

// es256Signer keeps a P-256 scalar in memory and shows it to nobody.
type es256Signer struct{ d []byte }

func (s es256Signer) Sign(_ context.Context, input []byte) ([]byte, error) {
	return signES256(s.d, input)
}

// String hides the key from logs.
func (es256Signer) String() string { return "kest.Signer(ES256)" }

// GoString hides the key from logs.
func (s es256Signer) GoString() string { return s.String() }
