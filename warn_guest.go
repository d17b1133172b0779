//go:build wasip1

package kest

// warn is silent in a guest, whose filter logs its own warnings through the
// proxy; log/slog alone would add 0.4 MB of code.
func warn(string) {}
