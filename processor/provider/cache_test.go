package provider

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/config"
)

// TestTheCacheIsBounded: it never holds more than its bytes, gives what was put last, and nothing whose time is over.
func TestTheCacheIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 8000
		c, now := newCache(config.Cache{MaxBytes: most, MaxTTL: time.Minute}), time.Unix(1e9, 0)
		type answer struct {
			text  string
			until time.Time
		}
		put := map[byte]answer{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			name := byte(rapid.IntRange(0, 8).Draw(t, "key"))
			if rapid.Bool().Draw(t, "put") {
				text := strings.Repeat("x", rapid.IntRange(0, 3000).Draw(t, "size"))
				ttl := time.Duration(rapid.IntRange(1, 120).Draw(t, "ttl")) * time.Second
				c.put([32]byte{name}, Result{Text: text}, ttl, now)
				if len(text)+512 <= most/4 {
					put[name] = answer{text, now.Add(min(ttl, time.Minute))}
					if _, kept := c.get([32]byte{name}, now); !kept {
						t.Fatal("what was just put is not there")
					}
				}
			}
			if got, kept := c.get([32]byte{name}, now); kept && (got.Text != put[name].text || !now.Before(put[name].until)) {
				t.Fatalf("%d bytes, want %d until %v; it is %v", len(got.Text), len(put[name].text), put[name].until, now)
			}
			var bytes int64
			for at := c.order.Front(); at != nil; at = at.Next() {
				bytes += at.Value.(*kept).bytes
			}
			if bytes != c.bytes || bytes > most || len(c.answers) != c.order.Len() {
				t.Fatalf("%d bytes, counted %d, %d answers, %d in order", bytes, c.bytes, len(c.answers), c.order.Len())
			}
		}
	})
}

// TestOneAsks: of several equal questions one is asked; the others wait for its end, or for their own.
func TestOneAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, key := newCache(config.Cache{}), [32]byte{1}
		done, lead := c.lead(t.Context(), key)
		if !lead {
			t.Fatal("the first does not ask")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, lead := c.lead(ctx, key); lead || ctx.Err() == nil {
			t.Error("the second asks, or has not waited until it was stopped")
		}
		if other, lead := c.lead(t.Context(), [32]byte{2}); !lead {
			t.Error("another question waits")
		} else {
			other()
		}
		waited := make(chan bool)
		go func() {
			_, lead := c.lead(t.Context(), key)
			waited <- lead
		}()
		synctest.Wait()
		if done(); <-waited {
			t.Error("who has waited asks without looking for the answer first")
		}
		if again, lead := c.lead(t.Context(), key); !lead {
			t.Error("nobody asks, and it cannot be asked")
		} else {
			again()
		}
		if len(c.asking) > 0 {
			t.Errorf("%d are still asked", len(c.asking))
		}
	})
}
