package processor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/schemas"
)

func queuedTask(user, id string, priority int, at time.Time) queued {
	return queued{at: at, job: &journal.Job{Task: &schemas.Task{UserID: user, TaskID: id, Priority: &priority}}}
}

// TestNewcomerDoesNotWaitForABacklog: a user with 20,000 tasks and one with a
// hundred take turns.
func TestNewcomerDoesNotWaitForABacklog(t *testing.T) {
	q, now := newQueue(), time.Now()
	for n := range 20_000 {
		q.push(queuedTask("busy", fmt.Sprint("b", n), 5, now))
	}
	for n := range 100 {
		q.push(queuedTask("new", fmt.Sprint("n", n), 5, now))
	}
	served := 0
	for n := 1; served < 100; n++ {
		job, ok := q.take(now)
		if !ok {
			t.Fatal("the queue is empty")
		}
		if job.job.Task.UserID == "new" {
			served++
		}
		if n > 2*served+12 {
			t.Fatalf("after %d tasks only %d of the newcomer's were served", n, served)
		}
	}
}

// TestPriorityOvertakesABacklog within one user's tasks.
func TestPriorityOvertakesABacklog(t *testing.T) {
	q, now := newQueue(), time.Now()
	for n := range 20_000 {
		q.push(queuedTask("u", fmt.Sprint("low", n), 1, now))
	}
	q.push(queuedTask("u", "high", 9, now))
	if job, _ := q.take(now); job.job.Task.TaskID != "high" {
		t.Errorf("%s came before the task of priority 9", job.job.Task.TaskID)
	}
}

// TestPriorityWeighsBetweenUsers: of two users with endless tasks, the one of
// priority 10 gets eleven turns for one of the other's.
func TestPriorityWeighsBetweenUsers(t *testing.T) {
	q, now := newQueue(), time.Now()
	for n := range 2000 {
		q.push(queuedTask("ten", fmt.Sprint("t", n), 10, now))
		q.push(queuedTask("zero", fmt.Sprint("z", n), 0, now))
	}
	served := map[string]int{}
	for range 1200 {
		job, _ := q.take(now)
		served[job.job.Task.UserID]++
	}
	if served["ten"] < 1090 || served["ten"] > 1110 {
		t.Errorf("served %v of 1,200, want about 1,100 and 100", served)
	}
}

// TestNothingStarves: a task of priority 0 is served behind a stream of tasks of
// priority 10 once it has waited for ten agings.
func TestNothingStarves(t *testing.T) {
	q, start := newQueue(), time.Now()
	q.push(queuedTask("u", "old", 0, start))
	for second := range 400 {
		now := start.Add(time.Duration(second) * time.Second)
		q.push(queuedTask("u", fmt.Sprint("new", second), 10, now))
		if job, _ := q.take(now); job.job.Task.TaskID == "old" {
			if second < 300 {
				t.Errorf("served after %d s already", second)
			}
			return
		}
	}
	t.Error("not served within 400 s")
}

// TestQueueKeepsEverything: whatever is pushed comes out once, in order within a
// user's priority, and a waiting pop wakes up.
func TestQueueKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, now := newQueue(), time.Now()
		pushed, popped := 0, 0
		last := map[string]int{}
		pop := func() {
			job, ok := q.take(now)
			if !ok {
				if pushed != popped {
					t.Fatalf("empty with %d of %d served", popped, pushed)
				}
				return
			}
			popped++
			key := fmt.Sprint(job.job.Task.UserID, "/", *job.job.Task.Priority)
			var n int
			if _, err := fmt.Sscan(job.job.Task.TaskID, &n); err != nil || n <= last[key] {
				t.Fatalf("%s of %s after %d", job.job.Task.TaskID, key, last[key])
			}
			last[key] = n
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				pushed++
				user := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "user")
				q.push(queuedTask(user, fmt.Sprint(pushed), rapid.IntRange(0, 10).Draw(t, "priority"), now))
			} else {
				pop()
			}
		}
		for popped < pushed {
			pop()
		}
		if len(q.users) != 0 || q.turn != nil {
			t.Fatalf("%d users left in an empty queue", len(q.users))
		}
	})
}

func TestPopWaitsForAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		got := make(chan string)
		go func() {
			job, _ := q.pop(t.Context())
			got <- job.job.Task.TaskID
		}()
		synctest.Wait()
		q.push(queuedTask("u", "late", 5, time.Now()))
		if id := <-got; id != "late" {
			t.Errorf("got %s", id)
		}
	})
}
