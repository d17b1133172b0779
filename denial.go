package kest

import (
	"bytes"
	"context"
	"errors"

	"kest.example/kest/internal/digest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
)

// TypeDenial is the typ of a denial's JWS. No passport accepts it.
const TypeDenial = jws.TypeDenial

// Denial is the signed record of a call that a policy refused (CONTRACT 6): the
// entry that the call would have had, and what refused it. The decision id is
// the entry's id.
type Denial struct {
	Entry  *Entry
	Policy string
	Tier   Tier
	Reason string
}

// canonical is the entry's canonical form with a member denial of {policy,
// reason, tier}.
func (d *Denial) canonical() []byte {
	text := d.Entry.Canonical()
	at := bytes.Index(text, []byte(`,"entry_id":"`)) // the first: only sets of taints and hashes stand before it
	b := append(make([]byte, 0, len(text)+256), text[:at]...)
	b = jcs.AppendString(append(b, `,"denial":{"policy":`...), d.Policy)
	b = jcs.AppendString(append(b, `,"reason":`...), d.Reason)
	b = jcs.AppendString(append(b, `,"tier":`...), string(d.Tier))
	return append(append(b, '}'), text[at:]...)
}

// maxDenialReason bounds the reason in a record, in bytes: an engine may say a lot.
const maxDenialReason = 1024

// Deny signs the record of a denial and adds it to the *DenialError; another
// error is returned as it is. Where nothing can be signed, the denial stands
// without a record, and its RecordErr says why.
func (p *Pending) Deny(ctx context.Context, err error) error {
	denied, ok := errors.AsType[*DenialError](err)
	if !ok {
		return err
	}
	d := Denial{Entry: p.Entry, Policy: denied.Policy, Tier: denied.Tier, Reason: cutText(denied.Reason, maxDenialReason)}
	denied.Record, denied.RecordErr = p.identity.sign(ctx, jws.TypeDenial, d.canonical(), p.now)
	return err
}

// cutText shortens a text to at most n bytes of valid UTF-8.
func cutText(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return string(bytes.ToValidUTF8([]byte(s), nil))
}

// ParseDenial reads a denial's compact JWS without verifying it.
func ParseDenial(compact string) (*Denial, error) {
	d, _, err := parseDenial(compact)
	return d, err
}

func parseDenial(compact string) (*Denial, *Evidence, error) {
	m, err := jws.Parse(compact, jws.TypeDenial)
	if err != nil {
		return nil, nil, &VerificationError{Index: -1, Reason: ReasonMalformed, Detail: "the denial", Err: err}
	}
	d := &Denial{}
	d.Entry, err = ParseEntry(m.Payload, SchemaLenient)
	if err != nil {
		return nil, nil, &VerificationError{Index: -1, Reason: ReasonSchema, Detail: "the denial", Err: err}
	}
	v, err := jcs.Parse(m.Payload)
	if err != nil {
		return nil, nil, &VerificationError{Index: -1, Reason: ReasonMalformed, Detail: "the denial", Err: err}
	}
	says := v.Get("denial")
	d.Policy, d.Tier, d.Reason = says.Get("policy").Str(), Tier(says.Get("tier").Str()), says.Get("reason").Str()
	if d.Policy == "" || d.Tier == "" {
		return nil, nil, &VerificationError{Index: -1, Reason: ReasonSchema, Detail: "the denial names no policy or no tier"}
	}
	ev := &Evidence{Compact: compact, Entry: d.Entry, digest: digest.SHA256(compact), message: m}
	ev.Hash = digest.Hex(ev.digest)
	return d, ev, nil
}

// VerifyDenial reads a denial's record and verifies who signed it, and that
// the key was good at its time. The error is a *VerificationError or wraps
// ErrUnavailable.
func (v *Verifier) VerifyDenial(ctx context.Context, compact string) (*Denial, error) {
	if len(compact) > v.limits.EntryBytes {
		return nil, &VerificationError{Index: -1, Reason: ReasonLimit, Detail: "the denial has too many bytes"}
	}
	d, ev, err := parseDenial(compact)
	if err != nil {
		return nil, err
	}
	run := verification{v: v, ctx: ctx, now: v.now(), entries: []checked{{ev: ev}}}
	fault, err := run.keysAndSignatures()
	if err != nil {
		return nil, err
	}
	if fault == nil {
		if detail := run.time(&run.entries[0]); detail != "" {
			fault = ev.fault(0, ReasonExpired, detail)
		}
	}
	if fault != nil {
		return nil, fault
	}
	return d, nil
}
