package host

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	"kest.example/kest/plugin/proxywasm"
)

// Bounds of what a guest logs.
const (
	maxMessage      = 16 << 10
	maxStartMessage = 4 << 10
)

// Levels of slog beyond its own.
const (
	levelTrace    = slog.LevelDebug - 4
	levelCritical = slog.LevelError + 4
)

var logLevels = map[proxywasm.LogLevel]slog.Level{
	proxywasm.LogTrace: levelTrace, proxywasm.LogDebug: slog.LevelDebug, proxywasm.LogInfo: slog.LevelInfo,
	proxywasm.LogWarn: slog.LevelWarn, proxywasm.LogError: slog.LevelError, proxywasm.LogCritical: levelCritical,
}

// logGuest writes a guest's message. While the instance starts, errors are kept
// too: they are why a configuration was refused.
func (i *instance) logGuest(level slog.Level, message string) {
	message = strings.ToValidUTF8(message[:min(len(message), maxMessage)], "\uFFFD")
	if i.starting && level >= slog.LevelError && i.startLog.Len() < maxStartMessage {
		if i.startLog.Len() > 0 {
			i.startLog.WriteString("; ")
		}
		i.startLog.WriteString(strings.TrimSpace(message))
	}
	i.filter.logger.Log(context.Background(), level, message, "instance", i.number, "context", i.effective)
}

// lineLogger turns what a guest writes to a standard stream into log lines.
type lineLogger struct {
	i     *instance
	level slog.Level
	line  []byte
}

func (l *lineLogger) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		l.line = append(l.line, line[:min(len(line), maxMessage-len(l.line))]...)
		if whole {
			l.i.logGuest(l.level, string(l.line))
			l.line = l.line[:0]
		}
		p = rest
	}
	return n, nil
}
