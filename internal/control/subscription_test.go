package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// offline is a Controls that reads nothing.
func offline(t *testing.T) *Controls {
	t.Helper()
	c, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func cancelOf(id string, expires time.Time) record {
	at := schemas.AtTime(expires)
	c := &schemas.Control{
		Kind: schemas.ControlCancel, Target: schemas.Target{Type: schemas.TargetTask, UserID: "ada", TaskID: id},
		Time: schemas.AtTime(epoch), ExpiresAt: &at,
	}
	return record{c.Key(), c}
}

func pauseOf(user string, expires *schemas.Time) record {
	c := &schemas.Control{
		Kind: schemas.ControlPause, Target: schemas.Target{Type: schemas.TargetUser, UserID: user},
		Time: schemas.AtTime(epoch), ExpiresAt: expires,
	}
	return record{c.Key(), c}
}

func changed(s *Subscription) bool {
	select {
	case <-s.Changed():
		return true
	default:
		return false
	}
}

func TestChangesAreMerged(t *testing.T) {
	c := offline(t)
	tomorrow := time.Now().Add(24 * time.Hour)
	c.apply([]record{cancelOf("before", tomorrow)}, nil)
	s, other := c.Subscribe(), c.Subscribe()
	defer other.Close()
	if changed(s) {
		t.Error("told of what was before")
	}
	c.apply([]record{cancelOf("a", tomorrow), pauseOf("bob", nil), cancelOf("b", tomorrow), cancelOf("a", tomorrow)},
		nil)
	if !changed(s) || changed(s) {
		t.Error("not told once")
	}
	change := s.Take()
	slices.SortFunc(change.Cancels, func(a, b schemas.TaskKey) int { return cmpString(a.TaskID, b.TaskID) })
	if !slices.Equal(change.Cancels, []schemas.TaskKey{{UserID: "ada", TaskID: "a"}, {UserID: "ada", TaskID: "b"}}) ||
		!change.Rules || change.Everything {
		t.Errorf("change %+v", change)
	}
	if again := s.Take(); len(again.Cancels) > 0 || again.Rules || again.Everything {
		t.Errorf("taken twice: %+v", again)
	}
	c.apply([]record{{key: "cancel/task/ada/a"}}, nil)
	if changed(s) {
		t.Error("told that a cancel was lifted")
	}
	s.Close()
	c.apply([]record{cancelOf("c", tomorrow)}, nil)
	if changed(s) || !changed(other) {
		t.Error("closing ended the wrong subscription")
	}
}

func cmpString(a, b string) int { return slices.Compare([]byte(a), []byte(b)) }

func TestASlowSubscriberIsToldToLookAtEverything(t *testing.T) {
	c := offline(t)
	s := c.Subscribe()
	defer s.Close()
	for i := range 2 * maxPendingCancels {
		c.apply([]record{cancelOf(fmt.Sprint(i), time.Now().Add(time.Hour))}, nil)
		if n := len(s.listed); n > maxPendingCancels {
			t.Fatalf("%d cancels are held", n)
		}
	}
	if change := s.Take(); !change.Everything || len(change.Cancels) > 0 || change.Rules {
		t.Errorf("change with everything %v, rules %v, %d cancels", change.Everything, change.Rules,
			len(change.Cancels))
	}
	c.apply([]record{cancelOf("one more", time.Now().Add(time.Hour))}, nil)
	if change := s.Take(); change.Everything || len(change.Cancels) != 1 {
		t.Errorf("afterwards %+v", change)
	}
}

func TestExpiryIsToldAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := offline(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.expire(t.Context())
		}()
		s := c.Subscribe()
		defer s.Close()
		soon := schemas.AtTime(time.Now().Add(2500 * time.Millisecond))
		c.apply([]record{pauseOf("ada", &soon), cancelOf("a", soon.Time)}, nil)
		<-s.Changed()
		s.Take()
		task := &schemas.Task{UserID: "ada", TaskID: "a"}
		if v := c.Verdict(task, "fast"); v.Action != Hold || !v.Until.Equal(soon.Time) {
			t.Errorf("verdict %+v", v)
		}
		started := time.Now()
		<-s.Changed()
		if change := s.Take(); !change.Rules || len(change.Cancels) > 0 {
			t.Errorf("change %+v", change)
		}
		if took := time.Since(started); took < 2500*time.Millisecond || took > 2500*time.Millisecond+expireEvery {
			t.Errorf("told after %s", took)
		}
		if len(c.state.byKey) > 0 || c.Verdict(task, "fast").Action != Run {
			t.Errorf("still held: %v", c.state.byKey)
		}
		if _, cancelled := c.Cancelled("ada", "a"); cancelled {
			t.Error("an expired cancel is in force")
		}
	})
}

func TestPlacesOfATopicThatIsGoneAreForgotten(t *testing.T) {
	c := offline(t)
	c.apply(nil, map[int32]int64{0: 5})
	must(t, c.Passed(t.Context(), Place{Offset: 4}))
	c.replace(newState(), map[int32]int64{0: 1})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, p := range []Place{{Offset: 1}, {Partition: 1}} {
		if err := c.Passed(ended, p); !errors.Is(err, context.Canceled) {
			t.Errorf("%+v has passed: %v", p, err)
		}
	}
	c.replace(newState(), nil)
	if err := c.Passed(ended, Place{}); !errors.Is(err, context.Canceled) {
		t.Errorf("of a new and empty topic: %v", err)
	}
}

func BenchmarkVerdict(b *testing.B) {
	c, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}})
	if err != nil {
		b.Fatal(err)
	}
	task := &schemas.Task{UserID: "ada", TaskID: "t1", TaskName: "answer", Mode: "chat", Service: "assistant"}
	for _, rules := range []int{0, 100} {
		for i := range rules {
			c.apply([]record{pauseOf(fmt.Sprint(i), nil)}, nil)
		}
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			for b.Loop() {
				if _, cancelled := c.Cancelled(task.UserID, task.TaskID); cancelled || c.Verdict(task,
					"fast").Action != Run {
					b.Fatal("the task is touched")
				}
			}
		})
	}
}
