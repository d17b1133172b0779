package identityhost

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// The times of a proof of possession.
const (
	proofAge  = 30 * time.Second // older is refused
	proofSkew = 30 * time.Second // further in the future is refused
)

// MaxProof is how long a proof of possession may be, in bytes.
const MaxProof = 16 << 10

// maxJTI is how long a jti may be, in bytes.
const maxJTI = 128

// proof says that its sender holds a key: its signature has been checked.
type proof struct {
	key      kest.PublicKey
	jti      string
	issued   time.Time
	binding  string // that the key has, as its sender says; or ""
	unshared bool   // a binding that no other agent finds will do
}

// parseProof reads a JWS of typ kest-session+jws (DESIGN 6): 400 where it is
// none or its key is no acceptable one, 401 where it doesn't prove anything.
func parseProof(compact string) (*proof, error) {
	if len(compact) > MaxProof {
		return nil, refused(http.StatusRequestEntityTooLarge, "the proof is too long", nil)
	}
	m, err := jws.Parse(compact, kest.TypeSession)
	if err != nil {
		return nil, malformed("the body is no compact JWS of typ "+kest.TypeSession, err)
	}
	key, err := proofKey(&m.Header)
	if err != nil {
		return nil, malformed("the header has no acceptable key", err)
	}
	p, err := parseClaims(m.Payload)
	if err != nil {
		return nil, err
	}
	if p.key, err = kest.ParsePublicKey([]byte(key.JWK())); err != nil {
		return nil, malformed("the header has no acceptable key", err)
	}
	if !jws.VerifyAll([]jws.Check{{Key: key, Input: []byte(m.Input), Signature: m.Signature}}) {
		return nil, refused(http.StatusUnauthorized, "the signature is not the key's", nil)
	}
	return p, nil
}

var errProofKey = errors.New("not a session key")

// proofKey is the header's key: Ed25519 or P-256, a good point, public members
// only, and the one that alg and kid speak of.
func proofKey(h *jws.Header) (*jws.PublicKey, error) {
	if h.JWK == nil || h.Binding != "" || len(h.X5C) > 0 {
		return nil, errProofKey
	}
	key, err := jws.ParseJWK(h.JWK)
	if err != nil {
		return nil, err
	}
	if key.Algorithm() != h.Algorithm || h.Algorithm == jws.RS256 || h.KeyID != "" && h.KeyID != key.Thumbprint() {
		return nil, errProofKey
	}
	return key, nil
}

// parseClaims reads aud, iat and jti, and binding and unshared where they are
// there. Other members are ignored (RFC 7519 section 4).
func parseClaims(payload []byte) (*proof, error) {
	v, err := jcs.Parse(payload)
	if err != nil {
		return nil, malformed("the payload is no JSON", err)
	}
	aud, jti := v.Get("aud"), v.Get("jti").Str()
	iat, whole := v.Get("iat").Int()
	if aud.Kind() != jcs.String || jti == "" || len(jti) > maxJTI || !whole {
		return nil, malformed("the payload has no aud, iat or jti of the right kind", nil)
	}
	binding, unshared := v.Get("binding"), v.Get("unshared")
	if !optional(binding, jcs.String) || !optional(unshared, jcs.Bool) {
		return nil, malformed("the payload's binding is no text, or its unshared no boolean", nil)
	}
	if aud.Str() != kest.SessionAudience {
		return nil, refused(http.StatusUnauthorized, "the proof is meant for somebody else", nil)
	}
	return &proof{jti: jti, issued: time.Unix(iat, 0), binding: binding.Str(), unshared: unshared.IsTrue()}, nil
}

func optional(v *jcs.Value, kind jcs.Kind) bool { return v.Kind() == jcs.Invalid || v.Kind() == kind }

// shown is the record of the binding that a proof brought, as if a cache held it
// for the workload: nothing of it is verified yet.
func (p *proof) shown(workload string, until time.Time) *record {
	r := &record{
		principal: workload, keyID: p.key.Thumbprint(), algorithm: p.key.Algorithm(), binding: p.binding, notAfter: until, shown: true,
	}
	if _, err := confirmedKey(p.binding); err != nil {
		r.jwk = p.key.JWK() // form (b) holds no key
	}
	return r
}

// fresh refuses a proof that is too old, or from the future.
func (p *proof) fresh(now time.Time) error {
	switch age := now.Sub(p.issued); {
	case age > proofAge:
		return refused(http.StatusUnauthorized, "the proof is too old", nil)
	case age < -proofSkew:
		return refused(http.StatusUnauthorized, "the proof is from the future", nil)
	}
	return nil
}

// id names the proof: a jti is its key's own.
func (p *proof) id() [sha256.Size]byte {
	return sha256.Sum256([]byte(p.key.Thumbprint() + "\x00" + p.jti))
}
