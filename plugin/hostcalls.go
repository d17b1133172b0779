package plugin

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"unsafe"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/digest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jws"
)

func (f *Filter) foreign(name string, argument []byte) ([]byte, bool) {
	if f.env.Foreign == nil {
		return nil, false
	}
	return f.env.Foreign(name, argument)
}

var errHost = errors.New("the host function did not answer")

// hostVerifier hands a passport's signatures to the host, at native speed.
type hostVerifier struct{ f *Filter }

// VerifyAll implements kest.SignatureVerifier.
func (h hostVerifier) VerifyAll(checks []kest.SignatureCheck) (bool, error) {
	size := 0
	for _, c := range checks {
		size += len(c.Input) + len(c.Signature) + 512
	}
	argument := make([]byte, 0, size)
	for _, c := range checks {
		argument = hostcall.AppendCheck(argument, c.Key.JWK(), c.Input, c.Signature)
	}
	result, ok := h.f.foreign(hostcall.Verify, argument)
	if !ok || len(result) != 1 {
		return false, errHost
	}
	return result[0] == 1, nil
}

// hostSigner signs at native speed. The host holds this guest's memory and so
// its key anyway.
type hostSigner struct {
	f    *Filter
	seed []byte
}

func (h hostSigner) Sign(_ context.Context, input []byte) ([]byte, error) {
	argument := append(append(make([]byte, 0, len(h.seed)+len(input)), h.seed...), input...)
	signature, ok := h.f.foreign(hostcall.Sign, argument)
	if !ok {
		return nil, errHost
	}
	return signature, nil
}

// nativeDigest has the entries' hashes made by the host where it makes the same.
func (f *Filter) nativeDigest() {
	native := func(text string) (sum [digest.Size]byte, ok bool) {
		result, ok := f.foreign(hostcall.Digest, unsafe.Slice(unsafe.StringData(text), len(text))) //nolint:gosec // a host only reads its argument
		if !ok || len(result) != digest.Size {
			return sum, false
		}
		return [digest.Size]byte(result), true
	}
	digest.Use(nil)
	probe := strings.Repeat(hostcall.Digest, 100)
	if have, ok := native(probe); ok && have == digest.SHA256(probe) {
		digest.Use(native)
	}
}

// nativeSigner returns a signer by the host where it has one that gives the
// same signature, else the one inside.
func (f *Filter) nativeSigner(seed []byte, inside kest.Signer) kest.Signer {
	probe := []byte("kest.sign")
	native := hostSigner{f, seed}
	want, err := inside.Sign(context.Background(), probe)
	if err != nil {
		return inside
	}
	if have, err := native.Sign(context.Background(), probe); err != nil || !bytes.Equal(want, have) {
		return inside
	}
	return native
}

// signer returns how a session key signs here: by the host where it does it
// natively, else inside; nil is the key's own way.
func (f *Filter) signer(key *kest.SessionKey) kest.Signer {
	secret := key.InsecureSecret()
	if key.Public().Algorithm() == jws.ES256 {
		return es256Signer{f, secret}
	}
	return f.nativeSigner(secret, key.Identity("", nil).Signer)
}

// compressFunction takes text and gives a zlib stream. Stock Envoy has it.
const compressFunction = "compress"

// deflater compresses by the host where there is one; nil is this library's own.
func (f *Filter) deflater() baggage.Deflater {
	if f.env.Foreign == nil || !f.config.Propagation.Compress {
		return nil
	}
	return func(text []byte) ([]byte, bool) { return f.foreign(compressFunction, text) }
}
