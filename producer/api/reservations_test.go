package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// One request at a time has an identity, the others wait for it or give up, and nothing
// is left behind.
func TestReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReservations()
		ada, bob := schemas.TaskKey{UserID: "ada", TaskID: "t-1"}, schemas.TaskKey{UserID: "bob", TaskID: "t-1"}
		release, err := r.take(t.Context(), ada)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := r.take(t.Context(), bob); err != nil {
			t.Errorf("another user's task of the same id waits: %v", err)
		} else {
			other()
		}
		impatient, giveUp := context.WithCancel(t.Context())
		gaveUp := make(chan error, 1)
		go func() { _, err := r.take(impatient, ada); gaveUp <- err }()
		inside := 0
		for range 5 {
			go func() {
				mine, err := r.take(t.Context(), ada)
				if inside++; err != nil || inside != 1 {
					t.Errorf("%d have it at a time, %v", inside, err)
				}
				inside--
				mine()
			}()
		}
		synctest.Wait()
		giveUp()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got it: %v", err)
		}
		release()
		synctest.Wait()
		if len(r.held) != 0 {
			t.Errorf("%d are left", len(r.held))
		}
	})
}

// An Idempotency-Key stands for one task id of one user: the same again for the same pair,
// another for every other, and one that a task can have.
func TestIdempotentIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab\x01 é]{0,3}`)
		user, key := text.Draw(t, "user"), text.Draw(t, "key")
		otherUser, otherKey := text.Draw(t, "other user"), text.Draw(t, "other key")
		id := idempotentID(user, key)
		if schemas.CheckTaskID(id) != "" || id != idempotentID(user, key) {
			t.Fatalf("%q", id)
		}
		if same := user == otherUser && key == otherKey; (id == idempotentID(otherUser, otherKey)) != same {
			t.Fatalf("%q %q and %q %q: the same task: %v", user, key, otherUser, otherKey, !same)
		}
	})
}
