package baggage

import "kest.example/kest"

// Kind says how a request with such baggage is answered (CONTRACT 7).
type Kind int

// Kinds of errors, with the HTTP status of each.
const (
	KindMalformed   Kind = 400 // it doesn't parse, two carriers, decompression over its bound
	KindRefused     Kind = 403 // the tip isn't the leaves, the claim isn't there, a limit
	KindUnavailable Kind = 503 // no cache where one is needed
)

// Error says why baggage can't be read or written.
type Error struct {
	Kind   Kind
	Detail string
	Err    error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return "baggage: " + e.Detail + ": " + e.Err.Error()
	}
	return "baggage: " + e.Detail
}

// Unwrap returns the cause; ErrUnavailable where a cache is missing.
func (e *Error) Unwrap() error {
	if e.Err == nil && e.Kind == KindUnavailable {
		return kest.ErrUnavailable
	}
	return e.Err
}

func malformed(detail string) error { return &Error{Kind: KindMalformed, Detail: detail} }
func refused(detail string) error   { return &Error{Kind: KindRefused, Detail: detail} }
