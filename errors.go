package kest

import (
	"errors"
	"strconv"
)

// Reason says in one word why a passport was refused.
type Reason string

// The reasons for which a passport fails verification (CONTRACT 3).
const (
	ReasonMalformed Reason = "malformed"
	ReasonLimit     Reason = "limit"
	ReasonAlgorithm Reason = "algorithm"
	ReasonNoKey     Reason = "no_key"
	ReasonSignature Reason = "signature"
	ReasonParents   Reason = "parents"
	ReasonDuplicate Reason = "duplicate"
	ReasonSchema    Reason = "schema"
	ReasonTrust     Reason = "trust"
	ReasonTaints    Reason = "taints"
	ReasonAuthority Reason = "authority"
	ReasonExpired   Reason = "expired"
	ReasonBinding   Reason = "binding"
	ReasonPeer      Reason = "peer"
)

// VerificationError says what is wrong with a passport, and where.
type VerificationError struct {
	Index     int    // of the faulty entry from 0; -1 when it is the passport as a whole
	EntryID   string // "" where the entry could not be read
	Principal string // as the entry claims; "" where it could not be read
	Reason    Reason
	Detail    string
	Err       error // what caused it, or nil
}

func (e *VerificationError) Error() string {
	text := "passport: "
	if e.Index >= 0 {
		text = "entry " + strconv.Itoa(e.Index)
		if e.Principal != "" {
			text += " of " + strconv.Quote(e.Principal)
		}
		text += ": "
	}
	text += string(e.Reason) + ": " + e.Detail
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *VerificationError) Unwrap() error { return e.Err }

// Sentinels that tell callers what kind of failure they see, for errors.Is.
var (
	// ErrUnavailable is wrapped where a part that is needed could not be
	// reached or answered late: an identity, a key source, an engine, a cache.
	// A proxy answers 503.
	ErrUnavailable = errors.New("unavailable")
	// ErrKeyPending is returned by a KeySource that has to call out for a key
	// and can't wait. A verification goes on to ask for the other entries' keys
	// and then fails with it; with the keys at hand it is begun anew.
	ErrKeyPending = errors.New("the key is still to be fetched")
	// ErrConfiguration is wrapped by every error that a change of configuration mends.
	ErrConfiguration = errors.New("configuration")
	// ErrNoRoot is returned for a call without a passport where no root is granted.
	ErrNoRoot = errors.New("no passport, and no root is granted here")
	// ErrDenied is wrapped by every denial.
	ErrDenied = errors.New("denied by policy")
)

// DenialError is the refusal of one invocation by policy.
type DenialError struct {
	DecisionID string // the id of the entry that was not made
	Operation  string
	Workload   string
	Policy     string
	Tier       Tier
	Reason     string
	Err        error // the engine's failure, or nil where it said no

	Record    string // the denial as a signed record, see ParseDenial; "" where there is none
	RecordErr error  // why there is none
}

func (e *DenialError) Error() string {
	text := "kest: " + e.Operation + " denied by policy " + strconv.Quote(e.Policy) +
		" of tier " + string(e.Tier) + " (decision " + e.DecisionID + ")"
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Is makes errors.Is(err, ErrDenied) hold.
func (e *DenialError) Is(target error) bool { return target == ErrDenied }

func (e *DenialError) Unwrap() error { return e.Err }

// detailError is an error of one text that wraps a sentinel or a cause. It
// spares guests the size of fmt.
type detailError struct {
	detail string
	err    error
}

func (e *detailError) Error() string {
	if e.err == nil {
		return "kest: " + e.detail
	}
	return "kest: " + e.detail + ": " + e.err.Error()
}

func (e *detailError) Unwrap() error { return e.err }

// MemberError names the member of a configuration that is wrong, from where
// the checked value stands. It wraps ErrConfiguration.
type MemberError struct {
	Member string // such as root.origin or policies[1]
	Detail string
}

func (e *MemberError) Error() string { return "kest: " + e.Member + ": " + e.Detail }

func (e *MemberError) Unwrap() error { return ErrConfiguration }

func configurationError(detail string) error { return &detailError{detail, ErrConfiguration} }

func unavailable(detail string, err error) error {
	return &unavailableError{detail, err}
}

// unavailableError says in one line what could not be reached, and why.
type unavailableError struct {
	detail string
	err    error // or nil
}

func (e *unavailableError) Error() string {
	text := "kest: " + e.detail + ": " + ErrUnavailable.Error()
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}

func (e *unavailableError) Unwrap() []error {
	if e.err == nil {
		return []error{ErrUnavailable}
	}
	return []error{ErrUnavailable, e.err}
}
