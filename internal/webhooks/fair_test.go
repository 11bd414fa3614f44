package webhooks

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// TestRetryAfterHoldsOneUserAlone: a receiver that tells one user's deliveries to
// stay away for a day stops no other's to the same host, and that user's for an hour.
func TestRetryAfterHoldsOneUserAlone(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(64, 8)
	q.add(deliverFor("alice", "a1", "host", now))
	told, _ := q.next(now)
	q.done(told, fails, 24*time.Hour, 0, now)
	q.add(deliverFor("alice", "a2", "host", now))
	q.add(deliverFor("alice", "a3", "elsewhere", now))
	q.add(deliverFor("bob", "b1", "host", now))
	got := map[string]bool{}
	for _, d := range drained(q, now) {
		got[d.id] = true
	}
	if len(got) != 2 || !got["a3"] || !got["b1"] {
		t.Errorf("tried %v, want a3 and b1", got)
	}
	if _, until := q.next(now); !until.Equal(now.Add(longestPause)) {
		t.Errorf("the next may be tried at %s, want in %s", until, longestPause)
	}
}

// TestSlowReceiversLeaveSlotsToOthers: sixteen users, or one with as many hosts as he
// likes, have all that they post hang. Others' are tried at once all the same, at
// hosts that are known and at ones that are not.
func TestSlowReceiversLeaveSlotsToOthers(t *testing.T) {
	now := time.Unix(1767222000, 0)
	for name, c := range map[string]struct {
		hosts int
		user  func(host int) string
	}{
		"sixteen users":                 {16, func(host int) string { return fmt.Sprint("slow", host) }},
		"one user":                      {16, func(int) string { return "slow" }},
		"one user, a thousand hosts":    {1000, func(int) string { return "slow" }},
		"eight users of a hundred each": {800, func(host int) string { return fmt.Sprint("slow", host%8) }},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(64, 8)
			q.add(deliverFor("alice", "first", "well", now))
			first, _ := q.next(now)
			q.done(first, works, 0, 0, now)
			for host := range c.hosts {
				for i := range 20 {
					q.add(deliverFor(c.user(host), fmt.Sprint(host, "-", i), fmt.Sprint("slow", host), now))
				}
			}
			at := now
			for round := range 20 {
				hanging := drained(q, at)
				if len(hanging) > 32 {
					t.Fatalf("round %d: %d slots hang", round, len(hanging))
				}
				for i := range 8 {
					q.add(deliverFor("alice", fmt.Sprint("a", round, i), "well", at))
				}
				got := drained(q, at)
				if len(got) != 8 {
					t.Fatalf("round %d: %d of alice's are tried beside %d that hang, want 8", round, len(got),
						len(hanging))
				}
				end(q, got, works, 0, at)
				at = at.Add(15 * time.Second)
				end(q, hanging, fails, 15*time.Second, at)
			}
		})
	}
}

// TestNewHostDoesNotWaitBehindSlowOnes: once sixteen hosts are known to be slow, one
// that nobody has posted to is tried at once.
func TestNewHostDoesNotWaitBehindSlowOnes(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(64, 8)
	for host := range 16 {
		for i := range 20 {
			q.add(deliverFor(fmt.Sprint("slow", host), fmt.Sprint(host, "-", i), fmt.Sprint("slow", host), now))
		}
	}
	hanging := drained(q, now)
	now = now.Add(15 * time.Second)
	end(q, hanging, fails, 15*time.Second, now)
	if n := len(drained(q, now)); n != 16 {
		t.Fatalf("%d hang, want a quarter of the slots", n)
	}
	q.add(deliverFor("bob", "b", "new", now))
	if got := drained(q, now); len(got) != 1 || got[0].id != "b" {
		t.Errorf("beside what hangs %d are tried, want bob's", len(got))
	}
}

// end ends tries, and with them their deliveries.
func end(q *queue, tries []*delivery, v verdict, took time.Duration, at time.Time) {
	for _, d := range tries {
		q.remove(d)
		q.done(d, v, 0, took, at)
	}
}

// TestUsersOfOneHostShareIt: one user's URL there hangs, another's does not.
func TestUsersOfOneHostShareIt(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(64, 8)
	for i := range 100 {
		q.add(deliverFor("slow", fmt.Sprint("s", i), "host", now))
	}
	hanging := drained(q, now)
	for i := range 4 {
		q.add(deliverFor("alice", fmt.Sprint("a", i), "host", now))
	}
	tried := 0
	for range 4 {
		for _, d := range drained(q, now) {
			if d.user != "alice" {
				t.Fatalf("%s is tried beside %d that hang", d.id, len(hanging))
			}
			tried++
			q.remove(d)
			q.done(d, works, 0, 0, now)
		}
	}
	if tried != 4 {
		t.Errorf("%d of alice's are tried beside %d that hang, want all", tried, len(hanging))
	}
}

// TestNobodyHoldsWhatMayBeOpen: a user with more than half of what may be open gives
// way to others.
func TestNobodyHoldsWhatMayBeOpen(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(64, 8)
	for i := range 6 {
		q.add(deliverFor("alice", fmt.Sprint("a", i), "host", now))
	}
	if q.heaviest(10) != nil {
		t.Error("alone, a user is in nobody's way")
	}
	q.add(deliverFor("bob", "b", "host", now))
	if u := q.heaviest(10); u == nil || u.name != "alice" || q.heaviest(12) != nil {
		t.Errorf("of ten %v has more than half, of twelve %v", u, q.heaviest(12))
	}
}

// TestRetryAfterOfADayStopsNobodyElse: against a dispatcher and a real receiver.
func TestRetryAfterOfADayStopsNobodyElse(t *testing.T) {
	w := newWorld(t)
	posted := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		posted <- in.URL.Path + " " + in.Header.Get(schemas.WebhookID)
		if strings.HasPrefix(in.URL.Path, "/busy") {
			out.Header().Set("Retry-After", "86400")
			out.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	w.fence("fast/0", 7)
	w.end("fast/0", 7, "mallory", server.URL+"/busy")
	c, stop := w.dispatcher(w.config())
	defer stop()
	r := &receiver{t: t, got: map[string]int{}, news: make(chan struct{}, 1)}
	r.await("the refusal", func() bool { return c.metrics.retried.Get() == 1 })
	for i := range 20 {
		w.end("fast/0", 7, fmt.Sprint("user", i%3), server.URL+"/well")
	}
	r.await("the others", func() bool { return c.metrics.delivered.Get() == 20 })
	if len(posted) != 21 {
		t.Errorf("posted %d times, want 21", len(posted))
	}
}
