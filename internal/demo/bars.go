package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

const (
	barWidth     = 40
	drawInterval = 100 * time.Millisecond
)

// bars show how far the lanes are: redrawn in place on a terminal, elsewhere a
// line for every tenth of a lane.
type bars struct {
	to       io.Writer
	terminal bool
	tally    *tally
	tenths   map[string]int // of each lane, already printed
	drawn    bool           // bars stand above the cursor
}

func newBars(to io.Writer, terminal bool, t *tally) *bars {
	return &bars{to: to, terminal: terminal, tally: t, tenths: make(map[string]int)}
}

// run draws until ctx ends, and a last time then.
func (b *bars) run(ctx context.Context) {
	pace.Every(ctx, drawInterval, b.draw)
	b.draw()
}

func (b *bars) draw() {
	var text strings.Builder
	if b.terminal && b.drawn {
		fmt.Fprintf(&text, "\x1b[%dA", len(b.tally.lanes()))
	}
	for _, lane := range b.tally.lanes() {
		done, total := b.tally.laneCount(lane)
		if b.terminal {
			fmt.Fprintf(&text, "\r\x1b[K%s\n", bar(lane, done, total))
			continue
		}
		for tenth := b.tenths[lane] + 1; tenth <= 10*done/max(total, 1); tenth++ {
			b.tenths[lane] = tenth
			fmt.Fprintf(&text, "lane %-6s %3d%%  %d of %d tasks\n", lane, 10*tenth, tenthOf(total, tenth), total)
		}
	}
	b.drawn = true
	_, _ = io.WriteString(b.to, text.String()) // the outcome's own print reports a broken pipe
}

// tenthOf is the least number of tasks that makes so many tenths.
func tenthOf(total, tenth int) int { return (total*tenth + 9) / 10 }

func bar(lane string, done, total int) string {
	full := barWidth * done / max(total, 1)
	return fmt.Sprintf("lane %-6s [%s%s] %4d/%d", lane, strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
		done, total)
}
