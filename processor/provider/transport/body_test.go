package transport

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// An event's size does not depend on how the stream is cut into reads, or its lines ended.
func TestEventsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 40
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line end")
		var stream strings.Builder
		tooLarge := false
		for range rapid.IntRange(0, 5).Draw(t, "events") {
			before := stream.Len()
			for range rapid.IntRange(1, 3).Draw(t, "lines") {
				stream.WriteString("data: " + strings.Repeat("x", rapid.IntRange(0, 20).Draw(t, "length")) + end)
			}
			stream.WriteString(end)
			tooLarge = tooLarge || stream.Len()-before > most
		}
		var from io.Reader = strings.NewReader(stream.String())
		if rapid.Bool().Draw(t, "a byte at a time") {
			from = iotest.OneByteReader(from)
		}
		call := new(Call)
		response := &http.Response{Body: io.NopCloser(from), Header: http.Header{"Content-Type": {"text/event-stream"}}}
		b := newBody(response, call, Config{MaxBody: 1 << 20, MaxEvent: most, IdleTimeout: time.Hour})
		if _, err := io.ReadAll(b); err != nil {
			t.Fatal(err)
		}
		if errors.Is(call.err, errEventTooLarge) != tooLarge {
			t.Fatalf("too large is %v, noted was %v, for %q", tooLarge, call.err, stream.String())
		}
	})
}
