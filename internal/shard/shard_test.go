package shard

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// TestAwaits: a shard waits for a log as long as something of it is outstanding
// there, and a long read of one log is no deafness for the other.
func TestAwaits(t *testing.T) {
	fenced := func(s *Shard) { s.phase, s.jobs.journal.fenceAt, s.jobs.waits.fenceAt = phaseFencing, 7, 3 }
	for _, tt := range []struct {
		name           string
		set            func(*Shard)
		journal, waits bool
	}{
		{"not ours", func(s *Shard) { s.phase = phaseForgotten }, false, false},
		{"running, all is said", func(s *Shard) { s.phase = phaseRunning }, false, false},
		{"a record of the journal", func(s *Shard) { s.phase = phaseRunning; s.jobs.journal.push(written{}) }, true, false},
		{"a waiting record", func(s *Shard) { s.phase = phaseRunning; s.jobs.waits.push(waitWritten{}) }, false, true},
		{"reading both", func(s *Shard) { s.phase, s.jobs.journal.readEnd, s.jobs.waits.readEnd = phaseReading, 1, 1 }, true,
			true},
		{"a long journal", func(s *Shard) { s.phase, s.jobs.journal.readEnd = phaseReading, 1 }, true, false},
		{"a long waiting log", func(s *Shard) { s.phase, s.jobs.waits.readEnd = phaseReading, 1 }, false, true},
		{"fences not acknowledged", func(s *Shard) { s.phase = phaseFencing }, true, true},
		{"fences not read", fenced, true, true},
		{"one fence read", func(s *Shard) { fenced(s); s.jobs.journal.next = 8 }, false, true},
		{"the other read", func(s *Shard) { fenced(s); s.jobs.waits.next = 4 }, true, false},
		{"what is stale is written again", func(s *Shard) {
			fenced(s)
			s.jobs.journal.next, s.jobs.waits.next = 8, 4
			s.jobs.waits.push(waitWritten{})
		}, false, true},
		{"between two take-overs", func(s *Shard) { s.phase = phaseDoubting }, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Config{Shard: fold.ShardID{Lane: "fast"}}, Port{})
			tt.set(s)
			if journal, waits := s.Readings(); journal.Waits != tt.journal || waits.Waits != tt.waits {
				t.Errorf("waits for the journal: %t, for the waiting log: %t, want %t and %t", journal.Waits,
					waits.Waits, tt.journal, tt.waits)
			}
		})
	}
}

// desk is a port that writes down what is asked of it.
type desk struct {
	now      time.Time
	records  []Record
	offered  []*Job
	started  []*Job
	stopped  []*Job
	buried   []*Job
	settled  int
	loads    int
	confirms int
	follows  []int64
	rewinds  []int64
	notes    []string

	waits       []WaitRecord
	landed      int // of them
	counted     int // journal records that turn has let count
	foreign     int // records of others in the waiting log
	waitFollows []int64
	taken       int
	unreadable  bool // payloads are
	measures    int
	discarded   []any
	duplicates  []*Job
	aheads      []fold.Stamp
}

func (d *desk) Now() time.Time { return d.now }

func (d *desk) Load(int32) { d.loads++ }

func (d *desk) Follow(from int64) { d.follows = append(d.follows, from) }

func (d *desk) Append(r Record) { d.records = append(d.records, r) }

func (d *desk) Confirm() { d.confirms++ }

func (d *desk) Rewind(from int64) { d.rewinds = append(d.rewinds, from) }

func (d *desk) WriteDeadLetter(j *Job, _ DeadLetter) { d.buried = append(d.buried, j) }

func (d *desk) Offer(j *Job) { d.offered = append(d.offered, j) }

func (d *desk) Start(j *Job) { d.started = append(d.started, j) }

func (d *desk) Stop(j *Job) { d.stopped = append(d.stopped, j) }

func (d *desk) Settled(*Job) { d.settled++ }

func (d *desk) Note(_ slog.Level, what string, _ ...any) { d.notes = append(d.notes, what) }

func (d *desk) FollowWaits(from int64) { d.waitFollows = append(d.waitFollows, from) }

func (d *desk) AppendWait(r WaitRecord) { d.waits = append(d.waits, r) }

func (d *desk) Spill(payload any) any { return payload }

