package transport

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// body is an answer's body within its bounds. After anything went wrong it ends as if in order, and the call knows:
// some SDKs print what they cannot read.
type body struct {
	from  io.ReadCloser
	call  *Call
	left  int64
	ended bool
	idle  time.Duration
	timer *time.Timer // while nothing comes

	// Of a stream: the size an event may have, what the current one has, and what its current line has.
	maxEvent, event, line int64
}

func newBody(response *http.Response, call *Call, config Config) *body {
	b := &body{from: response.Body, call: call, left: config.MaxBody, idle: config.IdleTimeout}
	b.timer = time.AfterFunc(b.idle, b.wake)
	if IsStream(response) || call.streams {
		b.maxEvent = config.MaxEvent
	}
	return b
}

// IsStream reports whether an answer is a stream of events.
func IsStream(response *http.Response) bool { return mediaType(response) == "text/event-stream" }

func mediaType(response *http.Response) string {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")) // "" for what cannot be read
	return kind
}

func (b *body) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.from.Read(p)
	b.timer.Reset(b.idle)
	b.left -= int64(n)
	b.call.received(n)
	switch {
	case b.left < 0:
		err = errBodyTooLarge
	case b.maxEvent > 0 && b.longest(p[:n]) > b.maxEvent:
		err = errEventTooLarge
	}
	if err == nil {
		return n, nil
	}
	b.ended = true
	b.timer.Stop()
	if !errors.Is(err, io.EOF) {
		b.call.broke(err)
		_ = b.from.Close()
	}
	return n, io.EOF
}

// longest takes more of a stream, and is the size of the largest event in it so far.
func (b *body) longest(more []byte) int64 {
	var longest int64
	for len(more) > 0 {
		end := bytes.IndexByte(more, '\n')
		if end < 0 {
			b.line += int64(len(more))
			b.event += int64(len(more))
			break
		}
		// A line of nothing, or of a carriage return, ends the event.
		blank := b.line+int64(end) == 0 || b.line+int64(end) == 1 && (end == 0 || more[0] == '\r')
		b.event += int64(end) + 1
		longest = max(longest, b.event)
		if blank {
			b.event = 0
		}
		b.line, more = 0, more[end+1:]
	}
	return max(longest, b.event)
}

func (b *body) Close() error {
	b.timer.Stop()
	return b.from.Close()
}

// wake ends a read that has waited for too long.
func (b *body) wake() {
	b.call.broke(errIdle)
	_ = b.from.Close()
}

// finishWait is how long the rest of an answer is waited for, so that its connection can be used again.
const finishWait = 50 * time.Millisecond

// Finish closes a body that has been read to its end mark.
func Finish(body io.ReadCloser) {
	timer := time.AfterFunc(finishWait, func() { _ = body.Close() })
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, 4<<10) // whatever goes wrong here does not matter any more
	_ = body.Close()
}
