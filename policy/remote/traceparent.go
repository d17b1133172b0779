package remote

import (
	"context"
	"strings"

	"kest.example/kest"
)

// maxTraceparent is far above what version 00 has: 55 bytes.
const maxTraceparent = 256

// traceparentOf returns what a header can carry of kest.ContextWithTraceparent's, or "".
func traceparentOf(ctx context.Context) string {
	traceparent := kest.TraceparentOf(ctx)
	if len(traceparent) > maxTraceparent || strings.ContainsFunc(traceparent, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return traceparent
}
