package shard

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aiecs/tasklane/schemas"
)

func TestBlockerNeedsAFullWindowThatIsFinished(t *testing.T) {
	tests := []struct {
		name                   string
		held, finished         int
		records, bytes         int
		headRuns, wantsBlocker bool
	}{
		{"full and finished", 100, 99, 100, 1 << 20, true, true},
		{"full by its bytes", 100, 99, 1000, 700, true, true},
		{"an outage: full, nothing finishes", 100, 0, 100, 1 << 20, true, false},
		{"98% is not more than 98%", 100, 98, 100, 1 << 20, true, false},
		{"finished, not full", 90, 89, 100, 1 << 20, true, false},
		{"the head waits for its turn", 100, 99, 100, 1 << 20, false, false},
		{"empty", 0, 0, 0, 0, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, d := running(t)
			for n := range test.held {
				j := job(int64(n), fmt.Sprint(n))
				s.Receive(j)
				switch {
				case n == 0 && test.headRuns:
					s.Begin(j)
					s.Appended(d.last().Stamp, 1)
				case n > 0 && n <= test.finished:
					j.stage = stageFinished
				}
			}
			d.now = d.now.Add(2 * blockerGrace)
			b, found := s.Blocker(test.records, test.bytes)
			if found != test.wantsBlocker {
				t.Fatalf("found %v: %+v", found, b)
			}
			if found && (b.Job.Offset != 0 || b.Held != test.held || b.Finished != test.finished) {
				t.Errorf("evidence %+v", b)
			}
		})
	}
}

// TestCondemnedJobEndsAfterItsLetter, once, whatever its service says meanwhile.
func TestCondemnedJobEndsAfterItsLetter(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	s.Appended(d.last().Stamp, 1)
	s.Follow([]Entry{entry(t, 1, d.last())}, 2)
	if !s.ConcludeDeadLettered(j, s.jobs.events.Failed(j, schemas.CodeBlocked, "held up")) {
		t.Fatal("a job that runs cannot be condemned")
	}
	if len(d.buried) != 1 || len(d.records) != 2 || s.Quiet() {
		t.Fatalf("%d letters, %d records, quiet %v: the event must wait for the letter, and the drain for both",
			len(d.buried), len(d.records), s.Quiet())
	}
	if s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Completed)) ||
		s.ConcludeDeadLettered(j, s.jobs.events.Failed(j, schemas.CodePanic, "")) {
		t.Fatal("a job that waits for its dead letter ends in another way")
	}
	s.DeadLetterWritten(j)
	s.DeadLetterWritten(j) // of a letter that was written twice
	if e := d.last().Event; len(d.records) != 3 || e.ErrorCode != schemas.CodeBlocked || e.Attempt != 1 {
		t.Fatalf("%d records, the last %+v", len(d.records), d.last())
	}
}

// TestConvictionIsLookedAtAgainAfterItsLetter: a take-over showed that the lost
// attempt was handed over.
func TestConvictionIsLookedAtAgainAfterItsLetter(t *testing.T) {
	s, d := running(t)
	j := job(0, "a")
	s.Receive(j)
	s.jobs.deadLetter(j, s.jobs.events.Failed(j, schemas.CodeWorkerLost, "lost"))
	s.DeadLetterWritten(j)
	if len(d.records) != 1 || len(d.offered) != 2 {
		t.Fatalf("%d records, offered %d times; an acquitted job is offered again", len(d.records), len(d.offered))
	}
}

// shed lets jobs wait for the end of a cap, and returns when they do.
func shed(t *testing.T, s *Shard, d *desk, hold string, jobs ...*Job) {
	t.Helper()
	for _, j := range jobs {
		if !s.Postpone(j, Postponement{For: schemas.WaitLimit, Hold: hold}) {
			t.Fatal("the job cannot wait")
		}
	}
	d.turn(t, s)
}

// queuedJobs are queued jobs, of offsets 0 to count-1.
func queuedJobs(s *Shard, count int) (jobs []*Job) {
	for n := range count {
		j := job(int64(n), fmt.Sprint("t", n))
		s.Receive(j)
		jobs = append(jobs, j)
	}
	return jobs
}

// offers are the offsets of what was offered since.
func (d *desk) offers(since int) (offsets []int64) {
	for _, j := range d.offered[since:] {
		offsets = append(offsets, j.Offset)
	}
	return offsets
}

// What a cap has sent to the waiting log comes back in the order of the lane, as far as
// there is room, and the room is asked for once a cap.
func TestShardReadmitsInTheLanesOrder(t *testing.T) {
	const hold = CapHold + "user/u"
	s, d := taken(t)
	jobs := queuedJobs(s, 6)
	shed(t, s, d, hold, jobs[5], jobs[2], jobs[4])
	shed(t, s, d, hold, jobs[3])
	since := len(d.offered)
	s.Tick()
	if got := d.offers(since); got != nil {
		t.Fatalf("offered %v without room", got)
	}
	room := 2
	give := func(string) int { return room }
	s.Readmit(give, 1<<20)
	if got := d.offers(since); !slices.Equal(got, []int64{2, 3}) {
		t.Errorf("offered %v, want 2 and 3", got)
	}
	room = 0
	s.Readmit(give, 1<<20)
	room = 9
	s.Readmit(give, 2*7) // as much is active already
	if got := d.offers(since); len(got) != 2 {
		t.Errorf("offered %v beyond the room", got)
	}
	s.Readmit(give, 1<<20)
	if got := d.offers(since); !slices.Equal(got, []int64{2, 3, 4, 5}) {
		t.Errorf("offered %v", got)
	}
	if len(s.jobs.waits.tasks.capped) > 1 {
		t.Errorf("%d caps are remembered", len(s.jobs.waits.tasks.capped))
	}
}

