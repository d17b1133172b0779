package kest

import (
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"unsafe"

	"kest.example/kest/internal/jws"
)

// SignatureCheck is one signature over one signing input under one key. Who
// checks it must not change the bytes: they may be those of a string.
type SignatureCheck struct {
	Key       PublicKey
	Input     []byte
	Signature []byte
}

// SignatureVerifier is the one seam through which all signatures of a
// passport go. VerifyAll reports whether every one is good; an error means
// that it could not tell, and denies.
type SignatureVerifier interface {
	VerifyAll(checks []SignatureCheck) (bool, error)
}

// inProcess verifies with this library's own code.
type inProcess struct{}

func (inProcess) VerifyAll(checks []SignatureCheck) (bool, error) {
	list := make([]jws.Check, len(checks))
	for i, c := range checks {
		list[i] = jws.Check{Key: c.Key.k, Input: c.Input, Signature: c.Signature}
	}
	return jws.VerifyAll(list), nil
}

// VerifySignatures verifies with this library's own code. In a guest that is
// Ed25519 alone.
func VerifySignatures(checks []SignatureCheck) bool {
	ok, _ := inProcess{}.VerifyAll(checks)
	return ok
}

// keysAndSignatures does steps 4 and 5 for the entries that structure found
// good. In a passport with a fault it goes on as far as naming the lowest needs.
func (r *verification) keysAndSignatures() (*VerificationError, error) {
	fault, err := r.findKeys()
	if err != nil {
		return nil, err
	}
	n := len(r.entries)
	if fault != nil {
		if !r.v.locate {
			return fault, nil
		}
		n = fault.Index
	}
	signature, err := r.signatures(n)
	if err != nil {
		return nil, err
	}
	return lower(signature, fault), nil
}

// findKeys gives every entry the keys that may have signed it.
func (r *verification) findKeys() (*VerificationError, error) {
	if fault := r.countUnknown(); fault != nil {
		return fault, nil
	}
	pending := false
	for i := range r.entries {
		c := &r.entries[i]
		fault, err := r.keysOf(i, c)
		switch {
		case errors.Is(err, ErrKeyPending):
			pending = true
		case err != nil:
			return nil, unavailable("the keys of "+c.ev.Entry.Principal(), err)
		case fault != nil: // which no key that is still to come can mend
			return fault, nil
		}
	}
	if pending {
		return nil, ErrKeyPending
	}
	return nil, nil
}

// countUnknown bounds how many keys a passport makes a source work for (CONTRACT 3.1).
func (r *verification) countUnknown() *VerificationError {
	source, ok := r.v.keys.(KnownKeySource)
	if !ok {
		return nil
	}
	unknown := make(map[string]bool)
	for i := range r.entries {
		c := &r.entries[i]
		request := c.ev.keyRequest()
		if source.Known(request) {
			continue
		}
		unknown[strings.Join(append([]string{request.Principal, request.KeyID, request.Binding, request.JWK}, request.X5C...), "\x00")] = true
		if len(unknown) > r.v.limits.UnknownKeys {
			return c.ev.fault(i, ReasonLimit, "too many keys that are not known yet")
		}
	}
	return nil
}

func (r *verification) keysOf(i int, c *checked) (*VerificationError, error) {
	request := c.ev.keyRequest()
	keys, err := r.v.keys.Keys(r.ctx, request)
	if fault := AsVerificationError(err); fault != nil {
		return c.ev.fault(i, fault.Reason, fault.Detail), nil
	}
	switch {
	case err != nil:
		return nil, err
	case len(keys) == 0:
		return c.ev.fault(i, ReasonNoKey, "no key of its principal is known"), nil
	}
	if c.candidates = candidates(keys, request); len(c.candidates) == 0 {
		return c.ev.fault(i, ReasonAlgorithm, "its principal has no key for "+request.Algorithm), nil
	}
	if r.v.schema == SchemaStrict && c.candidates[0].Public.Thumbprint() != request.KeyID {
		return c.ev.fault(i, ReasonSchema, "its kid is not the thumbprint of a key of its principal"), nil
	}
	return nil, nil
}

// maxCandidates bounds how many keys are tried where the kid names none.
const maxCandidates = 8

// candidates keeps the keys of the entry's algorithm: the one that the kid
// names, or where it names none (it may be a workload id) all of them.
func candidates(keys []Key, request KeyRequest) []Key {
	var list []Key
	for _, k := range keys {
		if k.Public.IsZero() || k.Public.Algorithm() != request.Algorithm {
			continue
		}
		if k.Public.Thumbprint() == request.KeyID {
			return []Key{k}
		}
		if len(list) < maxCandidates {
			list = append(list, k)
		}
	}
	return list
}

// signatures checks those of the first n entries: one leaf's first, so that
// who has no key causes the work of one signature, then the rest as a batch.
func (r *verification) signatures(n int) (*VerificationError, error) {
	if n == 0 {
		return nil, nil
	}
	if r.v.locate {
		return r.lowestBad(n)
	}
	ok, err := r.try(n - 1)
	if err != nil {
		return nil, err
	}
	if !ok {
		return r.badSignature(n - 1), nil
	}
	rest, single := r.pending(n - 1)
	for _, i := range single {
		if ok, err := r.try(i); err != nil || !ok {
			return r.badSignature(i), err
		}
	}
	return r.batch(rest)
}

