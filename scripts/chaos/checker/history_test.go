package checker

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// author writes histories as docs/DELIVERY.md has them: of a few tasks, by owners that take
// over from one another, with zombies and late repeats in between.
type author struct {
	*log
	t     *rapid.T
	tasks []*written
	// past are the stamps of owners that were superseded.
	past [][2]int64
}

// written is a task of a history.
type written struct {
	id                           string
	open                         bool
	failed, lost, handed, putOff int
	ended                        bool
}

// number is that of the next attempt: one more than those that failed or were lost.
func (w *written) number() int { return 1 + w.failed + w.lost }

// running is the number of the open attempt.
func (w *written) running() int { return w.number() }

// step lets something happen to a task.
func (a *author) step(w *written) {
	switch action := rapid.IntRange(0, 9).Draw(a.t, "action"); {
	case w.ended && action < 3:
		a.received(w.id, "") // sent again, and recorded as a repeat
	case w.ended:
	case !w.open && action < 7:
		a.runs(w.id, w.number())
		w.open = true
	case !w.open:
		a.says(state(w.id, "pending", 0, waiting("time")))
	case action < 3:
		a.end(w, "completed")
	case action == 3 && w.failed < 2:
		a.says(state(w.id, "pending", w.running(), waiting("retry")))
		w.failed, w.open = w.failed+1, false
	case action == 4 && w.handed < freeHandOvers:
		a.says(state(w.id, "pending", w.running()))
		w.handed, w.open = w.handed+1, false
	case action == 5:
		a.says(state(w.id, "pending", w.running(), waiting("time")))
		w.putOff, w.open = w.putOff+1, false
	default:
		a.says(members{"task_id": w.id, "user_id": "u", "kind": "progress", "status": "running", "attempt": w.running()})
	}
}

func (a *author) end(w *written, status string) {
	a.says(state(w.id, status, w.running()))
	w.open, w.ended = false, true
}

// takeOver is another owner, to which open attempts are lost; the zombie writes on.
func (a *author) takeOver() {
	for _, w := range a.tasks {
		if w.open && w.lost == 3 {
			a.end(w, "failed")
		}
	}
	a.past = append(a.past, [2]int64{a.epoch, a.seq})
	a.fence(a.epoch + 1)
	for _, w := range a.tasks {
		if w.open {
			w.lost, w.open = w.lost+1, false
		}
	}
}

// noise is what does not count, whatever it says.
func (a *author) noise() {
	w := a.tasks[rapid.IntRange(0, len(a.tasks)-1).Draw(a.t, "noise about")]
	status := rapid.SampledFrom([]string{"running", "completed", "failed", "pending"}).Draw(a.t, "noise")
	switch {
	case len(a.past) > 0 && rapid.Bool().Draw(a.t, "zombie"):
		stamp := a.past[rapid.IntRange(0, len(a.past)-1).Draw(a.t, "which")]
		a.append(stamp[0], stamp[1]+rapid.Int64Range(-1, 5).Draw(a.t, "seq"), "u", state(w.id, status, 1))
	default:
		a.append(a.epoch, rapid.Int64Range(1, a.seq).Draw(a.t, "seq"), "u", state(w.id, status, 1))
	}
}

// newHistory writes one whose phases demand nothing of how often work is executed.
func newHistory(t *rapid.T) *author {
	a := &author{log: newLog(), t: t}
	a.c.report.phase.Exact = func(int) bool { return false }
	for n := range rapid.IntRange(1, 4).Draw(t, "tasks") {
		w := &written{id: fmt.Sprint("t-", n)}
		a.received(w.id, `,"retry":{"max_attempts":3}`)
		a.tasks = append(a.tasks, w)
	}
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		switch rapid.IntRange(0, 11).Draw(t, "who") {
		case 0:
			if a.mayLose() {
				a.takeOver()
			}
		case 1:
			a.noise()
		default:
			a.step(a.tasks[rapid.IntRange(0, len(a.tasks)-1).Draw(t, "task")])
		}
	}
	return a
}

// mayLose reports whether no task has lost as many attempts as it may.
func (a *author) mayLose() bool {
	for _, w := range a.tasks {
		if w.lost >= 3 {
			return false
		}
	}
	return true
}

// finish ends what has not ended.
func (a *author) finish() {
	for _, w := range a.tasks {
		if !w.ended {
			if !w.open {
				a.runs(w.id, w.number())
			}
			a.end(w, "completed")
		}
	}
}

// TestHistoriesThatAreRight: whatever owners, zombies and repeats write, nothing is wrong.
func TestHistoriesThatAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newHistory(t)
		a.finish()
		if r := a.judge(); r.Failed() > 0 {
			t.Fatalf("%v", r.Violations)
		}
	})
}

// TestDefectsAreFound: one thing that must not be, at the end of any history, and the rule
// that it breaks.
func TestDefectsAreFound(t *testing.T) {
	for name, defect := range map[string]struct {
		do     func(*author, *written)
		breaks Invariant
	}{
		"a second end": {func(a *author, w *written) { a.says(state(w.id, "failed", w.running())) }, OneEnd},
		"a start after the end": {func(a *author, w *written) { a.says(state(w.id, "running", w.number()+1)) },
			NothingAfter},
		"an unwritten execution": {func(a *author, w *written) { a.executes(w.id, 99) }, Attempts},
		"a task that is lost":    {func(a *author, _ *written) { a.received("lost", "") }, OneEnd},
		"a record that is lost": {func(a *author, w *written) {
			a.c.Ack(Ack{Lane: "fast", Partition: 3, Offset: 1 << 40, UserID: "u", TaskID: w.id, At: a.now})
		}, Kept},
		"an attempt's number again": {func(a *author, _ *written) {
			a.received("again", "")
			for range 2 {
				a.runs("again", 1)
				a.fence(a.epoch + 1)
			}
			a.says(state("again", "completed", 1))
		}, Attempts},
		"a commit of another history": {func(a *author, _ *written) {
			metadata := fmt.Sprintf("tl1:0:%d:%d:%d:0", a.epoch+1, 1, a.epoch+1)
			a.c.Commit(Commit{Lane: "fast", Partition: 3, Offset: 1, Metadata: metadata, At: a.now})
		}, SameHistory},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				a := newHistory(t)
				a.finish()
				defect.do(a, a.tasks[rapid.IntRange(0, len(a.tasks)-1).Draw(t, "whose")])
				if r := a.judge(); r.Broken[defect.breaks][0] == 0 {
					t.Fatalf("%s is not found: %v", defect.breaks, r.Violations)
				}
			})
		})
	}
}
