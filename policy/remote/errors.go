package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"

	"kest.example/kest"
)

// Error is an engine that gave no answer which decides. It wraps
// kest.ErrUnavailable. It quotes nothing that was sent or received: a server can
// repeat a token.
type Error struct {
	Address string
	Policy  string
	Detail  string

	cause error // context.Canceled, context.DeadlineExceeded, or nil
}

func (e *Error) Error() string {
	return "remote: " + e.Address + ": policy " + strconv.Quote(e.Policy) + ": " + e.Detail
}

func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{kest.ErrUnavailable}
	}
	return []error{kest.ErrUnavailable, e.cause}
}

var errTooLong = errors.New("the answer is longer than 1 MiB")

func (e *Engine) failed(policy, detail string, err error) error {
	failed := &Error{Address: e.address, Policy: policy, Detail: detail}
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			failed.cause = cause
		}
	}
	return failed
}

// detailOf says how far a question came.
func detailOf(err error) string {
	if of, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate does not verify: " + of.Err.Error()
	}
	switch {
	case errors.Is(err, errTooLong):
		return errTooLong.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the caller no longer waits"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "the answer is cut off"
	}
	if of, ok := errors.AsType[*net.OpError](err); ok {
		return "not reached: " + of.Error()
	}
	return "no answer that can be read"
}
