package plugin

import (
	"strconv"
	"time"

	"kest.example/kest/internal/jcs"
)

// Request is what the filter may know of a request. Header names are in lower
// case, repeated headers repeated; pseudo-headers are among them.
type Request struct {
	Headers []Header
	// Peer returns the SPIFFE id that the connection's peer proved by mTLS, "" where
	// there is none; ok is false where that can't be told, which refuses. It is
	// asked only when there are entries. Nil is no peer.
	Peer func() (id string, ok bool)
	// Claims returns one claim of the token that the host has verified, as
	// text, by the names that lead to it; no names ask whether there is a token.
	// ok is false where there is none. Nil is no token.
	Claims func(path ...string) (text string, ok bool)
}

// Header is one header field.
type Header struct{ Name, Value string }

// Kind says what a driver does with a Step. The zero value refuses.
type Kind int

// The kinds of a Step.
const (
	Refuse   Kind = iota // answer with Response; the upstream is not visited
	Continue             // apply Edits and pass the request on
	CallOut              // make Call, hold the request, then Resume
	Hold                 // hold the request until Woken returns it
)

// Step is what happens next with a request.
type Step struct {
	Kind     Kind
	Edits    []Edit
	Response Response
	Call     Call
	Verdict  string // JSON for access logs, filter state kest.verdict; "" until there is one
}

// Edit changes one request header. With an empty value all of that name go.
type Edit struct{ Name, Value string }

// Response is a local answer.
type Response struct {
	Status  int
	GRPC    int
	Details string // a word for the proxy's access log
	Headers []Header
	Body    []byte
}

// Call is an HTTP request to a cluster that the driver knows by name.
type Call struct {
	Cluster string
	Headers []Header
	Body    []byte
	Timeout time.Duration
}

// CallResult is what came of a Call. Status 0 is a call that failed.
type CallResult struct {
	Status int
	Body   []byte
}

// ContentType of every local answer (RFC 9457).
const ContentType = "application/problem+json"

var titles = map[int]string{400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}

var grpcCodes = map[int]int{400: 3, 401: 16, 403: 7, 503: 14}

// refusal makes the answer of CONTRACT 7. It says no more than the decision id.
func refusal(status int, decisionID string) Step {
	if titles[status] == "" {
		status = 503
	}
	body := jcs.AppendObject(nil,
		jcs.Member{Name: "decision_id", Value: jcs.StringValue(decisionID)},
		jcs.Member{Name: "status", Value: jcs.IntValue(int64(status))},
		jcs.Member{Name: "title", Value: jcs.StringValue(titles[status])},
		jcs.Member{Name: "type", Value: jcs.StringValue("about:blank")},
	)
	return Step{Kind: Refuse, Response: Response{
		Status: status, GRPC: grpcCodes[status], Details: "kest_refused",
		Headers: []Header{{"content-type", ContentType}}, Body: body,
	}}
}

// claimTimeout is how long the claim store may take.
const claimTimeout = time.Second

// claimPut stores a claim with the agent (DESIGN 6).
func (c *PropagationConfig) claimPut(id, body, traceparent string) Call {
	return Call{
		Cluster: c.ClaimCluster, Timeout: claimTimeout, Body: []byte(body),
		Headers: []Header{
			{":method", "PUT"},
			{":path", "/v1/claims/" + id + "?ttl=" + strconv.Itoa(c.ttlSeconds())},
			{":authority", c.ClaimCluster},
			{"content-type", "application/json"},
			{"traceparent", traceparent},
		},
	}
}

func (c *PropagationConfig) claimGet(id, traceparent string) Call {
	return Call{
		Cluster: c.ClaimCluster, Timeout: claimTimeout,
		Headers: []Header{
			{":method", "GET"},
			{":path", "/v1/claims/" + id},
			{":authority", c.ClaimCluster},
			{"traceparent", traceparent},
		},
	}
}

func (c *PropagationConfig) ttlSeconds() int { return int(c.ClaimTTL / time.Second) }

// Unavailable is the answer where nothing else can be said: 503.
func Unavailable() Response { return refusal(503, "unavailable").Response }
