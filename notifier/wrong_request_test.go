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
		`{"kind":"subscribe","id":"a","task_id":""}`:        "task_id is empty",
		`{"kind":"subscribe","id":"a","task_id":"."}`:       "must not be . or ..",
		`{"kind":"subscribe","id":"a","task_id":".."}`:      "must not be . or ..",
		`{"kind":"subscribe","id":"a","batch_id":""}`:       "batch_id is empty",
		`{"kind":"unsubscribe","id":"a"}`:                   "there is no subscription",
		`{"kind":"subscribe","id":"a","usr_id":"ada"}`:      `Did you mean "user_id"?`,
		`{"kind":"subscribe","id":"a","userId":"ada"}`:      `Did you mean "user_id"?`,
		`{"kind":"subscribe","id":"a","taskid":"t-1"}`:      `Did you mean "task_id"?`,
		`{"kind":"subscribe","id":"a","sinces":"earliest"}`: `Did you mean "since"?`,
		`{"kind":"subscribe","id":"a","colour":"red"}`:      `no member "colour"`,
		`{"kind":"subscribe","id":"a","token":"ey"}`:        `no member "token"`,
		`{"kind":"unsubscribe","ids":"taken","id":"taken"}`: `Did you mean "id"?`,
		`{"kind":"auth","tokn":"ey"}`:                       `Did you mean "token"?`,
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

// A client that is newer may say more with what only a newer notifier understands.
func TestOpenMessagesHaveAnyMembers(t *testing.T) {
	w := newWorld(t, nil)
	c := watch(t, w.Notifier, "user_id", "ada")
	c.say(`{"kind":"of tomorrow","usr_id":"ada"}`)
	c.say(`{"kind":"ping","sent":1}`)
	if got := c.next(); got.Kind != "pong" {
		t.Errorf("the ping is answered %+v", got)
	}
}
