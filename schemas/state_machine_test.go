package schemas

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// moves is the state machine as a table: from each state, where a task may go.
func moves() map[Status][]Status {
	all := []Status{Pending, Running, Completed, Failed, TimedOut, Cancelled}
	return map[Status][]Status{
		Pending: all, Running: all, Completed: nil, Failed: nil, TimedOut: nil, Cancelled: nil,
		Lost: nil, "": nil, "RUNNING": nil, "started": nil,
	}
}

// TestStateMachineIsTheTable, in both directions, for states on the wire and for others.
func TestStateMachineIsTheTable(t *testing.T) {
	table := moves()
	for from := range table {
		for to := range table {
			if got, want := from.CanBecome(to), slices.Contains(table[from], to); got != want {
				t.Errorf("from %q to %q: %t, want %t", from, to, got, want)
			}
		}
		if known := slices.Contains(Statuses(), from); from.Known() != known {
			t.Errorf("%q is known: %t, want %t", from, from.Known(), known)
		}
		if from.Terminal() && len(table[from]) > 0 {
			t.Errorf("%q is terminal and goes on", from)
		}
		if from.Known() && !from.Terminal() && len(table[from]) == 0 {
			t.Errorf("%q is not terminal and goes nowhere", from)
		}
	}
}

// TestEveryWalkEndsOnce: whoever moves only where the machine lets them is in one terminal
// state at most, and stays there.
func TestEveryWalkEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, ends := Pending, 0
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			next := rapid.SampledFrom(Statuses()).Draw(t, "next")
			if !at.CanBecome(next) {
				if !at.Terminal() {
					t.Fatalf("%q cannot become %q", at, next)
				}
				continue
			}
			if at = next; at.Terminal() {
				ends++
			}
		}
		if ends > 1 {
			t.Fatalf("a task ended %d times", ends)
		}
	})
}

// TestEventsThatEnd: state events of a terminal state, and no others.
func TestEventsThatEnd(t *testing.T) {
	for _, kind := range []Kind{KindState, KindProgress, KindOutput, KindUsage, KindLog, KindReset, KindCheckpoint,
		KindFence, KindMark, KindRepeat, ""} {
		for status := range moves() {
			want := kind == KindState && status.Terminal()
			if got := (&Event{Kind: kind, Status: status}).Terminal(); got != want {
				t.Errorf("%s %s ends: %t, want %t", kind, status, got, want)
			}
		}
	}
}

// TestResultIsTheEnds: what a caller gets says what the event says, and null for nothing.
func TestResultIsTheEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		r := ResultOf(e)
		if r.Status != e.Status || r.Task != e.Task || r.ErrorCode != e.ErrorCode || r.DuplicateOf != e.DuplicateOf {
			t.Fatalf("%+v of %+v", r, e)
		}
		if (r.Error == nil) != (e.Error == "") || r.Error != nil && *r.Error != e.Error {
			t.Fatalf("error %v of %q", r.Error, e.Error)
		}
		if want := string(e.Result); want == "" && string(r.Result) != "null" || want != "" && string(r.Result) != want {
			t.Fatalf("result %s of %s", r.Result, e.Result)
		}
	})
}