// A take-over finds what caps hold, and leaves it where it is.
func TestShardReadmitsAfterATakeOver(t *testing.T) {
	const hold = CapHold + "user/u"
	s, d := taken(t)
	shed(t, s, d, hold, queuedJobs(s, 3)...)
	next := New(*s.config, Port{d, d, d, d})
	s.Forget()
	next.TakeOver()
	since := len(d.offered)
	d.reload(t, next)
	if got := d.offers(since); got != nil {
		t.Fatalf("offered %v", got)
	}
	next.Readmit(func(string) int { return 2 }, 1<<20)
	if got := d.offers(since); !slices.Equal(got, []int64{0, 1}) {
		t.Errorf("offered %v", got)
	}
}

// What waits elsewhere takes no more of the read-ahead than its place, though a job
// before it holds the prefix.
func TestShardLightensWhatWaits(t *testing.T) {
	const hold = CapHold + "user/u"
	s, d := taken(t)
	jobs := queuedJobs(s, 4)
	const full = 7 * lightBytes
	for _, j := range jobs {
		s.jobs.tracker.bytes += full - j.Bytes
		j.Bytes = full
	}
	if _, bytes := s.Crowd(); bytes != 4*full {
		t.Errorf("the crowd has %d bytes", bytes)
	}
	shed(t, s, d, hold, jobs[1:]...)
	if records, bytes := s.Held(); records != 4 || bytes != full+3*lightBytes {
		t.Errorf("holds %d records of %d bytes", records, bytes)
	}
	if records, bytes := s.Crowd(); records != 1 || bytes != full {
		t.Errorf("the crowd has %d records of %d bytes", records, bytes)
	}
	if !s.Conclude(jobs[0], s.jobs.events.New(jobs[0], schemas.KindState, schemas.Cancelled)) {
		t.Fatal("the first cannot end")
	}
	d.turn(t, s)
	if records, bytes := s.Held(); records != 0 || bytes != 0 {
		t.Errorf("holds %d records of %d bytes when all is passed", records, bytes)
	}
}

// Logs that lose what they acknowledged may say that a job is not finished which was let
// go of: its record is asked for again.
func TestShardRefetchesWhatItHasLetGoOf(t *testing.T) {
	const hold = CapHold + "user/u"
	s, d := taken(t)
	jobs := queuedJobs(s, 3)
	shed(t, s, d, hold, jobs[1:]...)
	since := len(d.offered)
	relapse(t, s, d, 0, false)
	if !slices.Equal(d.rewinds, []int64{1}) {
		t.Fatalf("rewinds to %v, want 1", d.rewinds)
	}
	for n := int64(1); n < 3; n++ {
		s.Receive(job(n, fmt.Sprint("t", n)))
	}
	if got := d.offers(since); !slices.Contains(got, 1) || !slices.Contains(got, 2) {
		t.Errorf("offered %v", got)
	}
}

// relapse is a doubt after which the journal holds no more than so many of its records;
// the waiting log holds all, or is empty too.
func relapse(t *testing.T, s *Shard, d *desk, journal int, waits bool) {
	t.Helper()
	s.doubt("a test")
	s.TakeOver()
	if !waits {
		s.jobs.waits = newWaitlog(s.jobs.config, s.port)
		d.waits, d.landed = nil, 0
	}
	d.records, d.counted = d.records[:journal], journal
	d.reload(t, s)
}

// What had ended behind a record that is asked for again is not run again when it comes
// with it: neither what has ended there nor what goes on in the waiting log.
func TestShardRunsNothingTwiceThatIsRefetched(t *testing.T) {
	const hold = CapHold + "user/u"
	s, d := taken(t)
	jobs := queuedJobs(s, 5)
	s.Conclude(jobs[4], s.jobs.events.New(jobs[4], schemas.KindState, schemas.Completed))
	shed(t, s, d, hold, jobs[3])
	kept := len(d.records)
	shed(t, s, d, hold, jobs[2]) // its record is lost
	relapse(t, s, d, kept, true)
	if !slices.Equal(d.rewinds, []int64{2}) {
		t.Fatalf("rewinds to %v, want 2", d.rewinds)
	}
	since := len(d.offered)
	for n := int64(2); n < 6; n++ {
		s.Receive(job(n, fmt.Sprint("t", n)))
	}
	d.turn(t, s)
	if got := d.offers(since); !slices.Equal(got, []int64{5}) {
		t.Errorf("offered %v again, want the new one", got)
	}
	s.Readmit(func(string) int { return 9 }, 1<<20)
	if got := d.offers(since); !slices.Equal(got, []int64{5, 2, 3}) {
		t.Errorf("offered %v, want each once", got)
	}
}

// A waiting record that is gone by now takes nobody's place.
func TestShardRunsWhatIsRefetchedAndWaitsNoMore(t *testing.T) {
	const hold = CapHold + "user/u"
	s, d := taken(t)
	jobs := queuedJobs(s, 2)
	kept := len(d.records)
	shed(t, s, d, hold, jobs[1])
	s.Readmit(func(string) int { return 1 }, 1<<20)
	back := d.offered[len(d.offered)-1]
	s.Conclude(back, s.jobs.events.New(back, schemas.KindState, schemas.Completed))
	d.turn(t, s)
	relapse(t, s, d, kept, true)
	since := len(d.offered)
	s.Receive(job(1, "t1"))
	if got := d.offers(since); !slices.Equal(got, []int64{1}) {
		t.Errorf("offered %v, want what the journal has lost", got)
	}
}
