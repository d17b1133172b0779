package kest

import (
	"bytes"
	"errors"
	"unsafe"

	"kest.example/kest/internal/digest"
	"kest.example/kest/internal/jws"
)

// Evidence is one entry in its signed form, parsed but not verified.
type Evidence struct {
	Compact string // the compact JWS
	Hash    string // lower-case hex SHA-256 of Compact
	Entry   *Entry

	digest  [digest.Size]byte
	message jws.Message
}

// ParseEvidence reads a compact JWS and the entry in it, strictly (CONTRACT
// 2). It checks no signature. The error's Index is 0.
func ParseEvidence(compact string, schema Schema) (*Evidence, error) {
	ev, fault := parseEvidence(compact, schema, 0)
	if fault != nil {
		return nil, fault
	}
	return ev, nil
}

func parseEvidence(compact string, schema Schema, index int) (*Evidence, *VerificationError) {
	fail := func(reason Reason, detail string, err error) *VerificationError {
		return &VerificationError{Index: index, Reason: reason, Detail: detail, Err: err}
	}
	m, err := jws.Parse(compact, jws.TypeEntry)
	if errors.Is(err, jws.ErrAlgorithm) {
		return nil, fail(ReasonAlgorithm, "the signature", err)
	}
	if err != nil {
		return nil, fail(ReasonMalformed, "the evidence", err)
	}
	entry, err := parseEntry(unsafe.String(unsafe.SliceData(m.Payload), len(m.Payload)), schema) //nolint:gosec // nobody else has the payload
	if _, broken := errors.AsType[*schemaError](err); broken {
		return nil, fail(ReasonSchema, "the entry", err)
	}
	if err != nil {
		return nil, fail(ReasonMalformed, "the entry", err)
	}
	ev := &Evidence{Compact: compact, Entry: entry, digest: digest.SHA256(compact), message: m}
	ev.Hash = digest.Hex(ev.digest)
	return ev, nil
}

// Algorithm returns the alg of the JWS header.
func (e *Evidence) Algorithm() string { return e.message.Header.Algorithm }

// KeyID returns the kid of the JWS header, or "".
func (e *Evidence) KeyID() string { return e.message.Header.KeyID }

// Payload returns a copy of the signed bytes of the entry.
func (e *Evidence) Payload() []byte { return bytes.Clone(e.message.Payload) }

// fault makes an error about this evidence.
func (e *Evidence) fault(index int, reason Reason, detail string) *VerificationError {
	return &VerificationError{
		Index: index, EntryID: e.Entry.EntryID, Principal: e.Entry.Principal(),
		Reason: reason, Detail: detail,
	}
}

func (e *Evidence) keyRequest() KeyRequest {
	h := &e.message.Header
	r := KeyRequest{
		Principal: e.Entry.Principal(), KeyID: h.KeyID, Algorithm: h.Algorithm,
		Binding: h.Binding, X5C: h.X5C,
	}
	if h.JWK != nil {
		r.JWK = string(appendValue(h.JWK))
	}
	return r
}
