// Package memory sets the garbage collector for processes that run many short
// tasks. Go's own setting collects whenever the heap has doubled. A task leaves
// some ten kilobytes behind and the heap that lives is small, so that a third of
// the CPU time went into looking at the same live objects again and again.
package memory

import (
	"context"
	"runtime/debug"
	"strings"
)

const (
	// gcPercent lets the heap grow to five times what lives, as long as that is
	// less than roomBytes more.
	gcPercent = 400
	// The heap is kept below limitShare of what the process may have: beyond it
	// the collector runs as often as it takes.
	limitShare = 0.75
)

// Settings is how the collector is set. Zero fields leave it as Go and the
// environment have it.
type Settings struct {
	// GCPercent is GOGC while the heap is small; it is lowered to Go's own 100 by and
	// by as more lives than leaves room for it.
	GCPercent int
	// LimitBytes is GOMEMLIMIT.
	LimitBytes int64
}

// Choose is the setting for a process with this environment on a machine, or in
// a container, with so many bytes. Who has set GOGC or GOMEMLIMIT has decided:
// then nothing is set. Nothing is without knowing the bytes either, since a heap
// that may grow needs a bound.
func Choose(environ []string, available int64) Settings {
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if (name == "GOGC" || name == "GOMEMLIMIT") && value != "" {
			return Settings{}
		}
	}
	if available <= 0 {
		return Settings{}
	}
	return Settings{GCPercent: gcPercent, LimitBytes: int64(limitShare * float64(available))}
}

// Apply sets the collector, for the whole process, and keeps GOGC what fits the
// heap until ctx ends.
func (s Settings) Apply(ctx context.Context) {
	if s.GCPercent > 0 {
		debug.SetGCPercent(s.GCPercent)
		newKeeper(s.GCPercent).watch(ctx)
	}
	if s.LimitBytes > 0 {
		debug.SetMemoryLimit(s.LimitBytes)
	}
}