// pending sorts the entries before n that the cache doesn't know into those
// with one possible key and those with several.
func (r *verification) pending(n int) (batch, single []int) {
	for i := range n {
		c := &r.entries[i]
		switch {
		case len(c.candidates) > 1:
			single = append(single, i)
		case r.lowS(c) && r.cached(c, c.candidates[0]):
			c.key, c.good = c.candidates[0], true
		default:
			batch = append(batch, i)
		}
	}
	return batch, single
}

func (r *verification) batch(indexes []int) (*VerificationError, error) {
	ok, err := r.verifyAll(indexes)
	if err != nil {
		return nil, unavailable("the signatures", err)
	}
	if !ok {
		return r.search(indexes)
	}
	r.acceptAll(indexes)
	return nil, nil
}

func (r *verification) acceptAll(indexes []int) {
	for _, i := range indexes {
		r.accept(&r.entries[i], r.entries[i].candidates[0])
	}
}

func (r *verification) verifyAll(indexes []int) (bool, error) {
	checks := make([]SignatureCheck, len(indexes))
	for n, i := range indexes {
		c := &r.entries[i]
		if !r.lowS(c) {
			return false, nil
		}
		checks[n] = c.ev.check(c.candidates[0])
	}
	if len(checks) == 0 {
		return true, nil
	}
	return r.v.signatures.VerifyAll(checks)
}

// search names a bad entry of a batch that failed, by halves: that costs about
// as much again as the batch did.
func (r *verification) search(indexes []int) (*VerificationError, error) {
	for len(indexes) > 1 {
		half := len(indexes) / 2
		ok, err := r.verifyAll(indexes[:half])
		if err != nil {
			return nil, unavailable("the signatures", err)
		}
		if ok {
			indexes = indexes[half:]
		} else {
			indexes = indexes[:half]
		}
	}
	return r.badSignature(indexes[0]), nil
}

// lowestBad asks for all signatures at once and, where one is bad, for each in turn.
func (r *verification) lowestBad(n int) (*VerificationError, error) {
	rest, single := r.pending(n)
	if len(single) == 0 {
		ok, err := r.verifyAll(rest)
		if err != nil {
			return nil, unavailable("the signatures", err)
		}
		if ok {
			r.acceptAll(rest)
			return nil, nil
		}
	}
	for i := range n {
		if r.entries[i].good {
			continue
		}
		if ok, err := r.try(i); err != nil || !ok {
			return r.badSignature(i), err
		}
	}
	return nil, nil
}

// try checks one entry under each of its candidates.
func (r *verification) try(i int) (bool, error) {
	c := &r.entries[i]
	if !r.lowS(c) {
		return false, nil
	}
	for _, k := range c.candidates {
		if r.cached(c, k) {
			c.key, c.good = k, true
			return true, nil
		}
		ok, err := r.v.signatures.VerifyAll([]SignatureCheck{c.ev.check(k)})
		if err != nil {
			return false, unavailable("the signature", err)
		}
		if ok {
			r.accept(c, k)
			return true, nil
		}
	}
	return false, nil
}

func (r *verification) accept(c *checked, k Key) {
	c.key, c.good = k, true
	r.v.cache.add(signatureID{c.ev.digest, k.Public.Thumbprint()})
}

func (r *verification) cached(c *checked, k Key) bool {
	return r.v.cache.has(signatureID{c.ev.digest, k.Public.Thumbprint()})
}

func (r *verification) badSignature(i int) *VerificationError {
	return r.entries[i].ev.fault(i, ReasonSignature, "the signature does not hold under the key of its principal")
}

func (e *Evidence) check(k Key) SignatureCheck {
	return SignatureCheck{Key: k.Public, Input: bytesOf(e.message.Input), Signature: e.message.Signature}
}

// bytesOf returns the bytes of a string, which nobody may write.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) } //nolint:gosec // as it says

// lowS reports whether an ES256 signature has a low s, which only the strict schema asks.
func (r *verification) lowS(c *checked) bool {
	sig := c.ev.message.Signature
	if r.v.schema != SchemaStrict || c.ev.Algorithm() != jws.ES256 || len(sig) != 64 {
		return true
	}
	return jws.IsLowS(sig)
}

// signatureID says: this evidence under this key. Nothing else is remembered;
// validity, revocation, authority and meaning are asked each time.
type signatureID struct {
	evidence   [sha256.Size]byte
	thumbprint string
}

// signatureCache is a bounded set that forgets the least recently used half.
type signatureCache struct {
	mu          sync.Mutex
	half        int
	young, aged map[signatureID]struct{}
}

func newSignatureCache(entries int) *signatureCache {
	return &signatureCache{half: (entries + 1) / 2, young: make(map[signatureID]struct{})}
}

func (s *signatureCache) has(id signatureID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.young[id]; ok {
		return true
	}
	if _, ok := s.aged[id]; ok {
		s.put(id)
		return true
	}
	return false
}

func (s *signatureCache) add(id signatureID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id)
}

func (s *signatureCache) put(id signatureID) {
	if s.half == 0 {
		return
	}
	if len(s.young) >= s.half {
		s.aged, s.young = s.young, make(map[signatureID]struct{}, s.half)
	}
	s.young[id] = struct{}{}
}
