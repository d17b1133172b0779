package identityhost

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// HandlerOption changes what Handler makes.
type HandlerOption func(*handler)

// WithToken has /v1 ask for "Authorization: Bearer" and this token (RFC 6750).
// An empty one lets nobody in.
func WithToken(token string) HandlerOption {
	return func(h *handler) {
		sum := sha256.Sum256([]byte(token))
		h.token = &sum
	}
}

// WithLogger sets where failures of this side are told, one line each and at
// most one a second for each route. Neither keys nor tokens are in them.
func WithLogger(l *slog.Logger) HandlerOption { return func(h *handler) { h.log = l } }

// Handler serves an agent over HTTP: POST /v1/sessions, GET /v1/keys/{kid},
// POST /v1/keys, PUT and GET /v1/claims/{uuid}, /healthz, /readyz and /metrics
// (Prometheus text). Errors are application/problem+json (RFC 9457). Serve it
// by NewServer, which bounds connections and headers.
func Handler(a *Agent, options ...HandlerOption) http.Handler {
	h := &handler{agent: a, log: slog.New(slog.DiscardHandler), bodyTime: bodyTime}
	h.bodies.limit = maxBodies
	for _, o := range options {
		o(h)
	}
	h.metrics = newMetrics(a, &h.bodies)
	h.quiet.last = make(map[string]time.Time)
	return h
}

type handler struct {
	agent    *Agent
	token    *[sha256.Size]byte // of the bearer token; nil asks for none
	log      *slog.Logger
	bodies   bodies
	bodyTime time.Duration
	metrics  *metrics
	quiet    sampler
}

// answerTime is how long a client may take to read an answer, the body's time
// and the agent's included.
const answerTime = bodyTime + 30*time.Second

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(start.Add(h.bodyTime)) // where the server can't, its own limits hold
	_ = control.SetWriteDeadline(start.Add(answerTime))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	name, methods, argument := route(r.URL.EscapedPath())
	out := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	if err := h.serve(out, r, methods, argument); err != nil {
		h.refuse(out, r, name, err)
	}
	h.metrics.observe(name, out.status, time.Since(start))
}

// serve checks the token and the method, and answers.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, methods methods, argument string) error {
	if h.token != nil && strings.HasPrefix(r.URL.Path, "/v1") && !h.allowed(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return refused(http.StatusUnauthorized, "a bearer token is needed", nil)
	}
	if methods == nil {
		return refused(http.StatusNotFound, "there is nothing here", nil)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	answer, ok := methods[method]
	if !ok {
		w.Header().Set("Allow", methods.allow())
		return refused(http.StatusMethodNotAllowed, "the method is not allowed here", nil)
	}
	return answer(h, w, r, argument)
}

// allowed compares the token in constant time.
func (h *handler) allowed(r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	sum := sha256.Sum256([]byte(token))
	return token != "" && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], h.token[:]) == 1
}

func (h *handler) sessions(w http.ResponseWriter, r *http.Request, _ string) error {
	body, release, err := h.bodies.read(w, r, MaxProof)
	defer release()
	if err != nil {
		return err
	}
	s, err := h.agent.Sessions(r.Context(), string(body))
	if err != nil {
		if StatusOf(err) == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Kest-Session")
		}
		return err
	}
	if s.Unshared {
		h.log.Warn("the cache is full: other agents don't find a session key, and refuse what it signs, until there is room", "kid", s.KeyID)
	}
	h.log.Info("bound a session key", "workload", s.WorkloadID, "kid", s.KeyID, "not_after", s.NotAfter)
	return writeJSON(w, s.JSON())
}

func (h *handler) key(w http.ResponseWriter, r *http.Request, kid string) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["principal"]) != 1 {
		return malformed("one principal is needed in the query", err)
	}
	k, err := h.agent.Key(r.Context(), kid, query.Get("principal"))
	if err != nil {
		return err
	}
	return writeJSON(w, k.JSON())
}

func (h *handler) keyInline(w http.ResponseWriter, r *http.Request, _ string) error {
	body, release, err := h.bodies.read(w, r, MaxInline)
	defer release()
	if err != nil {
		return err
	}
	k, err := h.agent.KeyInline(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, k.JSON())
}

func (h *handler) claimPut(w http.ResponseWriter, r *http.Request, id string) error {
	ttl, err := claimTTL(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if err := checkClaimID(id, ttl); err != nil {
		return err
	}
	body, release, err := h.bodies.read(w, r, MaxClaim)
	defer release()
	if err != nil {
		return err
	}
	if err := h.agent.ClaimPut(r.Context(), id, ttl, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// claimTTL reads ttl=SECONDS; without one it is kest.ClaimTTL.
func claimTTL(rawQuery string) (time.Duration, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil || len(query["ttl"]) > 1 {
		return 0, malformed("the query can't be read", err)
	}
	if !query.Has("ttl") {
		return kest.ClaimTTL, nil
	}
	seconds, err := strconv.ParseUint(query.Get("ttl"), 10, 16)
	if err != nil {
		return 0, malformed("the ttl is not between 1 and 3600 seconds", err)
	}
	return time.Duration(seconds) * time.Second, nil
}

func (h *handler) claimGet(w http.ResponseWriter, r *http.Request, id string) error {
	body, err := h.agent.ClaimGet(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// traces is for telemetry, which nobody receives here yet.
func (h *handler) traces(http.ResponseWriter, *http.Request, string) error {
	return refused(http.StatusNotImplemented, "this agent takes no traces", nil)
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request, _ string) error {
	return writeText(w, "ok\n")
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request, _ string) error {
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout)
	defer cancel()
	if err := h.agent.Ready(ctx); err != nil {
		return err
	}
	return writeText(w, "ready\n")
}

func (h *handler) showMetrics(w http.ResponseWriter, r *http.Request, _ string) error {
	h.metrics.page.ServeHTTP(w, r)
	return nil
}

func writeJSON(w http.ResponseWriter, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) //nolint:gosec // JSON, not to be sniffed; and a client that has gone needs no answer
	return nil
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text))
	return nil
}

// refuse answers with a problem of fixed texts; the cause goes to the log.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, route string, err error) {
	var e *RequestError
	if !errors.As(err, &e) {
		e = &RequestError{Status: http.StatusInternalServerError, Detail: "something went wrong", Err: err}
	}
	if e.Status >= http.StatusInternalServerError && e.Status != http.StatusNotImplemented && h.quiet.once(route, time.Now()) {
		h.log.Warn("a request failed", "route", route, "status", e.Status, "error", e.Error())
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if r.ProtoMajor == 1 && (e.Status == http.StatusRequestTimeout || e.Status == http.StatusRequestEntityTooLarge) {
		w.Header().Set("Connection", "close") // or the answer would wait for the rest of the body
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.Status)
	_, _ = w.Write(jcs.AppendObject(nil,
		jcs.Member{Name: "detail", Value: jcs.StringValue(e.Detail)},
		jcs.Member{Name: "status", Value: jcs.IntValue(int64(e.Status))},
		jcs.Member{Name: "title", Value: jcs.StringValue(http.StatusText(e.Status))},
		jcs.Member{Name: "type", Value: jcs.StringValue("about:blank")},
	))
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the deadlines.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
