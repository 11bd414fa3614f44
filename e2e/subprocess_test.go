package e2e

import (
	"fmt"
	"syscall"
	"testing"
)

// attempts are how often a task of a user has been started, as its events say.
func (b *logbook) attempts(user, id string) (n int) {
	for _, e := range b.of(user)[id] {
		if e.Status == "running" && e.Kind == "state" {
			n++
		}
	}
	return n
}

// TestChildrenOfAProcessor: a child that is killed costs the tasks in it one attempt each and those in another child
// none; what an attempt had submitted before its child ended is submitted by the next as the same tasks; what a child
// says of its tasks holds at the edge and in the processor.
func TestChildrenOfAProcessor(t *testing.T) {
	t.Parallel()
	i, n := newInstallation(t), newNursery(t)
	s := i.up(t, n.flags("children=2")...)
	a, book := newAPI(t, s.api), read(t, i)
	t.Run("kill -9", func(t *testing.T) {
		const tasks = 4
		for k := range tasks {
			a.must(202, "POST", "/v1/tasks", n.task("fast", "kill", fmt.Sprint("hold-", k), "hold", nil))
		}
		before := n.begun(tasks)
		killed := before[0].PID
		if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		n.ended(killed)
		n.letGo()
		lost := 0
		for _, r := range before {
			want := 1
			if r.PID == killed {
				want = 2
				lost++
			}
			end := book.end("kill", r.TaskID)
			if end.Status != "completed" || end.Attempt != want || book.attempts("kill", r.TaskID) != want {
				t.Errorf("%s of child %d ended %s at attempt %d, after %d starts; want %d", r.TaskID, r.PID, end.Status,
					end.Attempt, book.attempts("kill", r.TaskID), want)
			}
		}
		if after := len(n.runs()); after != tasks+lost {
			t.Errorf("%d tasks were begun, want %d and %d again", after, tasks, lost)
		}
	})
	t.Run("submit", func(t *testing.T) {
		a.must(202, "POST", "/v1/tasks", n.task("fast", "family", "parent", "parent", nil))
		end := book.end("family", "parent")
		if end.Status != "completed" || end.Attempt != 2 || string(end.Result) != `"parent~1 parent~2 parent~3"` {
			t.Errorf("the parent ended %s at attempt %d: %s %s", end.Status, end.Attempt, end.Result, end.Error)
		}
		for k := range 3 {
			id := fmt.Sprint("parent~", k+1)
			end := book.end("family", id)
			if end.Status != "completed" || end.Lane != "heavy" || book.attempts("family", id) != 1 {
				t.Errorf("%s ended %s on %s after %d starts", id, end.Status, end.Lane, book.attempts("family", id))
			}
		}
	})
	t.Run("description", func(t *testing.T) {
		waitFor(t, "the service to be known", func() bool {
			for _, service := range list(a.must(200, "GET", "/v1/services", nil)["services"]) {
				if service["mode"] == "test" && service["name"] == "child" && fmt.Sprint(service["versions"]) == "[v7]" {
					return true
				}
			}
			return false
		})
		refused := a.must(422, "POST", "/v1/tasks", n.task("fast", "known", "wrong", "count", map[string]any{"m": 1}))
		if refused["field"] != "input_data.n" {
			t.Errorf("wrong input is answered with %v", refused)
		}
		a.must(202, "POST", "/v1/tasks", n.task("fast", "known", "right", "count", map[string]any{"n": 1}))
		a.must(202, "POST", "/v1/tasks", n.task("fast", "known", "slow", "slow", nil))
		if end := book.end("known", "right"); end.Status != "completed" {
			t.Errorf("it ended %s: %s", end.Status, end.Error)
		}
		if end := book.end("known", "slow"); end.Status != "timed_out" || end.ErrorCode != "soft_time_limit" {
			t.Errorf("the slow one ended %s %s", end.Status, end.ErrorCode)
		}
	})
	book.check()
	s.terminate()
}

// list are the objects of a JSON array.
func list(value any) (all []map[string]any) {
	values, _ := value.([]any)
	for _, v := range values {
		if object, ok := v.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}

// TestChildrenOfAKilledProcessor end with it, and what was in them is taken over once.
func TestChildrenOfAKilledProcessor(t *testing.T) {
	t.Parallel()
	const tasks = 6
	i, n := newInstallation(t), newNursery(t)
	if i.brokers == "" {
		s := start(t, "broker", "--broker-addr", i.brokerAddr, "--data-dir", i.dir)
		defer s.terminate()
	}
	front := start(t, append([]string{"producer", "--api-addr", i.api, "--data-dir", t.TempDir()}, i.kafkaFlags()...)...)
	worker := func() *server {
		args := append([]string{"processor", "--lanes", "fast=8", "--metrics-addr", "127.0.0.1:0", "--session-timeout", "6s",
			"--data-dir", t.TempDir()}, i.kafkaFlags()...)
		return start(t, append(args, n.flags("children=2")...)...)
	}
	first := worker()
	a, book := newAPI(t, "http://"+i.api), read(t, i)
	for k := range tasks {
		a.must(202, "POST", "/v1/tasks", n.task("fast", fmt.Sprint("user-", k), fmt.Sprint("hold-", k), "hold", nil))
	}
	before := n.begun(tasks)
	first.kill()
	for _, r := range before {
		n.ended(r.PID)
	}
	n.letGo()
	second := worker()
	for k := range tasks {
		user, id := fmt.Sprint("user-", k), fmt.Sprint("hold-", k)
		if end := book.end(user, id); end.Status != "completed" || end.Attempt != 2 || book.attempts(user, id) != 2 {
			t.Errorf("%s ended %s at attempt %d, after %d starts", id, end.Status, end.Attempt, book.attempts(user, id))
		}
	}
	if after := len(n.runs()); after != 2*tasks {
		t.Errorf("%d tasks were begun, want each twice", after)
	}
	book.check()
	second.terminate()
	front.terminate()
}

// TestRecyclingUnderLoad: while children are replaced again and again no task is lost, run twice, or tried again.
func TestRecyclingUnderLoad(t *testing.T) {
	t.Parallel()
	const tasks, users, most = 120, 6, 5
	i, n := newInstallation(t), newNursery(t)
	s := i.up(t, n.flags(fmt.Sprint("children=2;max_tasks=", most))...)
	a, book := newAPI(t, s.api), read(t, i)
	for k := range tasks {
		lane := []string{"fast", "heavy"}[k%2]
		a.must(202, "POST", "/v1/tasks", n.task(lane, fmt.Sprint("user-", k%users), fmt.Sprint("t-", k), "count",
			map[string]any{"n": k}))
	}
	for k := range tasks {
		user, id := fmt.Sprint("user-", k%users), fmt.Sprint("t-", k)
		if end := book.end(user, id); end.Status != "completed" || end.Attempt != 1 || book.attempts(user, id) != 1 {
			t.Errorf("%s ended %s at attempt %d, after %d starts: %s", id, end.Status, end.Attempt, book.attempts(user, id),
				end.Error)
		}
	}
	times, by := map[string]int{}, map[int]int{}
	for _, r := range n.runs() {
		times[r.TaskID]++
		by[r.PID]++
	}
	for id, count := range times {
		if count != 1 {
			t.Errorf("%s ran %d times", id, count)
		}
	}
	for pid, count := range by {
		if count > most+most/5 {
			t.Errorf("child %d ran %d tasks", pid, count)
		}
	}
	if len(times) != tasks {
		t.Errorf("%d tasks ran", len(times))
	}
	book.check()
	s.terminate()
}
