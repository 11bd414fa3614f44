package notifier_test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

// TestTwoUsersAuthOn: over every transport, whatever ids, cursors and filters
// alice sends with her token, nothing of bob comes back.
func TestTwoUsersAuthOn(t *testing.T) {
	g := newGuarded(t, nil)
	twoUsers(t, g.world, func(user string) ask { return ask{token: g.token(user, time.Hour)} }, func(r *rapid.T, a *ask) {
		a.user = rapid.SampledFrom([]string{"", "", "alice", "bob", "Bob", "*", "bob\x00", "root", "alice,bob"}).Draw(r,
			"user")
		a.token = g.token("alice", time.Hour)
		if rapid.IntRange(0, 3).Draw(r, "with a ticket") == 0 {
			_, a.ticket = g.ticket(a.token, "")
			a.token = ""
		}
		a.moreUser = rapid.SampledFrom([]string{"", "", "bob", "alice", "bob "}).Draw(r, "more of")
		a.moreSay = rapid.SampledFrom([]string{
			"", "", `{"kind":"auth","token":"` + g.token("bob", -time.Hour) + `"}`,
			`{"kind":"auth","user_id":"bob","token":"` + g.token("alice", time.Hour) + `"}`,
		}).Draw(r, "and says")
	})
}

// TestTwoUsersAuthOff: a client is who it says it is; nothing it asks for after
// that makes it another.
func TestTwoUsersAuthOff(t *testing.T) {
	w := newWorld(t, nil)
	twoUsers(t, w, func(user string) ask { return ask{user: user} }, func(r *rapid.T, a *ask) {
		a.user = "alice"
		a.moreTask = rapid.SampledFrom([]string{"", "bobs", "both"}).Draw(r, "more of")
		a.moreSay = rapid.SampledFrom([]string{"", `{"kind":"subscribe","id":"b","user_id":"bob","since":"earliest"}`,
			`{"kind":"auth","user_id":"bob"}`}).Draw(r, "and says")
	})
}

func twoUsers(t *testing.T, w *world, as func(string) ask, who func(*rapid.T, *ask)) {
	// Both have tasks in each partition, some with the same id.
	owners := make([]*owner, partitions)
	for p := range owners {
		owners[p] = w.fence(int32(p), 1)
		for _, user := range []string{"alice", "bob"} {
			for _, id := range []string{"both", user + "s"} {
				owners[p].say(user, id, "of "+user)
			}
		}
	}
	cursors := []string{"", "earliest", "now", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "!", "AAAA"}
	for _, user := range []string{"alice", "bob"} {
		var header http.Header
		if token := as(user).token; token != "" {
			header = bearer(token)
		}
		c := dial(t, w.Notifier, header, nil, "user_id", user, "since", "earliest")
		for range 3 {
			cursors = append(cursors, c.next().Cursor)
		}
	}
	all := receivers()
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(r *rapid.T) {
		var a ask
		who(r, &a)
		how := rapid.SampledFrom(names).Draw(r, "over")
		a.since = rapid.SampledFrom(cursors).Draw(r, "since")
		a.task = rapid.SampledFrom([]string{"", "", "both", "bobs", "alices"}).Draw(r, "task")
		a.batch = rapid.SampledFrom([]string{"", "", "", "bob"}).Draw(r, "batch")
		received := listen(t, w, owners, a, how, all[how])
		text := strings.Join(received, "\n")
		if strings.Contains(text, "of bob") || strings.Contains(text, `"user_id":"bob"`) {
			r.Fatalf("%s, %+v: %s", how, a, text)
		}
	})
	// A test that hears nothing proves nothing.
	for _, how := range names {
		a := as("alice")
		a.since = "earliest"
		if text := strings.Join(listen(t, w, owners, a, how, all[how]), "\n"); !strings.Contains(text, "of alice") ||
			strings.Contains(text, "of bob") {
			t.Errorf("over %s alice has received %s", how, text)
		}
	}
}

// inBatch puts an event into the batch that both users have.
func inBatch(r *kgo.Record) *kgo.Record {
	r.Value = bytes.Replace(r.Value, []byte(`"message":`), []byte(`"batch_id":"bob","message":`), 1)
	return r
}

// listen lets events happen while the transport connects and after, until it has
// received the end: an event that it is told of if it is told of any.
func listen(t *testing.T, w *world, owners []*owner, a ask, how string,
	receive func(*testing.T, *notifier.Notifier, ask, string) []string) []string {
	t.Helper()
	done := make(chan []string, 1)
	go func() { done <- receive(t, w.Notifier, a, how) }()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for i := 0; ; i++ {
		select {
		case received := <-done:
			return received
		case <-ticker.C:
			o := owners[i%len(owners)]
			for _, user := range []string{"bob", "alice"} {
				w.produce(inBatch(o.record(user, schemas.KindState, "both", "of "+user)))
			}
			for _, task := range []string{"both", "bobs", "alices"} {
				w.produce(inBatch(o.record("alice", schemas.KindState, task, "end")))
			}
		case <-deadline.C:
			t.Fatalf("%s, %+v: no end was received", how, a)
		}
	}
}
