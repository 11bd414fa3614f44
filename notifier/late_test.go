package notifier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

// silent connects without a token and says nothing yet.
func silent(t *testing.T, n *notifier.Notifier, query ...string) *client {
	t.Helper()
	conn, res, err := websocket.DefaultDialer.Dial(address(n, query...), nil)
	if err != nil {
		t.Fatalf("dial: %v: %v", err, res)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, Conn: conn}
}

func TestTokenInTheFirstMessage(t *testing.T) {
	w, token := newTokens(t, nil)
	o := w.fence(0, 1)
	o.say("ada", "t", "one")
	c := silent(t, w.Notifier, "since", "earliest")
	c.say(fmt.Sprintf(`{"kind":"auth","token":%q}`, token("ada")))
	if m := c.next(); m.Kind != "hello" || !m.Recovered {
		t.Fatalf("got %+v, want a hello", m)
	}
	c.expect("one")
	o.say("bob", "t", "not hers")
	o.say("ada", "t", "two")
	c.expect("two")
	// The token is renewed while the connection goes on; another user's is not.
	c.say(fmt.Sprintf(`{"kind":"auth","token":%q}`, token("ada")))
	o.say("ada", "t", "three")
	c.expect("three")
	c.say(`{"kind":"auth"}`) // "I have none" takes nothing from who was let in
	o.say("ada", "t", "four")
	c.expect("four")
	c.expectQuiet()
	c.say(fmt.Sprintf(`{"kind":"auth","token":%q}`, token("bob")))
	if code, reason := c.closeCode(); code != notifier.CloseForbidden && code != notifier.CloseUnauthenticated {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// Whoever does not prove in time who it is gets nothing but a reason.
func TestFirstMessageRefused(t *testing.T) {
	w, token := newTokens(t, nil)
	w.fence(0, 1).say("ada", "t", "secret")
	tests := map[string]struct {
		query []string
		says  string
		code  int
	}{
		"not auth": {[]string{"since", "earliest"}, `{"kind":"ping"}`, notifier.CloseUnauthenticated},
		"subscribe": {[]string{"since", "earliest"}, `{"kind":"subscribe","id":"a","user_id":"ada","since":"earliest"}`,
			notifier.CloseUnauthenticated},
		"no token": {[]string{"since", "earliest"}, `{"kind":"auth"}`, notifier.CloseUnauthenticated},
		"forged": {[]string{"since", "earliest"}, fmt.Sprintf(`{"kind":"auth","token":%q}`, token("ada")+"x"),
			notifier.CloseUnauthenticated},
		"another's": {[]string{"user_id", "ada", "since", "earliest"},
			fmt.Sprintf(`{"kind":"auth","token":%q}`, token("bob")), notifier.CloseForbidden},
		"no JSON": {[]string{"since", "earliest"}, `auth`, websocket.ClosePolicyViolation},
		"another's task": {[]string{"user_id", "ada", "task_id", "t", "since", "earliest"},
			fmt.Sprintf(`{"kind":"auth","token":%q}`, token("bob")), notifier.CloseForbidden},
	}
	for name, tt := range tests {
		c := silent(t, w.Notifier, tt.query...)
		c.say(tt.says)
		if m, err := c.tryNext(); err == nil {
			t.Errorf("%s: got %+v", name, m)
			continue
		}
		c = silent(t, w.Notifier, tt.query...)
		c.say(tt.says)
		if code, reason := c.closeCode(); code != tt.code || reason == "" {
			t.Errorf("%s: closed with %d %q, want %d", name, code, reason, tt.code)
		}
	}
}

func TestNoFirstMessage(t *testing.T) {
	w, _ := newTokens(t, func(c *notifier.Config) { c.AuthTimeout = 50 * time.Millisecond })
	c := silent(t, w.Notifier)
	if code, reason := c.closeCode(); code != notifier.CloseUnauthenticated || reason == "" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// Clients that never read cost the bound of their queue each, live and in a
// replay, whatever comes; a neighbour gets every event as it comes.
func TestSilentClientsAreBounded(t *testing.T) {
	const bound, size, deaf = 256 << 10, 20 << 10, 5
	w := newWorld(t, func(c *notifier.Config) {
		c.QueueBytes, c.HoldBytes, c.RingBytes = bound, bound/2, 1<<20
		c.WriteTimeout = time.Hour // nobody is closed because a write takes long
	})
	o := w.fence(0, 1)
	text := make([]byte, size)
	for i := range text {
		text[i] = 'x'
	}
	neighbour := watch(t, w.Notifier, "user_id", "ada")
	for range deaf {
		watch(t, w.Notifier, "user_id", "ada")
	}
	most := 0
	for i := range 600 { // 12 MB, more than the kernel's buffers of a connection
		message := fmt.Sprint(i, string(text))
		w.produce(o.record("ada", schemas.KindState, "t", message))
		neighbour.expect(message)
		if i == 300 {
			for range deaf {
				watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
			}
		}
		if i%20 == 0 {
			var bytes int
			if _, err := fmt.Sscan(metric(t, w.Notifier, "tasklane_notifier_queue_bytes"), &bytes); err != nil {
				t.Fatal(err)
			}
			most = max(most, bytes)
		}
	}
	// Behind the next event of each there may be the bound, and as much held.
	if limit := 2 * deaf * (bound + bound/2 + 2*size); most > limit {
		t.Errorf("%d bytes waited for %d clients, at most %d may", most, 2*deaf, limit)
	}
	t.Logf("at most %d KiB waited for %d clients that never read", most>>10, 2*deaf)
}
