// Package secretscan finds secrets in what programs have let out: logs, files,
// metrics, answers and errors.
//
// A secret that is known is found in each of its Forms, whole or cut off. A
// private key that was made inside a program is found by its public half: every
// 32 bytes that could be a seed or a scalar are tried as one. Both are looked for
// inside what is base64, hex, percent-encoded or compressed, too.
package secretscan

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
)

// MinSecret is how many bytes a secret must have: what is shorter stands in other
// texts by chance.
const MinSecret = 12

// window is how much of either end of a secret is looked for, so that one that
// was cut off is found as well.
const window = 24

// Finding is a secret in a source.
type Finding struct {
	Source string
	Secret string // its name
	Form   string // how it was written there
	Before string // what stands before it, to find the place by
}

func (f Finding) String() string {
	return fmt.Sprintf("%s holds %s, %s, after %q", f.Source, f.Secret, f.Form, f.Before)
}

// Scanner knows secrets. It is not safe for concurrent use.
type Scanner struct {
	needles map[uint64][]needle // by their first 8 bytes
	keyIDs  map[string]bool     // thumbprints of keys whose private halves are not known
	tried   map[[keySize]byte]string
}

type needle struct {
	secret, form string
	text         []byte
}

// New makes a scanner that knows nothing yet.
func New() *Scanner {
	return &Scanner{needles: make(map[uint64][]needle), keyIDs: make(map[string]bool), tried: make(map[[keySize]byte]string)}
}

// Add adds a secret. It panics on one that is shorter than MinSecret.
func (s *Scanner) Add(name string, secret []byte) {
	if len(secret) < MinSecret {
		panic("secretscan: " + name + " is too short to be looked for")
	}
	if len(secret) <= window {
		s.add(name, Forms(secret))
		return
	}
	s.add(name, Forms(secret[:window]))
	s.add(name, Forms(secret[len(secret)-window:]))
}

func (s *Scanner) add(name string, forms []Form) {
	for _, f := range forms {
		key := binary.LittleEndian.Uint64(f.Text)
		s.needles[key] = append(s.needles[key], needle{name, f.Name, f.Text})
	}
}

// AddKey adds the private numbers of an Ed25519, ECDSA or RSA key. Any encoding of
// the key, such as PKCS#8, holds them. It panics on another key.
func (s *Scanner) AddKey(name string, key crypto.PrivateKey) {
	for _, number := range numbers(key) {
		s.Add(name, number)
		decimal := new(big.Int).SetBytes(number).String()
		s.add(name, []Form{{"decimal", []byte(decimal)}})
	}
}

func numbers(key crypto.PrivateKey) [][]byte {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return [][]byte{k.Seed()}
	case *ecdsa.PrivateKey:
		if d, err := k.Bytes(); err == nil {
			return [][]byte{d}
		}
	case *rsa.PrivateKey:
		list := [][]byte{k.D.Bytes(), k.Precomputed.Dp.Bytes(), k.Precomputed.Dq.Bytes(), k.Precomputed.Qinv.Bytes()}
		for _, p := range k.Primes {
			list = append(list, p.Bytes())
		}
		return list
	}
	panic(fmt.Sprintf("secretscan: a %T is no private key that can be looked for", key))
}

// AddToken adds a JWT. Its signature makes it a secret: without that it proves
// nothing. It panics on what is no JWT.
func (s *Scanner) AddToken(name, token string) {
	signature := token[strings.LastIndexByte(token, '.')+1:]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		panic("secretscan: " + name + " is no JWT")
	}
	s.Add(name, []byte(signature))
	s.Add(name, raw)
}

// AddKeyID adds a key by its public half's RFC 7638 thumbprint.
func (s *Scanner) AddKeyID(thumbprint string) {
	if !s.keyIDs[thumbprint] {
		s.keyIDs[thumbprint] = true
		clear(s.tried) // under fewer keys
	}
}

// maxDepth bounds how often an encoding is looked for in what was decoded.
const maxDepth = 4

// maxBinary is how much binary data is decoded, and tried for keys: megabytes of
// machine code look random, and a key takes microseconds to try.
const maxBinary = 256 << 10

// Scan returns the secrets in a text or in binary data, each once. In more than
// 256 KiB of binary data only secrets that are known are looked for.
func (s *Scanner) Scan(source string, data []byte) []Finding {
	r := &search{Scanner: s, source: source, found: make(map[string]bool), seen: make(map[[sha256.Size]byte]bool)}
	r.look("", data, maxDepth)
	return r.findings
}

// search is one Scan.
type search struct {
	*Scanner
	source   string
	found    map[string]bool
	seen     map[[sha256.Size]byte]bool
	findings []Finding
}

func (r *search) look(how string, data []byte, depth int) {
	sum := sha256.Sum256(data)
	if len(data) < MinSecret || r.seen[sum] {
		return
	}
	r.seen[sum] = true
	r.match(how, data)
	if len(data) > maxBinary && !isText(data) {
		return
	}
	r.tryKeys(how, data)
	if depth == 0 {
		return
	}
	decoded(data, func(encoding string, inner []byte) { r.look(how+encoding+" of ", inner, depth-1) })
}

func (r *search) match(how string, data []byte) {
	for i := 0; i+8 <= len(data); i++ {
		for _, n := range r.needles[binary.LittleEndian.Uint64(data[i:])] {
			if bytes.HasPrefix(data[i:], n.text) {
				r.report(n.secret, how+n.form, data[:i])
			}
		}
	}
}

func (r *search) report(secret, form string, before []byte) {
	if r.found[secret] {
		return
	}
	r.found[secret] = true
	r.findings = append(r.findings, Finding{r.source, secret, form, string(before[max(0, len(before)-200):])})
}
