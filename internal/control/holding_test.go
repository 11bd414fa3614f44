package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func cancelBy(user, id string, expires int) *schemas.Control {
	return &schemas.Control{Kind: schemas.ControlCancel,
		Target: schemas.Target{Type: schemas.TargetTask, UserID: user, TaskID: id}, ExpiresAt: after(expires)}
}

// One user's flood forgets that user's own cancels, the oldest first, and no other's,
// whenever these expire.
func TestAFloodForgetsItsOwnCancels(t *testing.T) {
	s := newState()
	s.apply("v", cancelBy("victim", "soon", 10), epoch)
	s.apply("w", cancelBy("other", "later", 3600), epoch)
	dropped := 0
	const flood = 95_000
	for n := range flood {
		c := cancelBy("mallory", fmt.Sprint(n), 7*24*3600)
		did := s.apply(c.Key(), c, epoch)
		dropped += did.dropped
		if did.dropped > 0 && did.of != "mallory" {
			t.Fatalf("%s has lost a cancel", did.of)
		}
	}
	if s.cancelled(schemas.TaskKey{UserID: "victim", TaskID: "soon"}, epoch) == nil ||
		s.cancelled(schemas.TaskKey{UserID: "other", TaskID: "later"}, epoch) == nil {
		t.Error("another user's cancel is void")
	}
	if held := s.users.of["mallory"]; held.count+dropped != flood || held.count > slack*MaxUserCancels ||
		s.cancelBytes > s.maxCancelBytes {
		t.Errorf("%d are held, %d dropped", held.count, dropped)
	}
	if s.cancelled(schemas.TaskKey{UserID: "mallory", TaskID: "0"}, epoch) != nil ||
		s.cancelled(schemas.TaskKey{UserID: "mallory", TaskID: fmt.Sprint(flood - 1)}, epoch) == nil {
		t.Error("not the oldest were dropped")
	}
}

// Long reasons are bounded as many cancels are.
func TestAUsersBytesAreBounded(t *testing.T) {
	s := newState()
	for n := range 10_000 {
		c := cancelBy("mallory", fmt.Sprint(n), 60)
		c.Reason = strings.Repeat("é", 2000)
		s.apply(c.Key(), c, epoch)
	}
	if held := s.users.of["mallory"]; held.bytes > slack*MaxUserCancelBytes || held.count < 1000 {
		t.Errorf("%d of %d bytes are held", held.count, held.bytes)
	}
}

// Whatever is written, as long as it is asked for first nothing is ever dropped, and
// who has few cancels is not refused for one who has many.
func TestWhatIsAcknowledgedIsHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newState()
		s.maxCancelBytes, s.maxRuleBytes = 100_000, 20_000
		s.users.mostCount, s.users.mostBytes = 2*rapid.IntRange(1, 60).Draw(t, "a user's"), 80_000
		given := map[schemas.TaskKey]bool{}
		for n := range rapid.IntRange(1, 200).Draw(t, "cancels") {
			user := rapid.SampledFrom([]string{"mallory", "mallory", "mallory", "mallory", "ada", "bob"}).Draw(t,
				"user")
			c := cancelBy(user, fmt.Sprint(n), rapid.IntRange(1, 9).Draw(t, "expires"))
			err := s.room(c, epoch)
			var full *FullError
			switch {
			case errors.As(err, &full):
				if h := s.users.of[user]; h == nil || h.count < 3 && s.users.mostCount > 6 {
					t.Fatalf("%s is refused with %+v: %v", user, h, err)
				}
				continue
			case err != nil:
				t.Fatal(err)
			}
			if did := s.apply(c.Key(), c, epoch); did.dropped > 0 {
				t.Fatalf("%d of %s were dropped", did.dropped, did.of)
			}
			given[schemas.TaskKey{UserID: user, TaskID: fmt.Sprint(n)}] = true
		}
		for id := range given {
			if s.cancelled(id, epoch) == nil {
				t.Fatalf("%v was acknowledged and is void", id)
			}
		}
		checkHoldings(t, s)
	})
}

// checkHoldings compares what is known of users with what is held.
func checkHoldings(t *rapid.T, s *state) {
	count, bytes := map[string]int{}, map[string]int{}
	for id, e := range s.cancels {
		count[id.UserID]++
		bytes[id.UserID] += e.bytes
	}
	if len(s.users.of) != len(count) || s.users.heaviest.Len() != len(count) {
		t.Fatalf("%d users are known, %d have cancels", len(s.users.of), len(count))
	}
	for user, h := range s.users.of {
		listed := 0
		for e := h.first; e != nil; e = e.newer {
			listed++
			if e.newer == nil && h.last != e || e.control.Target.UserID != user {
				t.Fatalf("the list of %s is torn", user)
			}
		}
		if h.count != count[user] || h.bytes != bytes[user] || listed != h.count || s.users.heaviest.All()[h.place-1] != h ||
			h.bytes > s.users.heaviest.Top().bytes {
			t.Fatalf("%s: %+v, want %d of %d bytes", user, h, count[user], bytes[user])
		}
	}
}

// Room is for what needs it: an end of something else, and the same again, do not.
func TestRoomIsForWhatNeedsIt(t *testing.T) {
	s := newState()
	s.users.mostCount = slack
	first := cancelBy("ada", "t", 60)
	s.apply(first.Key(), first, epoch)
	for name, tt := range map[string]struct {
		c    *schemas.Control
		full bool
	}{
		"one more":       {cancelBy("ada", "u", 60), true},
		"the same again": {cancelBy("ada", "t", 60), false},
		"one that ended": {cancelBy("ada", "u", -1), false},
		"another user's": {cancelBy("bob", "t", 60), false},
		"a resume": {&schemas.Control{Kind: schemas.ControlResume,
			Target: schemas.Target{Type: schemas.TargetUser, UserID: "ada"}}, false},
		"a pause": {&schemas.Control{Kind: schemas.ControlPause,
			Target: schemas.Target{Type: schemas.TargetUser, UserID: "ada"}}, false},
	} {
		if err := s.room(tt.c, epoch); (err != nil) != tt.full {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.maxRuleBytes = 1
	err := s.room(&schemas.Control{Kind: schemas.ControlPause,
		Target: schemas.Target{Type: schemas.TargetUser, UserID: "ada"}}, epoch)
	var full *FullError
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("%v", err)
	}
}
