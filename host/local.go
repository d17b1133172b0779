package host

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"kest.example/kest/plugin/proxywasm"
)

// localResponse is an answer of the guest's or of this host's.
type localResponse struct {
	status  int
	details string
	headers []proxywasm.Pair
	body    []byte
	grpc    int32
}

const problemJSON = "application/problem+json"

// unavailable is this host's own refusal. The client learns the id and no more.
func unavailable(decisionID string) *localResponse {
	body := `{"decision_id":"` + decisionID + `","status":503,"title":"Service Unavailable","type":"about:blank"}`
	return &localResponse{
		status: http.StatusServiceUnavailable, details: "host_refused", grpc: grpcUnavailable, body: []byte(body),
		headers: []proxywasm.Pair{{Name: "content-type", Value: problemJSON}},
	}
}

// newDecisionID returns a random UUID (RFC 9562, version 4).
func newDecisionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// write sends the answer; to a gRPC client as gRPC's own (trailers only), as
// Envoy does.
func (l *localResponse) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, p := range l.headers {
		h.Del(p.Name)
	}
	for _, p := range l.headers {
		if name := http.CanonicalHeaderKey(p.Name); localHeader(name) && validValue(p.Value) {
			h.Add(name, p.Value)
		}
	}
	if isGRPC(r) {
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", strconv.Itoa(l.grpcStatus()))
		if len(l.body) > 0 {
			h.Set("Grpc-Message", grpcMessage(l.body))
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(l.body)))
	w.WriteHeader(l.status)
	if r.Method != http.MethodHead && bodyAllowed(l.status) {
		_, _ = w.Write(l.body) // the client may have gone
	}
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// localHeader reports whether a guest may set a header of a local response:
// not those that say how the message is framed.
func localHeader(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade", "Host":
		return false
	}
	return validName(name)
}

func isGRPC(r *http.Request) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

const grpcUnavailable = 14

// grpcStatus is the guest's, or what stands for the HTTP status (gRPC,
// "HTTP to gRPC Status Code Mapping").
func (l *localResponse) grpcStatus() int {
	if l.grpc > 0 && l.grpc <= 16 || l.grpc == 0 && l.status == http.StatusOK {
		return int(l.grpc) // a refusal is never 0, which is success
	}
	switch l.status {
	case 400:
		return 13
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 12
	case 429, 502, 503, 504:
		return grpcUnavailable
	}
	return 2
}

const maxGRPCMessage = 4096

// grpcMessage percent-encodes a text (gRPC over HTTP/2, "Status-Message").
func grpcMessage(text []byte) string {
	var b strings.Builder
	for _, c := range text[:min(len(text), maxGRPCMessage)] {
		if c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}