func (d *desk) Restore(payload any) (*Job, error) {
	if d.unreadable {
		return nil, timeout()
	}
	j := *payload.(*Job)
	return &j, nil
}

func (d *desk) Discard(payload any) { d.discarded = append(d.discarded, payload) }

func (d *desk) Lighten(any) any { return nil }

func (d *desk) TakenOver() { d.taken++ }

func (d *desk) Measure() { d.measures++ }

func (d *desk) Ahead(_ string, stamp fold.Stamp, _, _ int64) { d.aheads = append(d.aheads, stamp) }

func (d *desk) Duplicate(j *Job) { d.duplicates = append(d.duplicates, j) }

// waitsEnd is the offset of the waiting log's next record.
func (d *desk) waitsEnd() int64 { return int64(d.landed + d.foreign) }

// landWaits lets what was appended to the waiting log land, be acknowledged and
// be read.
func (d *desk) landWaits(s *Shard) {
	for ; d.landed < len(d.waits); d.landed++ {
		r := d.waits[d.landed]
		offset := d.waitsEnd()
		e := WaitEntry{Offset: offset, Stamp: r.Stamp, Key: r.Key, Claim: r.Claim}
		if r.Wait != nil {
			e.Wait, e.Payload = r.Wait, &Job{Task: r.Job.Task, Created: r.Job.Created, Bytes: r.Job.Bytes,
				MaxLost: r.Job.MaxLost}
		}
		s.WaitAppended(r.Stamp, offset)
		s.FollowWaits([]WaitEntry{e}, offset+1)
	}
}

// logs are those of a lane whose end is far off.
func logs(journal, waits Bounds) Logs {
	return Logs{Lane: Bounds{0, 1 << 40}, Journal: journal, Waits: waits, Until: 1 << 40}
}

func (d *desk) last() Record { return d.records[len(d.records)-1] }

func newShard(t *testing.T) (*Shard, *desk) {
	t.Helper()
	// So early that epochs are within the margin of records that say no append time.
	d := &desk{now: time.UnixMilli(100_000)}
	s := New(Config{Shard: fold.ShardID{Lane: "fast", Partition: 3}, Topic: "tasks.fast", Worker: "w", Window: 4,
		MarkInterval: time.Second, ShortWait: 5 * time.Second}, Port{d, d, d, d})
	return s, d
}

// running is a shard that was taken over with an empty journal: its fence
// stands at offset 0.
func running(t *testing.T) (*Shard, *desk) {
	t.Helper()
	s, d := newShard(t)
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 0}, Bounds{}))
	d.landWaits(s)
	s.Appended(d.last().Stamp, 0)
	s.Follow([]Entry{{Offset: 0, Stamp: d.last().Stamp}}, 1)
	if !s.Running() {
		t.Fatalf("not running after the take-over: phase %d", s.phase)
	}
	return s, d
}

func entry(t *testing.T, offset int64, r Record) Entry {
	t.Helper()
	e := Entry{Offset: offset, Stamp: r.Stamp}
	if r.Event != nil {
		b, err := r.Event.Encode()
		if err != nil {
			t.Fatal(err)
		}
		e.Value = b
	}
	return e
}

func job(offset int64, id string) *Job {
	task := &schemas.Task{TaskID: id, UserID: "u", TaskName: "echo", Mode: "debug", Service: "echo"}
	return &Job{Offset: offset, Identity: fold.IdentityOf("u", id), Task: task, Created: time.UnixMilli(100_000),
		Bytes: 7, MaxLost: 3}
}

// begun is a job whose `running` is appended but not acknowledged.
func begun(t *testing.T, s *Shard, offset int64, id string) *Job {
	t.Helper()
	j := job(offset, id)
	s.Receive(j)
	if !s.Begin(j) {
		t.Fatal("the job cannot begin")
	}
	return j
}

