package proxywasm

import (
	"runtime"
	"strconv"
)

// unavailable is all that a client learns of a panic (RFC 9457).
const unavailable = `{"type":"about:blank","title":"Service Unavailable","status":503}`

// grpcUnavailable is gRPC's status for 503.
const grpcUnavailable = 14

// maxStack bounds the stack in the log.
const maxStack = 2048

// run calls f in a context and reports whether it came back.
func (g *guard) run(id uint32, name string, f func()) (ok bool) {
	g.current = id
	defer func() {
		if !ok {
			g.logPanic(name, recover())
		}
	}()
	f()
	return true
}

// refuse answers the acting request with 503 and holds it, also where the
// answer can't be sent.
func (g *guard) refuse() (a Action) {
	a = Pause
	defer func() { _ = recover() }()
	s := g.host.SendLocalResponse(503, "guest_panic",
		[]Pair{{"content-type", "application/problem+json"}}, []byte(unavailable), grpcUnavailable)
	if s != OK {
		g.host.Log(LogCritical, "a request is held without an answer: "+s.String())
	}
	return a
}

func (g *guard) logPanic(name string, value any) {
	defer func() { _ = recover() }() // what was thrown may panic when it is printed
	stack := make([]byte, maxStack)
	stack = stack[:runtime.Stack(stack, false)]
	g.host.Log(LogCritical, "panic in "+name+": "+panicText(value)+"\n"+string(stack))
}

// panicText prints what programs panic with, without the weight of fmt.
func panicText(value any) string {
	switch v := value.(type) {
	case error:
		return v.Error()
	case string:
		return v
	case interface{ String() string }:
		return v.String()
	case int:
		return strconv.Itoa(v)
	}
	return "a value that is no text"
}
