package broker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kfake"
)

// logger hands the engine's printf-style messages to slog. The engine reports
// every request at its info level, so that level becomes debug here.
type logger struct {
	to *slog.Logger
}

// Logf implements kfake.Logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	at := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		at = slog.LevelError
	case kfake.LogLevelWarn:
		at = slog.LevelWarn
	}
	ctx := context.Background() // the engine passes none
	if !l.to.Enabled(ctx, at) {
		return
	}
	l.to.Log(ctx, at, fmt.Sprintf(format, args...))
}
