package identityhost

import (
	"context"
	"time"
)

// WithBodyTime shortens how long a body may take.
func WithBodyTime(d time.Duration) HandlerOption { return func(h *handler) { h.bodyTime = d } }

// WithBodyMemory bounds the memory of all bodies.
func WithBodyMemory(bytes int64) HandlerOption { return func(h *handler) { h.bodies.limit = bytes } }

// MaxConnections is how many connections a server of NewServer holds.
const MaxConnections = maxConnections

// Publish is one round of Maintain.
func (a *Agent) Publish(ctx context.Context) { a.publishAll(ctx) }
