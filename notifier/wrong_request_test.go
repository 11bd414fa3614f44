package notifier_test

import (
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// A request that is wrong has no other answer than the end, which says how.
func TestWrongRequestsEndTheConnection(t *testing.T) {
	w := newWorld(t, nil)
	for says, reason := range map[string]string{
		`{"kind":"subscribe"}`:                              "needs an id",
		`{"kind":"subscribe","id":"taken"}`:                 "there is a subscription",
		`{"kind":"subscribe","id":"a","since":"yesterday"}`: "since must be",
		`{"kind":"subscribe","id":"a","task_id":"a b"}`:     "task_id must be",
		`{"kind":"unsubscribe","id":"a"}`:                   "there is no subscription",
	} {
		c := watch(t, w.Notifier, "user_id", "ada")
		c.say(`{"kind":"subscribe","id":"taken"}`)
		c.next()
		c.say(says)
		code, got := c.closeCode()
		if code != websocket.ClosePolicyViolation || !strings.Contains(got, reason) {
			t.Errorf("after %s: closed with %d %q, want %q", says, code, got, reason)
		}
	}
}
