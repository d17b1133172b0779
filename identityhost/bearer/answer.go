package bearer

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

// answer is a refusal of this host's own (CONTRACT 7).
type answer struct {
	status int
	text   string // the status in digits
	grpc   string // gRPC's status code
	header string // WWW-Authenticate, or ""
}

var (
	unauthorized = answer{http.StatusUnauthorized, "401", "16", `Bearer error="invalid_token"`} // RFC 6750 section 3.1
	unavailable  = answer{http.StatusServiceUnavailable, "503", "14", ""}
)

// write sends the answer; to a gRPC client as gRPC's own (trailers only), as
// Envoy does.
func (a answer) write(w http.ResponseWriter, r *http.Request, id string) {
	body := `{"decision_id":"` + id + `","status":` + a.text + `,"title":"` + http.StatusText(a.status) + `","type":"about:blank"}`
	h := w.Header()
	if a.header != "" {
		h.Set("WWW-Authenticate", a.header)
	}
	if isGRPC(r) {
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", a.grpc)
		h.Set("Grpc-Message", grpcMessage(body))
		w.WriteHeader(http.StatusOK)
		return
	}
	h.Set("Content-Type", "application/problem+json") // RFC 9457
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // the client may have gone
	}
}

func isGRPC(r *http.Request) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// grpcMessage percent-encodes a text (gRPC over HTTP/2, "Status-Message").
func grpcMessage(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}
