package identityhost_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/plugin/proxywasm"
)

// Names and layouts are written out here once more: a guest that was built
// before a change must go on to work with a host built after it.
const (
	verify    = "kest.verify"
	sign      = "kest.sign"
	signES256 = "kest.sign_es256"
	sum       = "kest.digest"
	bindKey   = "kest.identity"
	findKey   = "kest.key"
	claimPut  = "kest.claim_put"
	claimGet  = "kest.claim_get"
)

const uuid = "9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11"

func newCache() kest.Cache { return baggage.NewMemoryCache(4096, 2048, nil) }

func call(t *testing.T, s *identityhost.Service, name string, argument []byte) ([]byte, proxywasm.Status) {
	t.Helper()
	f := s.Functions()[name]
	if f == nil {
		t.Fatalf("there is no function %s", name)
	}
	return f(context.Background(), argument)
}

// part is a uint32, little-endian, and as many bytes.
func part(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func check(jwk string, input, signature []byte) []byte {
	return bytes.Join([][]byte{part([]byte(jwk)), part(input), part(signature)}, nil)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signer is one key of a kind: its JWK, and how it signs.
type signer struct {
	jwk  string
	sign func(input []byte) []byte
}

func newEd25519(t *testing.T, seed byte) signer {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	return signer{
		`{"crv":"Ed25519","kty":"OKP","x":"` + b64(key.Public().(ed25519.PublicKey)) + `"}`,
		func(input []byte) []byte { return ed25519.Sign(key, input) },
	}
}

func newES256(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return signer{
		`{"crv":"P-256","kty":"EC","x":"` + b64(point[1:33]) + `","y":"` + b64(point[33:]) + `"}`,
		func(input []byte) []byte {
			digest := sha256.Sum256(input)
			r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		},
	}
}

func newRS256(t *testing.T) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{
		`{"e":"` + b64(big.NewInt(int64(key.E)).Bytes()) + `","kty":"RSA","n":"` + b64(key.N.Bytes()) + `"}`,
		func(input []byte) []byte {
			digest := sha256.Sum256(input)
			s, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
}

func TestFunctions(t *testing.T) {
	for name, c := range map[string]struct {
		service *identityhost.Service
		names   []string
	}{
		"without a cache": {identityhost.New(nil), []string{verify, sign, signES256, sum}},
		"with a cache":    {identityhost.New(newCache()), []string{verify, sign, signES256, sum, claimPut, claimGet}},
	} {
		functions := c.service.Functions()
		if len(functions) != len(c.names) {
			t.Errorf("%s: %d functions", name, len(functions))
		}
		for _, n := range c.names {
			if functions[n] == nil {
				t.Errorf("%s: no function %s", name, n)
			}
		}
	}
	if hostcall.Verify != verify || hostcall.Sign != sign || hostcall.Digest != sum || hostcall.ClaimPut != claimPut || hostcall.ClaimGet != claimGet {
		t.Error("a name has changed")
	}
}

func TestDigest(t *testing.T) {
	for text, want := range map[string]string{ // FIPS 180-4's examples
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		if out, status := call(t, identityhost.New(nil), sum, []byte(text)); status != proxywasm.OK || hex.EncodeToString(out) != want {
			t.Errorf("%q: %x %v", text, out, status)
		}
	}
}

func TestVerify(t *testing.T) {
	s := identityhost.New(nil)
	input := []byte("eyJhbGciOiJFZERTQSJ9.e30")
	signers := map[string]signer{"EdDSA": newEd25519(t, 1), "another EdDSA": newEd25519(t, 2), "ES256": newES256(t), "RS256": newRS256(t)}
	var all []byte
	for name, k := range signers {
		good := check(k.jwk, input, k.sign(input))
		all = append(all, good...)
		if out, status := call(t, s, verify, good); status != proxywasm.OK || !bytes.Equal(out, []byte{1}) {
			t.Errorf("%s: %v %v", name, out, status)
		}
		for what, bad := range map[string][]byte{
			"another input":            check(k.jwk, append(input, '0'), k.sign(input)),
			"no input":                 check(k.jwk, nil, k.sign(input)),
			"a signature of zeros":     check(k.jwk, input, make([]byte, len(k.sign(input)))),
			"no signature":             check(k.jwk, input, nil),
			"a signature that is cut":  check(k.jwk, input, k.sign(input)[1:]),
			"a signature with a tail":  check(k.jwk, input, append(k.sign(input), 0)),
			"the key of another":       check(signers["another EdDSA"].jwk, input, newEd25519(t, 1).sign(input)),
			"good and then bad":        append(bytes.Clone(good), check(k.jwk, input, make([]byte, 64))...),
			"bad and then good":        append(check(k.jwk, input, make([]byte, 64)), good...),
			"the order turned around":  check(string(input), []byte(k.jwk), k.sign(input)),
			"the signature as a key":   check(b64(k.sign(input)), input, k.sign(input)),
			"a JWK of another's shape": check(`{"kty":"oct","k":"AAAA"}`, input, k.sign(input)),
		} {
			if out, status := call(t, s, verify, bad); status == proxywasm.OK && !bytes.Equal(out, []byte{0}) || status != proxywasm.OK && len(out) > 0 {
				t.Errorf("%s, %s: %v %v", name, what, out, status)
			}
		}
	}
	if out, status := call(t, s, verify, all); status != proxywasm.OK || !bytes.Equal(out, []byte{1}) {
		t.Errorf("all in one batch: %v %v", out, status)
	}
}

// A batch of many, with one bad signature at each place.
func TestVerifyFindsTheOneBadInABatch(t *testing.T) {
	s, k := identityhost.New(nil), newEd25519(t, 1)
	const n = 20
	for bad := range n {
		var batch []byte
		for i := range n {
			input := []byte(fmt.Sprint("entry ", i))
			signature := k.sign(input)
			if i == bad {
				signature[i]++
			}
			batch = append(batch, check(k.jwk, input, signature)...)
		}
		if out, status := call(t, s, verify, batch); status != proxywasm.OK || !bytes.Equal(out, []byte{0}) {
			t.Errorf("bad at %d: %v %v", bad, out, status)
		}
	}
}

func TestVerifyRefusesMalformedArguments(t *testing.T) {
	s, k := identityhost.New(nil), newEd25519(t, 1)
	good := check(k.jwk, []byte("input"), k.sign([]byte("input")))
	for cut := 1; cut < len(good); cut++ {
		if out, status := call(t, s, verify, good[:cut]); status != proxywasm.BadArgument || len(out) != 0 {
			t.Fatalf("cut after %d of %d bytes: %v %v", cut, len(good), out, status)
		}
	}
	for name, argument := range map[string][]byte{
		"a tail":                  append(bytes.Clone(good), 0),
		"a length of 4 GiB":       {0xff, 0xff, 0xff, 0xff, 1},
		"a length one too long":   append(part([]byte(k.jwk)), 2, 0, 0, 0, 1),
		"no JSON for a key":       check("x", []byte("i"), make([]byte, 64)),
		"an empty key":            check("", []byte("i"), make([]byte, 64)),
		"a private key":           check(strings.Replace(k.jwk, "{", `{"d":"AAAA",`, 1), []byte("i"), make([]byte, 64)),
		"a key of small order":    check(`{"crv":"Ed25519","kty":"OKP","x":"`+b64(append([]byte{1}, make([]byte, 31)...))+`"}`, []byte("i"), make([]byte, 64)),
		"a key off the curve":     check(`{"crv":"Ed25519","kty":"OKP","x":"`+b64(append([]byte{2}, make([]byte, 31)...))+`"}`, []byte("i"), make([]byte, 64)),
		"a key twice over":        check(k.jwk+k.jwk, []byte("i"), make([]byte, 64)),
		"a good one, then no key": append(bytes.Clone(good), check("{}", []byte("i"), make([]byte, 64))...),
	} {
		if out, status := call(t, s, verify, argument); status != proxywasm.BadArgument || len(out) != 0 {
			t.Errorf("%s: %v %v", name, out, status)
		}
	}
}

// Nothing to verify is not a yes that a guest could take for one of its signatures.
func TestVerifyOfNothing(t *testing.T) {
	out, status := call(t, identityhost.New(nil), verify, nil)
	if status == proxywasm.OK && len(out) != 1 {
		t.Errorf("%v %v", out, status)
	}
}

func TestSignIsEd25519(t *testing.T) {
	s := identityhost.New(nil)
	seed := make([]byte, 32)
	for i := range 50 {
		if _, err := rand.Read(seed); err != nil {
			t.Fatal(err)
		}
		message := bytes.Repeat([]byte("m"), i*37)
		out, status := call(t, s, sign, append(bytes.Clone(seed), message...))
		if want := ed25519.Sign(ed25519.NewKeyFromSeed(seed), message); status != proxywasm.OK || !bytes.Equal(out, want) {
			t.Fatalf("a message of %d bytes: %x %v, want %x", len(message), out, status, want)
		}
	}
	for size := range 32 {
		if out, status := call(t, s, sign, seed[:size]); status != proxywasm.BadArgument || len(out) != 0 {
			t.Errorf("a seed of %d bytes: %x %v", size, out, status)
		}
	}
}

// More keys than the service remembers: each signs as itself.
func TestManyKeys(t *testing.T) {
	s := identityhost.New(nil)
	for round := range 2 {
		for i := range 1500 {
			seed := make([]byte, 32)
			binary.LittleEndian.PutUint32(seed, uint32(i))
			if round == 1 && i%100 != 0 {
				continue
			}
			out, status := call(t, s, sign, append(seed, "message"...))
			key := ed25519.NewKeyFromSeed(seed)
			if status != proxywasm.OK || !ed25519.Verify(key.Public().(ed25519.PublicKey), []byte("message"), out) {
				t.Fatalf("key %d: %v", i, status)
			}
		}
	}
}

func claim(id, body string, seconds uint32) []byte {
	return append(append(binary.LittleEndian.AppendUint32(nil, seconds), id...), body...)
}

func TestClaims(t *testing.T) {
	now := time.Now()
	cache := baggage.NewMemoryCache(4096, 2048, func() time.Time { return now })
	s := identityhost.New(cache)
	if out, status := call(t, s, claimGet, []byte(uuid)); status != proxywasm.OK || len(out) != 0 {
		t.Errorf("a claim that isn't there: %q %v", out, status)
	}
	if out, status := call(t, s, claimPut, claim(uuid, `["a"]`, 300)); status != proxywasm.OK || len(out) != 0 {
		t.Fatalf("put: %q %v", out, status)
	}
	if out, status := call(t, s, claimPut, claim(uuid, `["b"]`, 300)); status != proxywasm.InternalFailure || len(out) != 0 {
		t.Errorf("a second put: %q %v", out, status)
	}
	if out, status := call(t, s, claimGet, []byte(uuid)); status != proxywasm.OK || string(out) != `["a"]` {
		t.Errorf("get: %q %v", out, status)
	}
	if body, err := cache.Get(context.Background(), "kest.claim."+uuid); err != nil || string(body) != `["a"]` {
		t.Errorf("in the cache under kest.claim.<uuid>: %q %v", body, err)
	}
	now = now.Add(299 * time.Second)
	if out, _ := call(t, s, claimGet, []byte(uuid)); string(out) != `["a"]` {
		t.Errorf("after 299 s: %q", out)
	}
	now = now.Add(2 * time.Second)
	if out, status := call(t, s, claimGet, []byte(uuid)); status != proxywasm.OK || len(out) != 0 {
		t.Errorf("after 301 s: %q %v", out, status)
	}
}

func TestClaimsRefuse(t *testing.T) {
	s := identityhost.New(newCache())
	for size := range 40 {
		if _, status := call(t, s, claimPut, claim(uuid, "", 300)[:size]); status != proxywasm.BadArgument {
			t.Errorf("an argument of %d bytes: %v", size, status)
		}
	}
	if _, status := call(t, s, claimPut, claim(uuid, strings.Repeat("a", 2049), 300)); status != proxywasm.InternalFailure {
		t.Errorf("a body that is too long: %v", status)
	}
	if out, status := call(t, s, claimGet, []byte(uuid)); status != proxywasm.OK || len(out) != 0 {
		t.Errorf("after that: %q %v", out, status)
	}
	for _, id := range []string{"", "x", strings.Repeat("a", 5000), uuid + "/../x"} {
		if out, status := call(t, s, claimGet, []byte(id)); len(out) != 0 {
			t.Errorf("get %.40q: %q %v", id, out, status)
		}
	}
}

// A cache that is full takes nothing more and loses nothing.
func TestFullCache(t *testing.T) {
	s, taken := identityhost.New(newCache()), 0
	id := func(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }
	full := false
	for i := range 20 {
		_, status := call(t, s, claimPut, claim(id(i), strings.Repeat("a", 500), 300))
		switch {
		case status == proxywasm.OK && !full:
			taken++
		case status == proxywasm.InternalFailure:
			full = true
		default:
			t.Errorf("claim %d: %v", i, status)
		}
	}
	if taken == 0 || !full {
		t.Fatalf("%d of 20 were taken", taken)
	}
	for i := range 20 {
		out, status := call(t, s, claimGet, []byte(id(i)))
		if status != proxywasm.OK || (len(out) == 500) != (i < taken) {
			t.Errorf("claim %d of %d: %d bytes, %v", i, taken, len(out), status)
		}
	}
}

type brokenCache struct{}

var errBroken = errors.New("broken")

func (brokenCache) Put(context.Context, string, []byte, time.Duration) error { return errBroken }
func (brokenCache) Get(context.Context, string) ([]byte, error)              { return []byte("x"), errBroken }

// A store that can't be reached is no claim that isn't there: 503, not 403.
func TestUnreachableCache(t *testing.T) {
	s := identityhost.New(brokenCache{})
	for name, argument := range map[string][]byte{claimPut: claim(uuid, "[]", 300), claimGet: []byte(uuid)} {
		if out, status := call(t, s, name, argument); status != proxywasm.InternalFailure || len(out) != 0 {
			t.Errorf("%s: %q %v", name, out, status)
		}
	}
}

func TestConcurrency(t *testing.T) {
	s := identityhost.New(baggage.NewMemoryCache(1<<20, 1<<16, nil))
	k := newEd25519(t, 9)
	var wait sync.WaitGroup
	winners := make([]bool, 32)
	for i := range winners {
		wait.Go(func() {
			for n := range 30 {
				input := fmt.Appendf(nil, "%d/%d", i, n)
				signature, status := call(t, s, sign, append(bytes.Repeat([]byte{9}, 32), input...))
				if status != proxywasm.OK || !bytes.Equal(signature, k.sign(input)) {
					t.Errorf("sign: %v", status)
				}
				if out, status := call(t, s, verify, check(k.jwk, input, signature)); status != proxywasm.OK || !bytes.Equal(out, []byte{1}) {
					t.Errorf("verify: %v %v", out, status)
				}
			}
			_, status := call(t, s, claimPut, claim(uuid, fmt.Sprint(i), 300))
			winners[i] = status == proxywasm.OK
		})
	}
	wait.Wait()
	out, _ := call(t, s, claimGet, []byte(uuid))
	won := 0
	for i, w := range winners {
		if w {
			won++
			if string(out) != fmt.Sprint(i) {
				t.Errorf("the claim is %q, not that of %d, who was told so", out, i)
			}
		}
	}
	if won != 1 {
		t.Errorf("%d callers created one claim", won)
	}
}

// An answer is JSON as it was put: the guest parses it, this side doesn't.
func TestClaimBodiesAreBytes(t *testing.T) {
	s := identityhost.New(newCache())
	body, err := json.Marshal([]string{"\x00", "é"})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range []string{string(body), "\xff\x00", strings.Repeat("[", 100)} {
		id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)
		call(t, s, claimPut, claim(id, b, 300))
		if out, _ := call(t, s, claimGet, []byte(id)); string(out) != b {
			t.Errorf("%q came back as %q", b, out)
		}
	}
}
