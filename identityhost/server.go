package identityhost

import (
	"container/list"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// The limits of NewServer.
const (
	headerTime     = 10 * time.Second
	maxHeader      = 16 << 10
	maxConnections = 1024
	maxStreams     = 100
	// idleTime is more than Envoy's hour: who closes first must not be the one
	// that is about to be sent a request.
	idleTime = 65 * time.Minute
)

// NewServer makes a server for Handler: HTTP/1.1 and HTTP/2 without TLS (h2c),
// with limits on headers, connections and time. When there are too many
// connections the one that has been without a request for longest is closed.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	waiting := &connections{max: maxConnections, open: make(map[net.Conn]*list.Element)}
	return &http.Server{
		Handler: handler, Protocols: protocols, ConnState: waiting.change, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: 256 << 10, MaxReceiveBufferPerStream: 64 << 10,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// connections bounds how many there are.
type connections struct {
	max int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil while a request is under way
	waiting list.List                  // without a request, longest first
}

// change is http.Server.ConnState.
func (c *connections) change(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateActive:
		c.open[conn] = nil
	case http.StateNew, http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
	}
	if len(c.open) <= c.max {
		return
	}
	if e := c.waiting.Front(); e != nil {
		c.waiting.Remove(e)
		if longest, ok := e.Value.(net.Conn); ok {
			delete(c.open, longest)
			_ = longest.Close()
		}
	}
}
