package identityhost

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// RequestError is a request that an Agent refuses.
type RequestError struct {
	Status     int           // the HTTP status that says so
	Detail     string        // a fixed text, for the caller; nothing of the request is in it
	RetryAfter time.Duration // when to try again, with status 429
	Err        error         // the cause, for the log, or nil
}

func (e *RequestError) Error() string {
	text := "identityhost: " + strconv.Itoa(e.Status) + ": " + e.Detail
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *RequestError) Unwrap() error { return e.Err }

// StatusOf returns the HTTP status of an Agent's error: 200 for nil, 500 for
// an error that is none of an Agent.
func StatusOf(err error) int {
	var e *RequestError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &e):
		return e.Status
	}
	return http.StatusInternalServerError
}

func refused(status int, detail string, err error) error {
	return &RequestError{Status: status, Detail: detail, Err: err}
}

func malformed(detail string, err error) error {
	return refused(http.StatusBadRequest, detail, err)
}

func unavailable(detail string, err error) error {
	return refused(http.StatusServiceUnavailable, detail, err)
}

func tooMany(detail string, after time.Duration) error {
	return &RequestError{Status: http.StatusTooManyRequests, Detail: detail, RetryAfter: after}
}
