// Package hostcall has the names and layouts of the host functions kest.*,
// which go through proxy_call_foreign_function (DESIGN 3). Guest and host
// share it. All integers are little-endian.
package hostcall

import (
	"encoding/binary"
	"errors"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// Names of the host functions. Stock Envoy answers NotFound to each.
const (
	Verify    = "kest.verify"     // signatures in, one byte out: 1 when all are good
	Sign      = "kest.sign"       // Ed25519 seed (32 bytes) and message in, signature (64 bytes) out
	SignES256 = "kest.sign_es256" // P-256 scalar (32 bytes) and message in, R||S (64 bytes) out
	Digest    = "kest.digest"     // text in, SHA-256 (32 bytes) out
	Identity  = "kest.identity"   // a proof of possession in, an answer out: what POST /v1/sessions takes and gives
	Key       = "kest.key"        // JSON of principal and kid, binding and jwk, or x5c in, an answer out: as /v1/keys
	ClaimPut  = "kest.claim_put"  // see AppendClaim; nothing out
	ClaimGet  = "kest.claim_get"  // UUID in, body out
	// KeepSession keeps one instance's session key for the others of the same
	// filter: nothing in, what is kept out; or AppendSession's or DropSession's in.
	KeepSession = "kest.session"
	// PolicyInfo and PolicyEval serve the Rego that a host runs beside a guest:
	// nothing in, what package regoinfo reads out; see AppendEval and ParseResult.
	PolicyInfo = "kest.policy_info"
	PolicyEval = "kest.policy_eval"

	Random = "kest.random" // count (uint32) in, bytes out; only where a test fixes them
)

// SeedSize is how much of the argument of Sign is the seed.
const SeedSize = 32

// ErrLayout is returned for an argument that is not laid out as it should be.
var ErrLayout = errors.New("hostcall: malformed argument")

// AppendCheck adds one signature: uint32 length and canonical JWK, uint32
// length and signing input, uint32 length and signature.
func AppendCheck(dst []byte, jwk string, input, signature []byte) []byte {
	dst = appendPart(dst, jwk)
	dst = appendPart(dst, input)
	return appendPart(dst, signature)
}

func appendPart[T string | []byte](dst []byte, part T) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(part))) //nolint:gosec // far below 4 GiB by the passport's limits
	return append(dst, part...)
}

func takePart(b []byte) (part, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, ErrLayout
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if uint64(len(b)-4) < n { //nolint:gosec // at least four bytes are there
		return nil, nil, ErrLayout
	}
	return b[4 : 4+n], b[4+n:], nil
}

// ParseChecks reads what AppendCheck wrote. Keys resolves a JWK, so that a
// host can remember parsed ones.
func ParseChecks(b []byte, keys func(jwk string) (*jws.PublicKey, error)) ([]jws.Check, error) {
	var checks []jws.Check
	for len(b) > 0 {
		var parts [3][]byte
		var err error
		for i := range parts {
			if parts[i], b, err = takePart(b); err != nil {
				return nil, err
			}
		}
		key, err := keys(string(parts[0]))
		if err != nil {
			return nil, err
		}
		checks = append(checks, jws.Check{Key: key, Input: parts[1], Signature: parts[2]})
	}
	return checks, nil
}

// ParseKey reads a canonical JWK.
func ParseKey(jwk string) (*jws.PublicKey, error) {
	v, err := jcs.ParseString(jwk)
	if err != nil {
		return nil, err
	}
	return jws.ParseJWK(v)
}

// AppendClaim lays out the argument of ClaimPut: uint32 TTL in seconds, the
// UUID of 36 bytes, the body.
func AppendClaim(dst []byte, id, body string, seconds uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, seconds)
	dst = append(dst, id...)
	return append(dst, body...)
}

// ParseClaim reads what AppendClaim wrote.
func ParseClaim(b []byte) (id string, body []byte, seconds uint32, err error) {
	if len(b) < 40 {
		return "", nil, 0, ErrLayout
	}
	return string(b[4:40]), b[40:], binary.LittleEndian.Uint32(b), nil
}

// AppendAnswer lays out what the agent's methods give: uint16 HTTP status and body.
func AppendAnswer(dst []byte, status int, body []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(status)) //nolint:gosec // three digits
	return append(dst, body...)
}

// ParseAnswer reads what AppendAnswer wrote; status 0 is none.
func ParseAnswer(b []byte) (status int, body []byte) {
	if len(b) < 2 {
		return 0, nil
	}
	return int(binary.LittleEndian.Uint16(b)), b[2:]
}
