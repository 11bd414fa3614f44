package subprocess

import (
	"bufio"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/aiecs/tasklane/processor/external/message"
)

// Bounds of what is kept and logged of what a child prints.
const (
	maxPrinted   = 2 << 10 // of a line
	maxTailLines = 10
)

// tail keeps the last lines that a child has printed, and logs all of them.
type tail struct {
	log *slog.Logger

	mu    sync.Mutex
	lines []string
}

// follow reads what is printed until there is no more. Of a line that is too long only the beginning is kept.
func (t *tail) follow(from io.Reader, stream string) {
	r := bufio.NewReaderSize(from, maxPrinted)
	for {
		line, more, err := r.ReadLine()
		if len(line) > 0 {
			text := message.Cut(string(line), maxPrinted)
			t.add(text)
			t.log.Info("a child printed a line", "stream", stream, "line", text)
		}
		for more && err == nil {
			_, more, err = r.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > maxTailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
}

// text is what was printed last, "" if nothing was.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