func TestShardLife(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	if len(d.started) != 0 {
		t.Fatal("work starts before `running` is acknowledged")
	}
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	if len(d.started) != 1 || s.Working() != 1 {
		t.Fatalf("started %d, working %d, want 1 and 1", len(d.started), s.Working())
	}
	s.Follow([]Entry{entry(t, 1, d.last())}, 2)
	if !s.Report(j, s.jobs.events.New(j, schemas.KindProgress, schemas.Running)) {
		t.Fatal("a report of running work is refused")
	}
	if !s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Completed)) ||
		s.Conclude(j, s.jobs.events.Failed(j, schemas.CodePanic, "")) {
		t.Fatal("a job must end exactly once")
	}
	if s.Report(j, s.jobs.events.New(j, schemas.KindProgress, schemas.Running)) {
		t.Fatal("a report after the end is taken")
	}
	d.landWaits(s)
	s.Appended(d.records[2].Stamp, 2)
	d.landWaits(s)
	s.Appended(d.records[3].Stamp, 3)
	if c, _ := s.CommitPoint(); c.Offset != 0 {
		t.Fatalf("acknowledged but not counted, and the commit is %+v", c)
	}
	s.Follow([]Entry{entry(t, 2, d.records[2]), entry(t, 3, d.records[3])}, 4)
	c, changed := s.CommitPoint()
	want := fold.Commit{Offset: 1, Position: 4, Before: fold.State{Epoch: d.last().Stamp.Epoch, Seq: 4},
		Own: d.last().Stamp.Epoch, Window: 3}
	if !changed || c != want {
		t.Fatalf("commit %+v, want %+v", c, want)
	}
	s.Committed(c)
	if _, changed := s.CommitPoint(); changed {
		t.Fatal("the same commit twice")
	}
	if !s.Quiet() || d.settled != 3 {
		t.Fatalf("quiet %v, settled %d of 3", s.Quiet(), d.settled)
	}
}

func TestShardReadsTheJournalBeforeItFences(t *testing.T) {
	s, d := newShard(t)
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 2}, Bounds{}))
	if len(d.records) != 0 {
		t.Fatal("fences before the journal is read")
	}
	foreign := fold.Stamp{Shard: "fast/3", Epoch: d.now.UnixMilli() + 50, Seq: 1}
	s.Follow([]Entry{{Offset: 0, Stamp: foreign}}, 1)
	if len(d.records) != 0 {
		t.Fatal("fences before the journal is read to its end")
	}
	s.Follow(nil, 2) // another lane's record
	if got := d.last().Stamp; got != (fold.Stamp{Shard: "fast/3", Epoch: foreign.Epoch + 1, Seq: 1}) {
		t.Fatalf("fence %+v, want one above %d", got, foreign.Epoch)
	}
}

func TestShardFencesWhenNothingIsDelivered(t *testing.T) {
	s, d := newShard(t)
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 5}, Bounds{})) // the end may be a marker that nobody delivers
	d.now = d.now.Add(2 * stallTime)
	s.Tick()
	if len(d.records) != 1 {
		t.Fatal("waits for ever for an end that never comes")
	}
	d.now = d.now.Add(2 * stallTime)
	s.Tick()
	d.now = d.now.Add(2 * lastRetake)
	s.Tick()
	if d.loads != 2 {
		t.Fatalf("loads %d, want a second take-over once the fence does not come back", d.loads)
	}
}

// What goes on in one log is no progress of the other. The owners of other lanes write marks into the journal every few
// seconds, and would hold the fence up for ever.
func TestShardFencesWhileOneOfItsLogsGoesOn(t *testing.T) {
	for name, l := range map[string]struct {
		ends Logs
		more func(s *Shard, next int64)
	}{
		"the journal goes on": {logs(Bounds{0, 5}, Bounds{0, 9}), func(s *Shard, next int64) { s.Follow(nil, next) }},
		"the waits go on":     {logs(Bounds{0, 9}, Bounds{0, 5}), func(s *Shard, next int64) { s.FollowWaits(nil, next) }},
	} {
		s, d := newShard(t)
		s.TakeOver()
		s.Loaded(fold.Commit{Offset: -1}, l.ends)
		l.more(s, 4)
		for n := range int64(5) {
			l.more(s, 5+n)
			d.now = d.now.Add(stallTime / 2)
			s.Tick()
		}
		if len(d.records) != 1 {
			t.Errorf("%s: waits for the end of the other log for ever", name)
		}
	}
}

