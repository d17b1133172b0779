package spire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kest.example/kest"
)

// Causes of an Error, for errors.Is.
var (
	// ErrNoSocket: nothing is at the address's path.
	ErrNoSocket = errors.New("no socket")
	// ErrRefused: nobody listens at the address.
	ErrRefused = errors.New("refused")
	// ErrNoIdentity: the Workload API has no SVID for this workload, or none
	// that WithID or WithHint chooses.
	ErrNoIdentity = errors.New("no identity")
	// ErrKeyType: the SVID's key is neither P-256 nor RSA of 2048 to 8192 bits.
	ErrKeyType = errors.New("key type")
	// ErrExpired: the SVID has expired and no other one came.
	ErrExpired = errors.New("expired")
)

// Error says in one line why the Workload API gives no identity. It wraps
// kest.ErrUnavailable and its cause.
type Error struct {
	Address string // of the Workload API
	Detail  string
	Err     error // the cause: one of those above, context.DeadlineExceeded, another, or nil
}

func (e *Error) Error() string { return "SPIFFE Workload API at " + e.Address + ": " + e.Detail }

// Unwrap returns kest.ErrUnavailable and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{kest.ErrUnavailable}
	}
	return []error{kest.ErrUnavailable, e.Err}
}

// explain says what an error of a call means. dialed is how the last attempt to
// connect ended.
func explain(address string, err, dialed error) *Error {
	e := &Error{Address: address, Err: err}
	switch code := status.Code(err); {
	case code == codes.PermissionDenied:
		e.Detail, e.Err = "it has no identity for this workload; is there a registration entry for it?", ErrNoIdentity
	case code == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded):
		e.Detail, e.Err = "it did not answer in time", context.DeadlineExceeded
	case code == codes.Canceled || errors.Is(err, context.Canceled):
		e.Detail, e.Err = "the call was canceled", context.Canceled
	case code != codes.Unavailable:
		e.Detail = "its answer is of no use: " + oneLine(err)
	case errors.Is(dialed, fs.ErrNotExist):
		e.Detail, e.Err = "there is no socket", ErrNoSocket
	case errors.Is(dialed, syscall.ECONNREFUSED):
		e.Detail, e.Err = "nobody listens there", ErrRefused
	case errors.Is(dialed, fs.ErrPermission):
		e.Detail, e.Err = "this process may not open the socket", fs.ErrPermission
	case dialed != nil:
		e.Detail, e.Err = oneLine(dialed), dialed
	default:
		e.Detail = "the connection broke: " + oneLine(err)
	}
	return e
}

func expired(address string, s state) *Error {
	e := &Error{Address: address, Err: ErrExpired}
	e.Detail = fmt.Sprintf("the X.509-SVID of %s expired at %s", s.id, s.notAfter.UTC().Format(time.RFC3339))
	var why *Error
	if errors.As(s.err, &why) {
		e.Detail += "; " + why.Detail
	}
	return e
}

// maxText bounds what of another's text goes into an error.
const maxText = 300

func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
