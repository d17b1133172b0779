//go:build !wasip1

package kest

import "log/slog"

// warn says out loud that something insecure was asked for.
func warn(text string) { slog.Warn("kest: " + text) }