// A repeat of what stands before the position must not count again.
func TestShardStartsFromTheCommitsState(t *testing.T) {
	s, d := newShard(t)
	epoch := d.now.UnixMilli() + 5
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: 1, Position: 10, Before: fold.State{Epoch: epoch, Seq: 5}, Own: epoch, Window: 10},
		logs(Bounds{0, 12}, Bounds{}))
	j := job(1, "a")
	e := s.jobs.events.New(j, schemas.KindState, schemas.Completed)
	s.Follow([]Entry{
		entry(t, 10, Record{Stamp: fold.Stamp{Shard: "fast/3", Epoch: epoch, Seq: 5}, Event: e}),
		entry(t, 11, Record{Stamp: fold.Stamp{Shard: "fast/3", Epoch: epoch - 1, Seq: 9}, Event: e}),
	}, 12)
	if len(s.jobs.unreceived) != 0 {
		t.Fatalf("learned %+v from a repeat and a zombie", s.jobs.unreceived)
	}
	if got := d.last().Stamp.Epoch; got != epoch+1 {
		t.Fatalf("fence %d, want %d", got, epoch+1)
	}
}

func TestShardLoadedBounds(t *testing.T) {
	tests := map[string]struct {
		commit     fold.Commit
		start, end int64
		follow     int64
		fold       fold.State
	}{
		"no commit": {fold.Commit{Offset: -1}, 3, 9, 3, fold.State{}},
		"window": {fold.Commit{Offset: 5, Position: 8, Before: fold.State{Epoch: 7, Seq: 2}, Window: 4}, 0, 9,
			4, fold.State{Epoch: 7, Seq: 2}},
		"window retained": {fold.Commit{Offset: 5, Position: 8, Before: fold.State{Epoch: 7, Seq: 2}, Window: 4}, 6, 9,
			6, fold.State{Epoch: 7, Seq: 2}},
		"position is gone": {fold.Commit{Offset: 5, Position: 4, Before: fold.State{Epoch: 7, Seq: 2}, Window: 1}, 6, 9,
			6, fold.State{Epoch: 7, Seq: 2}},
		"journal replaced": {fold.Commit{Offset: 5, Position: 40, Before: fold.State{Epoch: 7, Seq: 2}, Window: 40}, 0,
			9, 0, fold.State{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, d := newShard(t)
			s.TakeOver()
			s.Loaded(test.commit, logs(Bounds{test.start, test.end}, Bounds{}))
			if d.follows[0] != test.follow || s.jobs.journal.fold != test.fold ||
				s.takeover.known < test.commit.Before.Epoch {
				t.Errorf("follows %d with %v, want %d with %v", d.follows[0], s.jobs.journal.fold, test.follow, test.fold)
			}
		})
	}
}

// Within a log that keeps what it acknowledged another rule is always first;
// this one is for a log that does not.
func TestShardDoubtsWhatIsReadPastWithoutCounting(t *testing.T) {
	for _, ackFirst := range []bool{true, false} {
		s, d := running(t)
		j := begun(t, s, 0, "a")
		steps := []func(){func() { d.landWaits(s); s.Appended(d.last().Stamp, 1) }, func() { s.Follow(nil, 2) }}
		if !ackFirst {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			step()
		}
		if s.Running() {
			t.Errorf("acknowledged first %v: still running though its record does not count", ackFirst)
		}
		if !ackFirst && len(d.started) != 0 {
			t.Error("work starts for a `running` that is known not to count")
		}
		if s.Report(j, s.jobs.events.New(j, schemas.KindProgress, schemas.Running)) != ackFirst {
			t.Errorf("acknowledged first %v: reports are taken exactly from work that goes on", ackFirst)
		}
	}
}

func TestShardDoubtWritesNothing(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	s.AppendFailed(d.last().Stamp, timeout())
	written := len(d.records)
	if !s.Report(j, s.jobs.events.New(j, schemas.KindProgress, schemas.Running)) ||
		!s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Completed)) {
		t.Fatal("work that goes on is refused")
	}
	if len(d.records) != written {
		t.Fatal("writes while in doubt")
	}
	if _, ok := s.CommitPoint(); ok {
		t.Fatal("commits while in doubt")
	}
	if s.HandOver(j) {
		t.Fatal("hands over what has ended")
	}
}

