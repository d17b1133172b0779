package bearer

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/uuid7"
)

// keyTimeout bounds how long a request waits for the issuer's keys.
const keyTimeout = 5 * time.Second

type claimsKey struct{}

// Claims returns the checked claims of a request as canonical JSON; ok is false
// where it has none.
func Claims(ctx context.Context) (claims []byte, ok bool) {
	v := claimsOf(ctx)
	if v == nil {
		return nil, false
	}
	return jcs.Append(nil, v), true
}

func claimsOf(ctx context.Context) *jcs.Value {
	v, _ := ctx.Value(claimsKey{}).(*jcs.Value)
	return v
}

// Middleware checks the token of each request and keeps its claims in the
// request's context. A request without one passes without claims; whether one is
// required is the filter's to say. A token that is there and refused is answered
// with 401, and with 503 where the issuer's keys can't be had: problem+json with
// a decision_id, under which the log says why.
func (c *Checker) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, there, err := fromHeader(r.Header)
		var claims *jcs.Value
		if there && err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), keyTimeout)
			claims, err = c.check(ctx, token)
			cancel()
		}
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		// Also without claims: those of an outer checker are not this one's.
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
	})
}

// fromHeader takes the token out of the Authorization header (RFC 6750 section
// 2.1; the scheme's case doesn't count, RFC 9110 section 11.1). Several headers
// are refused: what is behind this host may read another one.
func fromHeader(h http.Header) (token string, there bool, err error) {
	values := h.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1:
		return "", true, &TokenError{ReasonHeader, "there are several Authorization headers"}
	}
	end := strings.IndexFunc(values[0], func(c rune) bool { return !schemeRune(c) })
	if end < 0 {
		end = len(values[0])
	}
	scheme, rest := values[0][:end], values[0][end:]
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false, nil
	}
	token = strings.TrimLeft(rest, " ")
	if token == rest || token == "" {
		return "", true, &TokenError{ReasonHeader, "no token after the scheme"}
	}
	return token, true, nil
}

// schemeRune reports whether c may stand in the name of a scheme (RFC 9110
// section 5.6.2).
func schemeRune(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// refuse answers; only the log learns the reason.
func (c *Checker) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a := unavailable
	var refused *TokenError
	if errors.As(err, &refused) {
		a = unauthorized
	}
	id, idErr := uuid7.New(c.now(), rand.Reader)
	if idErr != nil {
		a = unavailable
	}
	level := slog.LevelWarn
	if r.Context().Err() != nil {
		level = slog.LevelInfo // nobody is there to read it
	}
	c.logger.Log(r.Context(), level, "refused "+a.text+": "+err.Error(), "decision_id", id, "method", r.Method, "path", r.URL.Path)
	a.write(w, r, id)
}
