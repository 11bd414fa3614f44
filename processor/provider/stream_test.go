package provider

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

type piece struct {
	text string
	data string
	at   time.Duration
}

// recorder is what a coalescer sends.
func recorder(t *testing.T) (*coalescer, func() []piece) {
	start := time.Now()
	var sent []piece
	c := newCoalescer(t.Context(), func(_ context.Context, text string, data jsontext.Value) error {
		sent = append(sent, piece{text, string(data), time.Since(start)})
		return nil
	})
	return c, func() []piece {
		c.mu.Lock()
		defer c.mu.Unlock()
		return sent
	}
}

// TestTokensBecomePieces: the first token goes out at once, those after it together, within 100 ms.
func TestTokensBecomePieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sent := recorder(t)
		for range 50 { // one second at 50 tokens/s
			if err := c.add(Delta{Text: "x"}); err != nil {
				t.Fatal(err)
			}
			<-time.After(20 * time.Millisecond)
		}
		if err := c.close(); err != nil {
			t.Fatal(err)
		}
		all, got := sent(), ""
		for i, p := range all {
			got += p.text
			if i > 0 {
				if gap := p.at - all[i-1].at; gap > 100*time.Millisecond || gap < 50*time.Millisecond && i < len(all)-1 {
					t.Errorf("piece %d comes %v after the one before", i, gap)
				}
			}
		}
		if got != strings.Repeat("x", 50) || all[0].at != 0 || all[0].text != "x" || len(all) > 20 {
			t.Errorf("%d pieces, the first %+v, all %q", len(all), all[0], got)
		}
	})
}

// TestStreamKeepsEverything: whatever comes in, texts and events go out whole, in order, and no piece is too large.
func TestStreamKeepsEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			c, sent := recorder(t)
			var text string
			var events []string
			for range rapid.IntRange(0, 30).Draw(rt, "deltas") {
				d := Delta{Text: strings.Repeat(rapid.SampledFrom([]string{"", "ä", "word "}).Draw(rt, "word"),
					rapid.SampledFrom([]int{1, 3, 40_000}).Draw(rt, "times"))}
				if rapid.Bool().Draw(rt, "event") {
					event, _ := json.Marshal(map[string]int{"n": len(events), "pad": rapid.IntRange(0, 9).Draw(rt, "pad")})
					d.Event = event
					events = append(events, string(event))
				}
				text += d.Text
				if err := c.add(d); err != nil {
					rt.Fatal(err)
				}
				<-time.After(time.Duration(rapid.IntRange(0, 200).Draw(rt, "ms")) * time.Millisecond)
			}
			if err := c.close(); err != nil {
				rt.Fatal(err)
			}
			var gotText string
			var gotEvents []string
			for _, p := range sent() {
				gotText += p.text
				if len(p.text)+len(p.data) > 256<<10 {
					rt.Fatalf("a piece of %d bytes", len(p.text)+len(p.data))
				}
				var list []jsontext.Value
				if p.data != "" {
					if err := json.Unmarshal([]byte(p.data), &list); err != nil {
						rt.Fatal(err)
					}
				}
				for _, e := range list {
					gotEvents = append(gotEvents, string(e))
				}
			}
			if gotText != text || strings.Join(gotEvents, "|") != strings.Join(events, "|") {
				rt.Fatalf("got %d bytes and %d events, want %d and %d", len(gotText), len(gotEvents), len(text), len(events))
			}
			if n, _ := c.received(); n != len(text) {
				rt.Fatalf("counted %d bytes of %d", n, len(text))
			}
			<-time.After(time.Minute) // no timer is left that sends
			if err := c.add(Delta{Text: "late"}); err == nil {
				rt.Fatal("a closed stream takes more")
			}
		})
	})
}

// TestStreamStops: an error of the log reaches the provider, and nothing is sent after it.
func TestStreamStops(t *testing.T) {
	gone := errors.New("the task has ended")
	calls := 0
	c := newCoalescer(t.Context(), func(context.Context, string, jsontext.Value) error { calls++; return gone })
	if err := c.add(Delta{Text: "a"}); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(c.add(Delta{Text: "b"}), c.close()); !errors.Is(err, gone) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}
