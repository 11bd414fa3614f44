package checker

import (
	"fmt"
	"time"
)

// Invariant is one of those of docs/CHAOS.md.
type Invariant string

// The invariants that are checked.
const (
	OneEnd       Invariant = "I1"   // every task ends exactly once
	NothingAfter Invariant = "I2"   // nothing counts after the end
	Attempts     Invariant = "I3"   // attempts are bounded, rise and stand in the log before the work
	SameHistory  Invariant = "I4"   // every reader sees the same
	Kept         Invariant = "I6"   // what was acknowledged is there
	Bounded      Invariant = "I8"   // memory
	Once         Invariant = "once" // executed once where no process is lost
	OnTime       Invariant = "time" // not before its time
	Cancelled    Invariant = "cncl" // a cancelled task ends
	OneAtATime   Invariant = "uniq" // of tasks with the same content one runs, and no other while it may succeed
)

// Invariants are all of them in the order of reports.
func Invariants() []Invariant {
	return []Invariant{OneEnd, NothingAfter, Attempts, SameHistory, Kept, Bounded, Once, OnTime, Cancelled, OneAtATime}
}

// Violation is one breach.
type Violation struct {
	Invariant Invariant
	Phase     int
	Text      string
}

// maxTexts bounds the violations that are described; all are counted.
const maxTexts = 200

// Report is the verdict on a run.
type Report struct {
	// Checked and Broken count by invariant and phase.
	Checked, Broken map[Invariant][]int
	Violations      []Violation
	Counters        Counters
	phase           Phases
}

// Counters are what a run went through.
type Counters struct {
	Tasks, Unreadable, Letters int // records of the lanes; dead letters
	Events, Stale, Repeated    int // records of task-events
	Ahead                      int // of these, whose epoch lies beyond their time
	Gaps, Malformed            int
	Repeats                    int // tasks recorded as received before
	Lost, Handed, Retried      int // attempts
	Executions, Again          int // starts of work, and those of work that was started before
	StaleByWorker              map[string]int
	CommitViews, MiddleViews   int
	Unsighted                  int // middle starts with nothing that counts in the 15 s before
	Status                     map[string]int
}

// Phases say which phase of the run a time belongs to.
type Phases struct {
	Count int
	// At is the phase of a time.
	At func(time.Time) int
	// Exact reports whether work of this phase may be executed once only.
	Exact func(phase int) bool
}

func newReport(p Phases) *Report {
	r := &Report{Checked: map[Invariant][]int{}, Broken: map[Invariant][]int{}, phase: p}
	for _, i := range Invariants() {
		r.Checked[i], r.Broken[i] = make([]int, p.Count), make([]int, p.Count)
	}
	r.Counters.StaleByWorker, r.Counters.Status = map[string]int{}, map[string]int{}
	return r
}

// check notes that an invariant was looked at for something of that time.
func (r *Report) check(i Invariant, at time.Time) { r.Checked[i][r.phase.At(at)]++ }

// breach notes a violation.
func (r *Report) breach(i Invariant, at time.Time, format string, args ...any) {
	phase := r.phase.At(at)
	r.Broken[i][phase]++
	if len(r.Violations) < maxTexts {
		text := at.UTC().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
		r.Violations = append(r.Violations, Violation{i, phase, text})
	}
}

// Failed is how many violations there are.
func (r *Report) Failed() int {
	failed := 0
	for _, broken := range r.Broken {
		for _, n := range broken {
			failed += n
		}
	}
	return failed
}
