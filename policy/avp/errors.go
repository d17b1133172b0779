package avp

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"

	"kest.example/kest"
)

// Error is a question without an answer that decides. It wraps
// kest.ErrUnavailable. It quotes nothing that was sent or received: AWS repeats
// requests, with their tokens, in some answers.
type Error struct {
	Policy string
	Code   string // AWS's, such as ThrottlingException; "" where AWS gave none
	Status int    // of HTTP; 0 without a whole answer
	Detail string

	cause error // context.Canceled, context.DeadlineExceeded, or nil
}

func (e *Error) Error() string {
	text := "avp: policy " + strconv.Quote(e.Policy) + ": "
	if e.Code != "" {
		text += e.Code + ": "
	}
	return text + e.Detail
}

func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{kest.ErrUnavailable}
	}
	return []error{kest.ErrUnavailable, e.cause}
}

func failed(policy string, status int, err error) error {
	e := &Error{Policy: policy, Status: status, Code: codeOf(err), Detail: detailOf(status, err)}
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			e.cause = cause
		}
	}
	return e
}

// detailOf says how far a question came.
func detailOf(status int, err error) string {
	switch {
	case status != 0:
		return "AWS answered " + strconv.Itoa(status)
	case errors.Is(err, errTooLong):
		return errTooLong.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the caller no longer waits"
	}
	if of, ok := errors.AsType[*net.OpError](err); ok {
		return "not reached: " + of.Error()
	}
	return "no answer that can be read, or no credentials to ask with"
}

// codeOf takes what may be a code of AWS, and nothing else.
func codeOf(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	code := api.ErrorCode()
	letter := func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return !letter(r) }) {
		return "Unknown"
	}
	return code
}
