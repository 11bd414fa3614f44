package provider

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Output is sent this often, so that a model's tokens do not become an event each.
const (
	streamEvery = 75 * time.Millisecond
	// streamBytes are sent at once, streamEventBytes is the longest event of a provider's stream that is passed on: its
	// last one may repeat the whole answer, which the task's result has.
	streamBytes      = 64 << 10
	streamEventBytes = 192 << 10
)

// coalescer puts the pieces of an answer together to output events. The first piece goes out at once.
type coalescer struct {
	ctx  context.Context
	emit func(ctx context.Context, text string, data jsontext.Value) error

	mu     sync.Mutex
	text   strings.Builder
	events []byte // a JSON array without its last bracket
	timer  *time.Timer
	sent   bool // a piece has gone out
	closed bool
	err    error

	// What came in all, for an estimate.
	bytes, reasoning int
}

func newCoalescer(ctx context.Context, emit func(context.Context, string, jsontext.Value) error) *coalescer {
	return &coalescer{ctx: ctx, emit: emit}
}

// add takes a piece. It blocks while the log is behind, and with it the provider's stream.
func (c *coalescer) add(d Delta) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.closed {
		return context.Canceled
	}
	c.bytes += len(d.Text)
	c.reasoning += len(d.Reasoning)
	if d.Tool != nil {
		c.bytes += len(d.Tool.Name) + len(d.Tool.Arguments)
	}
	if len(d.Event) > 0 && len(c.events)+len(d.Event) > streamEventBytes {
		c.flush()
	}
	c.text.WriteString(d.Text)
	if len(d.Event) > 0 && len(d.Event) <= streamEventBytes {
		if len(c.events) == 0 {
			c.events = append(c.events, '[')
		} else {
			c.events = append(c.events, ',')
		}
		c.events = append(c.events, d.Event...)
	}
	switch {
	case c.text.Len() == 0 && len(c.events) == 0:
	case !c.sent, c.text.Len()+len(c.events) >= streamBytes:
		c.flush()
	case c.timer == nil:
		c.timer = time.AfterFunc(streamEvery, c.tick)
	}
	return c.err
}

func (c *coalescer) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.flush()
	}
}

// flush sends what there is. mu is held: order is that of the pieces.
func (c *coalescer) flush() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	text := c.text.String()
	var data jsontext.Value
	if len(c.events) > 0 {
		c.events = append(c.events, ']')
		data = c.events
	}
	c.text.Reset()
	c.events = nil
	for (text != "" || data != nil) && c.err == nil {
		piece := text
		if len(piece) > streamBytes {
			piece = piece[:cutAt(piece, streamBytes)]
		}
		c.sent = true
		c.err = c.emit(c.ctx, piece, data)
		text, data = text[len(piece):], nil
	}
}

// cutAt is the last edge of a character at or before most.
func cutAt(text string, most int) int {
	for most > 0 && text[most]&0xC0 == 0x80 {
		most--
	}
	return max(most, 1)
}

// close sends the rest.
func (c *coalescer) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.flush()
		c.closed = true
	}
	return c.err
}

// received is how many bytes came.
func (c *coalescer) received() (answer, reasoning int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes, c.reasoning
}
