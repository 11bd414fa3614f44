package processor

import (
	"bytes"
	"runtime"
	"sync"
	"time"
)

// Bounds of a look at the stacks. Taking them stops the process for a moment, so
// that is done once for all handlers that run away within a second.
const (
	maxStacksBytes = 8 << 20
	maxStackBytes  = 16 << 10
	stacksAge      = time.Second
)

// stacks finds out what a goroutine is doing.
type stacks struct {
	mu    sync.Mutex
	at    time.Time
	taken []byte
}

// of is the stack of a goroutine, not seen before since.
func (s *stacks) of(goroutine string, since time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.at.Before(since) || now.Sub(s.at) > stacksAge {
		s.taken, s.at = allStacks(), now
	}
	start := bytes.Index(s.taken, []byte(goroutine))
	if start < 0 {
		return "not found"
	}
	stack := s.taken[start:]
	if end := bytes.Index(stack, []byte("\n\n")); end >= 0 {
		stack = stack[:end]
	}
	return string(stack[:min(len(stack), maxStackBytes)])
}

func allStacks() []byte {
	for size := 256 << 10; ; size *= 2 {
		buffer := make([]byte, size)
		if n := runtime.Stack(buffer, true); n < size || size >= maxStacksBytes {
			return bytes.Clone(buffer[:n])
		}
	}
}

// currentGoroutine is how the stack of the calling goroutine begins: "goroutine
// 7 [".
func currentGoroutine() string {
	buffer := make([]byte, 64)
	buffer = buffer[:runtime.Stack(buffer, false)]
	return string(buffer[:bytes.IndexByte(buffer, '[')+1])
}