func TestShardForgottenIsSilent(t *testing.T) {
	s, d := running(t)
	j, other := begun(t, s, 0, "a"), job(1, "b")
	s.Receive(other)
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	event := s.jobs.events.New(j, schemas.KindState, schemas.Completed)
	written := len(d.records)
	s.Forget()
	s.Forget()
	if len(d.stopped) != 1 || s.Working() != 0 || !s.Forgotten() {
		t.Fatalf("stopped %d, working %d", len(d.stopped), s.Working())
	}
	if s.Begin(other) || s.Report(j, event) || s.Conclude(j, event) || s.HandOver(j) {
		t.Error("a forgotten shard takes something")
	}
	s.Receive(job(2, "c"))
	s.DeadLetterWritten(other)
	s.Loaded(fold.Commit{}, logs(Bounds{0, 0}, Bounds{}))
	s.LoadFailed(timeout())
	s.Confirmed(true)
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	s.AppendFailed(d.last().Stamp, timeout())
	s.Follow([]Entry{{Offset: 1, Stamp: d.last().Stamp}}, 2)
	s.TakeOver()
	s.Tick()
	if _, ok := s.CommitPoint(); ok || len(d.records) != written || d.loads != 1 || d.confirms != 0 {
		t.Error("a forgotten shard does something")
	}
}

// A lane topic that was deleted and made anew starts at offset 0 again, beside
// the journal of the old one.
func TestShardIgnoresThePastOfAnotherTask(t *testing.T) {
	s, d := newShard(t)
	old, again := job(0, "old"), job(0, "new")
	ended := s.jobs.events.New(old, schemas.KindState, schemas.Completed)
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 2}, Bounds{}))
	s.Follow([]Entry{{Offset: 0, Stamp: fold.Stamp{Shard: "fast/3", Epoch: 5, Seq: 1}},
		entry(t, 1, Record{Stamp: fold.Stamp{Shard: "fast/3", Epoch: 5, Seq: 2}, Event: ended})}, 2)
	d.landWaits(s)
	s.Appended(d.last().Stamp, 2)
	s.Receive(again)
	s.Follow([]Entry{{Offset: 2, Stamp: d.last().Stamp}}, 3)
	if len(d.offered) != 1 {
		t.Fatal("a new task is taken for an old one that ended at its offset")
	}
}

func TestShardConfirmsAfterAForeignFence(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		s, d := running(t)
		s.Follow([]Entry{{Offset: 1, Stamp: fold.Stamp{Shard: "fast/3", Epoch: d.last().Stamp.Epoch + 9, Seq: 1}}}, 2)
		if d.confirms != 1 || s.Running() {
			t.Fatalf("confirms %d, running %v after a foreign fence", d.confirms, s.Running())
		}
		d.now = d.now.Add(2 * stallTime)
		s.Tick()
		if d.confirms != 2 {
			t.Fatal("an answer that never comes is waited for")
		}
		s.Confirmed(accepted)
		if s.Forgotten() == accepted {
			t.Fatalf("accepted %v, forgotten %v", accepted, s.Forgotten())
		}
	}
}

func TestShardRetakeBacksOffAndForgives(t *testing.T) {
	s, d := newShard(t)
	s.TakeOver()
	var waited []time.Duration
	for range 9 {
		s.LoadFailed(timeout())
		waited = append(waited, s.doubts.until.Sub(d.now))
		s.Tick() // too early
		if s.phase != phaseDoubting {
			t.Fatal("takes over before its pause is over")
		}
		d.now = s.doubts.until
		s.Tick()
	}
	if waited[0] != firstRetake || waited[8] != lastRetake || !slices.IsSorted(waited) {
		t.Errorf("pauses %v, want rising from %v to %v", waited, firstRetake, lastRetake)
	}
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 0}, Bounds{}))
	d.landWaits(s)
	s.Appended(d.last().Stamp, 0)
	s.Follow([]Entry{{Offset: 0, Stamp: d.last().Stamp}}, 1)
	d.now = d.now.Add(2 * steadyTime)
	s.Tick()
	if s.doubts.count != 0 {
		t.Error("old doubts are not forgiven")
	}
}

