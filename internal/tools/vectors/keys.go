package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
)

// workload is somebody who signs. All keys are fixed and worthless.
type workload struct {
	id   string
	alg  string
	jwk  map[string]any
	kid  string // RFC 7638
	sign func(input []byte) []byte
}

// The workloads of the vectors. Stranger is in no set of keys.
var (
	gateway  = newEd25519("spiffe://example.org/gw/public", 'g')
	agent    = newEd25519("spiffe://example.org/agent", 'a')
	orders   = newEd25519("spiffe://example.org/orders", 'o')
	stranger = newEd25519("spiffe://evil.example/gw", 's')
	p256     = newES256("spiffe://example.org/p256", 'e')
	rsa2048  = newRS256("spiffe://example.org/rsa")
)

func seedOf(c byte) []byte { return []byte(strings.Repeat(string(rune(c)), ed25519.SeedSize)) }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// finish sets the key id: SHA-256 of the JWK's required members, which are all it has.
func (w *workload) finish() *workload {
	sum := sha256.Sum256(canonical(w.jwk))
	w.kid = encode(sum[:])
	return w
}

func newEd25519(id string, seed byte) *workload {
	key := ed25519.NewKeyFromSeed(seedOf(seed))
	public := key.Public().(ed25519.PublicKey)
	w := &workload{
		id: id, alg: "EdDSA",
		jwk:  map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode(public)},
		sign: func(input []byte) []byte { return ed25519.Sign(key, input) },
	}
	return w.finish()
}

func newES256(id string, scalar byte) *workload {
	key := must(ecdsa.ParseRawPrivateKey(elliptic.P256(), seedOf(scalar)))
	point := must(key.PublicKey.Bytes()) // 4, X, Y
	w := &workload{
		id: id, alg: "ES256",
		jwk: map[string]any{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])},
		sign: func(input []byte) []byte {
			r, s := signES256(key, input)
			if high := new(big.Int).Sub(p256Order(), s); s.Cmp(high) > 0 {
				s = high // the lower of s and n - s
			}
			return rawES256(r, s)
		},
	}
	return w.finish()
}

func p256Order() *big.Int { return elliptic.P256().Params().N }

// signES256 is deterministic (RFC 6979), since it is given no randomness.
func signES256(key *ecdsa.PrivateKey, input []byte) (r, s *big.Int) {
	digest := sha256.Sum256(input)
	var signature struct{ R, S *big.Int }
	must(asn1.Unmarshal(must(key.Sign(nil, digest[:], crypto.SHA256)), &signature))
	return signature.R, signature.S
}

func rawES256(r, s *big.Int) []byte {
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// splitES256 undoes rawES256.
func splitES256(signature []byte) (r, s *big.Int) {
	return new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
}

func newRS256(id string) *workload {
	key := must(x509.ParsePKCS1PrivateKey(must(base64.StdEncoding.DecodeString(rsaTestKey))))
	w := &workload{
		id: id, alg: "RS256",
		jwk: map[string]any{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())},
		sign: func(input []byte) []byte {
			digest := sha256.Sum256(input)
			return must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]))
		},
	}
	return w.finish()
}

// keysOf is the member "keys" of a vector.
func keysOf(list ...*workload) map[string]any {
	keys := make(map[string]any, len(list))
	for _, w := range list {
		keys[w.id] = w.jwk
	}
	return keys
}

// rsaTestKey is a PKCS #1 private key made for these vectors; it protects nothing.
const rsaTestKey = "" +
	"MIIEowIBAAKCAQEAv3TzpQ/KpgAg3F6lJLqbHrC+BSqVEedhE2Vi/tIaG5hqgKtlvU6SJYT60hmaYlyuB4X0fPuhg09LVJsO67yj" +
	"64MoUotwTAIYDTiDZCprrvEQmIt+qdDwrRhpmr+sG1z5yrvLo590NjlhoPqUJwlJGNYUnDJbgspZOQuDrNENpjMrlf9rntsgGlIm" +
	"8hHquU0gH1uOq1Zx/7eOn+xSlFxvEIsDm3edtt97CIz+DZQ7oqxntO4V7ZUHBphy+zE/ojjRAq8+GLg87na292VhTF77RgSRNXoE" +
	"h7nE0ACLCk3jd9IK5dtgMMjibrBfvIIK06h3YZPV3mJEsJgV5guUXTHdDQIDAQABAoIBAA8BystIZpkGb4z2ejlbyybnsa1T/iVO" +
	"HqTXkJ/qthMtqkN1q97f1sLMHqDzUs+c9iMu09AsJSfWwk/aa5v8yFiAiluWBHJgw6Pdpybl0FUBHkzmukHzV7oprLVtir8GVaoX" +
	"eEnWCNTrQITOv2gj6S/iL/FiXRvuYnn/Ng4IwOoi+9oLsmvwN7dJYDGrCGqN57thQHeWri/TvRW/yfXQKm7J3QZhNVITS0/9Xt/H" +
	"ZtyYuAoUyGnJkE/9YhsfgH9d9yMRJS4looqqqj+jwSKcwAr9P0aFBLsmbHWayvLMXWh5j15iKXnSPT7lvF/MBjgY95zyrejZ5z31" +
	"N+ziTqA0fj0CgYEA740cDfmBoEIfmBSFaUoODaVLNDUn+BwNS08/hFCcEmoEFHtummiIqp/WrEe1UM1WgMel5e5Wfq1JuJ65dLt2" +
	"zZngNHImMvWSdXIcJS7lc2vUN5Ab+xI2amM+NRGXgDT/PiRiiPwPbHEIxaG7DYb7/DQb0Y3fALcEt+rT4UNr/hcCgYEAzJptbxst" +
	"KfRZdHNwmBR7Ts/t+aQfI2avDSunfOeZ4J1XwAT2o49K7ySN6RApCgejtj+eE9ypBidJ8GgMkUyYuacWfPQFxS9//jqVfi1tcCTg" +
	"WkFvN6WyBI77njPAMeIL3kAf/iCnxCymSvDYutBtTi5mrnkWX1dKnVDfHkTseHsCgYAp8ne7Krm8KlgF9XH3IfScBxnIJpa9J4xc" +
	"Z6Ajt0ndH5tfSs3vU+a6mgqpWFUztQE0w8EVJksXG5kRLxoiisEe95b/GA4AVmgzEKxFBpU/RN6AbEe6C1JkBsTZ3h69YIphg1WN" +
	"zzWUM6bplIyAreZqH2XPqBwor+OvoPtBMuEyOQKBgQChi5i2Lg3130E2KeOPoDRP4Oqzvfr795plWr9uZmrfpzvel8ypDX2L3h/S" +
	"EfllOuzu+8HzSrmF60V89Jpfqsu3Yg7mb8GSlFOJxnW8X1/WOLePa7TFiiVJZh+TJKcue50FSTo5a00rHlnaN9nXfrOfFBHs1hxt" +
	"AL4gAfd4rdDLuwKBgGRVAXCGVUOresdldAealodao1NWYjVQycZ4SBL9kRlQfcK/s7veFfI4ELzwVX1GSGV09DQEP5SN7/n2tWCe" +
	"e9GACeJ4Nj/R9Trdl25OwJ2onsBFf0G0+z+f+qpfbicoe+oRq3EMyJyr70wFqQlNBJUK/FaTixAKCdIS75LkHkaL"
