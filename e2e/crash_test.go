package e2e

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// kills is how often the process is killed under load.
const kills = 20

// TestKillNineInALoop kills the whole installation under load, the embedded
// broker with it: everything that got a 202 reaches exactly one end.
func TestKillNineInALoop(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	l := &load{api: newAPI(t, s.api)}
	stop := l.background(t, 8)
	for n := range kills {
		before := l.count()
		waitFor(t, fmt.Sprintf("load to get through before kill %d", n), func() bool { return l.count() > before+30 })
		s.kill()
		s = i.up(t)
	}
	stop()
	book := read(t, i)
	l.allEnd(book)
	a := newAPI(t, s.api)
	for _, key := range l.accepted[len(l.accepted)-20:] {
		var user, id string
		for at := range key {
			if key[at] == '/' {
				user, id = key[:at], key[at+1:]
			}
		}
		if got := a.must(200, "GET", "/v1/tasks/"+id+"/result?wait=10s&user_id="+user, nil); got["status"] == nil {
			t.Errorf("result of %s is %v", key, got)
		}
	}
	s.terminate()
}

// TestTaskThatKillsItsProcess: a task that ends its worker every time is given
// up after three lost attempts, and its neighbours complete.
func TestTaskThatKillsItsProcess(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	a := newAPI(t, s.api)
	const neighbours = 20
	for n := range neighbours {
		a.must(202, "POST", "/v1/tasks", newTask("fast", "poison", fmt.Sprint("before-", n), "sleep",
			map[string]any{"ms": 20}))
	}
	a.must(202, "POST", "/v1/tasks", newTask("fast", "poison", "poison", "exit", nil))
	for lost := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		if err := s.waitExit(ctx); err != nil {
			t.Fatalf("after %d lost attempts: %v", lost, err)
		}
		cancel()
		if lost < 2 {
			// The task may end the process before that has said it is ready.
			s, _ = launch(t, i.upArgs()...)
		}
	}
	s = i.up(t)
	book := read(t, i)
	for n := range neighbours {
		id := fmt.Sprint("after-", n)
		a.must(202, "POST", "/v1/tasks", newTask("fast", "poison", id, "echo", nil))
	}
	end := book.end("poison", "poison")
	if end.Status != "failed" || end.ErrorCode != "worker_lost" {
		t.Errorf("the poison task ended %s %s: %s", end.Status, end.ErrorCode, end.Error)
	}
	for n := range neighbours {
		for _, when := range []string{"before-", "after-"} {
			if end := book.end("poison", fmt.Sprint(when, n)); end.Status != "completed" {
				t.Errorf("neighbour %s%d ended %s %s", when, n, end.Status, end.Error)
			}
		}
	}
	book.check()
	attempts := 0
	for _, all := range book.tasks {
		for _, e := range all {
			if e.TaskID == "poison" && e.Status == "running" {
				attempts++
			}
		}
	}
	if attempts != 3 {
		t.Errorf("the poison task was started %d times", attempts)
	}
	s.terminate()
}

// TestDrain: SIGTERM lets a running task finish and loses nothing.
func TestDrain(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	a := newAPI(t, s.api)
	for n := range 50 {
		a.must(202, "POST", "/v1/tasks", newTask("fast", "drain", fmt.Sprint("d-", n), "sleep", map[string]any{"ms": 50}))
	}
	s.terminate()
	s = i.up(t)
	book := read(t, i)
	for n := range 50 {
		if end := book.end("drain", fmt.Sprint("d-", n)); end.Status != "completed" || end.Attempt != 1 {
			t.Errorf("task %d ended %s at attempt %d", n, end.Status, end.Attempt)
		}
	}
	book.check()
	s.terminate()
}

// waitFor waits for something that only polling shows.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			t.Fatalf("waited %v for %s", deadline, what)
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// freezeTime is how long a processor is stopped: a minute where time is no
// object, else long enough for its session to end twice over.
func freezeTime(t *testing.T) time.Duration {
	t.Helper()
	return durationFromEnv(t, "TASKLANE_E2E_FREEZE", 14*time.Second)
}

// TestKilledAndFrozenProcessors: of three processors that share the lanes one
// is killed and one frozen until its partitions have moved, then woken. What it
// writes late does not count; every task ends once.
func TestKilledAndFrozenProcessors(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	if i.brokers == "" {
		s := start(t, "broker", "--broker-addr", i.brokerAddr, "--data-dir", i.dir)
		defer s.terminate()
	}
	front := start(t, append([]string{"producer", "--api-addr", i.api, "--data-dir", t.TempDir()}, i.kafkaFlags()...)...)
	workers := make([]*server, 3)
	for n := range workers {
		workers[n] = start(t, append([]string{"processor", "--lanes", "fast,heavy", "--metrics-addr", "127.0.0.1:0",
			"--session-timeout", "6s", "--debug-services=true", "--data-dir", t.TempDir()}, i.kafkaFlags()...)...)
	}
	book := read(t, i)
	l := &load{api: newAPI(t, "http://"+i.api)}
	stop := l.background(t, 8)
	waitFor(t, "the first hundred tasks", func() bool { return l.count() > 100 })
	// Work that is under way in the frozen processor ends as soon as it wakes:
	// these are the late events.
	for n := range 24 {
		l.api.must(202, "POST", "/v1/tasks", newTask("heavy", fmt.Sprint("slow-", n), fmt.Sprint("slow-", n), "sleep",
			map[string]any{"ms": 3000}))
	}
	frozen := workers[1].id()
	book.until("the processor to be frozen to work on slow tasks", deadline,
		func() bool { return book.working(frozen, "slow-") >= 2 })
	workers[0].kill()
	workers[1].freeze()
	pause(t.Context(), freezeTime(t))
	waitFor(t, "more load after the freeze", func() bool { return l.count() > 200 })
	workers[1].signal(syscall.SIGCONT)
	before := l.count()
	waitFor(t, "load after the thaw", func() bool { return l.count() > before+100 })
	stop()
	for n := range 24 {
		book.end(fmt.Sprint("slow-", n), fmt.Sprint("slow-", n))
	}
	book.until("the frozen processor's late records", deadline, func() bool { return book.stale > 0 })
	l.allEnd(book)
	workers[1].terminate()
	workers[2].terminate()
	front.terminate()
}
