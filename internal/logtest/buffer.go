// Package logtest helps tests that look at what is logged.
package logtest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Buffer is a log that can be read while it is written. Its zero value is empty.
type Buffer struct {
	mu      sync.Mutex
	content bytes.Buffer
	written chan struct{} // closed when there is more; nil while nobody waits
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.written != nil {
		close(b.written)
		b.written = nil
	}
	return b.content.Write(p)
}

// String is what was written since the start or the last Reset.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

// Reset forgets what was written.
func (b *Buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content.Reset()
}

// Await waits until the log has a text, and fails the test if it has not within
// the timeout.
func (b *Buffer) Await(t testing.TB, timeout time.Duration, text string) {
	t.Helper()
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		found, more := b.look(text)
		if found {
			return
		}
		select {
		case <-more:
		case <-late.C:
			t.Fatalf("waited %v for %q in the log:\n%s", timeout, text, b.String())
		}
	}
}

// look reports whether the log has a text, and what is closed when there is more.
func (b *Buffer) look(text string) (bool, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if strings.Contains(b.content.String(), text) {
		return true, nil
	}
	if b.written == nil {
		b.written = make(chan struct{})
	}
	return false, b.written
}