func TestShardMarks(t *testing.T) {
	s, d := running(t)
	s.Receive(job(0, "a"))
	s.Tick()
	if d.last().Sign.Kind != schemas.KindFence {
		t.Fatal("marks before its interval")
	}
	d.now = d.now.Add(time.Second)
	s.Tick()
	sign := d.last().Sign
	if sign.Kind != schemas.KindMark || sign.Seq != 2 || sign.Lag != 1 || sign.Running != 0 ||
		sign.EventID != d.last().Stamp.EventID() {
		t.Fatalf("mark %+v", sign)
	}
	s.Jobs(func(j *Job) {
		if j.Offset != 0 {
			t.Errorf("visits task %d", j.Offset)
		}
	})
	if records, bytes := s.Held(); records != 1 || bytes != 7 {
		t.Fatalf("held %d records, %d bytes", records, bytes)
	}
}

func TestShardDeadLetters(t *testing.T) {
	s, d := running(t)
	known, unknown := job(0, "a"), job(1, "")
	for _, j := range []*Job{known, unknown} {
		j.Invalid = &schemas.InvalidTaskError{Problem: "is broken", Task: j.Task}
		s.Receive(j)
	}
	if len(d.buried) != 2 || len(d.offered) != 0 ||
		s.Conclude(known, s.jobs.events.New(known, schemas.KindState, schemas.Cancelled)) {
		t.Fatal("an invalid task goes to the dead letters and nowhere else")
	}
	s.DeadLetterWritten(unknown)
	s.DeadLetterWritten(known)
	e := d.last().Event
	if e == nil || e.ErrorCode != schemas.CodeInvalidTask || e.TaskID != "a" {
		t.Fatalf("after its dead letter the task ends with %+v", e)
	}
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	s.Follow([]Entry{entry(t, 1, d.last())}, 2)
	if c, _ := s.CommitPoint(); c.Offset != 2 {
		t.Fatalf("commit %+v, want both passed", c)
	}
}

func TestShardHandOverIsNotHeldAgainstTheTask(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	if !s.HandOver(j) || s.HandOver(j) {
		t.Fatal("a job is handed over once")
	}
	s.Follow([]Entry{entry(t, 1, d.records[1]), entry(t, 2, d.records[2])}, 3)
	if j.history.lost() != 0 || j.Suspect() || j.finished() || s.Working() != 0 {
		t.Fatalf("after the hand-over: %+v", j.history)
	}
	next, desk := newShard(t)
	next.TakeOver()
	next.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 3}, Bounds{}))
	next.Receive(job(0, "a"))
	next.Follow([]Entry{{Offset: 0, Stamp: d.records[0].Stamp}, entry(t, 1, d.records[1]), entry(t, 2, d.records[2])},
		3)
	desk.landWaits(next)
	next.Appended(desk.last().Stamp, 3)
	next.Follow([]Entry{{Offset: 3, Stamp: desk.last().Stamp}}, 4)
	again := desk.offered[0]
	if !next.Begin(again) || again.Attempt != 1 || again.Suspect() {
		t.Fatalf("the successor's attempt is %d, suspect %v", again.Attempt, again.Suspect())
	}
}

// What a journal holds may be anything: it is read by the fold's rules and what
// cannot be understood says nothing.
func FuzzShardFollow(f *testing.F) {
	f.Add(int64(5), int64(1),
		[]byte(`{"kind":"state","status":"completed","user_id":"u","task_id":"a",`+
			`"source":{"topic":"tasks.fast","partition":3,"offset":0}}`))
	f.Add(int64(1), int64(9), []byte(`{"source":{}}`))
	f.Add(int64(7), int64(2), []byte("\xff"))
	f.Fuzz(func(t *testing.T, epoch, seq int64, value []byte) {
		s, _ := newShard(t)
		s.TakeOver()
		s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 2}, Bounds{}))
		s.Receive(job(0, "a"))
		s.Follow([]Entry{{Offset: 0, Stamp: fold.Stamp{Shard: "fast/3", Epoch: epoch, Seq: seq}, Value: value},
			{Offset: 1, Stamp: fold.Stamp{Shard: "fast/3", Epoch: epoch, Seq: seq}, Value: value}}, 2)
		for offset, p := range s.jobs.unreceived {
			if p.running > 1 || p.handed > p.running {
				t.Errorf("offset %d: a repeat counted: %+v", offset, p)
			}
		}
	})
}
